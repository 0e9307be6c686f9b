//! Random access.

use std::{
    ops::Range,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};

use proptest::prelude::*;

use super::*;

async fn reader<R: ReadAt>(fake: &Fake, source: R) -> Result<RangeReader<R>> {
    Opener::new([fake]).range_reader(source, &context()).await
}

#[tokio::test]
async fn every_kind_of_range() {
    let fake = Fake::new("a");
    for suite in [Suite::Aes256Gcm64KiB, Suite::Cobblestone256] {
        let chunk = suite.chunk_len() as u64;
        for len in [0, 1, chunk - 1, chunk, chunk + 1, 3 * chunk, 3 * chunk + 9] {
            let plain = plaintext(usize::try_from(len).unwrap());
            let source = Bytes::from(sealed(&fake, suite, &plain).await);
            let reader = reader(&fake, source).await.unwrap();
            assert_eq!(reader.len().await.unwrap(), len);
            let edges = [0, 1, chunk - 1, chunk, chunk + 1, 2 * chunk, len, len + 1, u64::MAX];
            for start in edges {
                for end in edges.into_iter().filter(|end| *end >= start) {
                    let clip = |at: u64| usize::try_from(at.min(len)).unwrap();
                    let out = reader.read(start..end).await.unwrap();
                    assert!(*out == plain[clip(start)..clip(end)], "{start}..{end} of {len}");
                }
            }
            let backwards = Range { start: 2, end: 1 };
            assert_eq!(kind(reader.read(backwards).await), ErrorKind::InvalidInput);
        }
    }
    assert_eq!(fake.calls().2, 14, "one unwrap for each reader");
}

fn fetched(log: &Mutex<Vec<Range<u64>>>) -> Vec<(u64, u64)> {
    log.lock().unwrap().drain(..).map(|range| (range.start, range.end)).collect()
}

#[tokio::test]
async fn only_the_chunks_that_hold_the_range_are_fetched() {
    let fake = Fake::new("a");
    let sealed = Bytes::from(sealed(&fake, Suite::default(), &plaintext(10 * CHUNK + 1)).await);
    let log = Mutex::new(Vec::new());
    let size = sealed.len() as u64;
    let source = read_at_with(size, |range| {
        log.lock().unwrap().push(range.clone());
        let sealed = sealed.clone();
        async move { sealed.read_at(range).await }
    });
    let reader = reader(&fake, source).await.unwrap();
    log.lock().unwrap().clear();
    let (base, chunk) = (1024 + 56, CHUNK as u64 + 16);
    reader.read(2 * CHUNK as u64 + 5..2 * CHUNK as u64 + 6).await.unwrap();
    assert_eq!(fetched(&log), vec![(base + 2 * chunk, base + 3 * chunk)]);
    reader.read(CHUNK as u64 - 1..CHUNK as u64 + 1).await.unwrap();
    assert_eq!(fetched(&log), vec![(base, base + 2 * chunk)]);
    reader.read(7..7).await.unwrap();
    assert!(log.lock().unwrap().is_empty(), "an empty range inside implies nothing");
    reader.read(u64::MAX..u64::MAX).await.unwrap();
    assert_eq!(log.lock().unwrap().len(), 1, "one past the end tells the length: authenticated");
}

#[tokio::test]
async fn head_context_and_commitment_come_first() {
    let fake = Fake::new("a");
    let good = sealed(&fake, Suite::default(), b"hello").await;
    for at in [20, 1023, 1024, 1024 + 24] {
        let mut bad = good.clone();
        bad[at] ^= 1;
        assert!(reader(&fake, Bytes::from(bad)).await.is_err(), "{at}");
    }
    let wrong = Context::new().with_key("tenant", "acme").unwrap();
    let opened = Opener::new([&fake]).range_reader(Bytes::from(good), &wrong).await;
    assert_eq!(kind(opened), ErrorKind::NotAuthentic);
}

#[tokio::test]
async fn a_length_is_only_told_when_it_is_true() {
    let fake = Fake::new("a");
    let plain = plaintext(2 * CHUNK + 100);
    let good = sealed(&fake, Suite::default(), &plain).await;
    let head = 1024 + 56;
    let fails = |r: Result<crate::Plaintext>| kind(r) == ErrorKind::NotAuthentic;

    // Cut at a boundary: no message has that length.
    let cut = Bytes::copy_from_slice(&good[..head + CHUNK + 16]);
    assert_eq!(kind(reader(&fake, cut).await), ErrorKind::NotAuthentic);
    // Cut inside a chunk: what lies before can be read, the end can't.
    let cut = reader(&fake, Bytes::copy_from_slice(&good[..head + CHUNK + 200])).await.unwrap();
    assert!(*cut.read(0..10).await.unwrap() == plain[..10]);
    assert_eq!(kind(cut.len().await), ErrorKind::NotAuthentic);
    assert!(fails(cut.read(0..u64::MAX).await));
    assert!(fails(cut.read(CHUNK as u64 + 100..CHUNK as u64 + 300).await));
    assert!(fails(cut.read(1 << 40..1 << 41).await));
    // Extended: the same.
    let longer = [&good[..], &[0; 500]].concat();
    let longer = reader(&fake, Bytes::from(longer)).await.unwrap();
    assert!(*longer.read(CHUNK as u64..CHUNK as u64 + 10).await.unwrap() == plain[CHUNK..][..10]);
    assert_eq!(kind(longer.len().await), ErrorKind::NotAuthentic);
    assert!(fails(longer.read(0..u64::MAX).await));
}

#[tokio::test]
async fn an_object_replaced_or_cut_between_reads_is_found_out() {
    let fake = Fake::new("a");
    let plain = plaintext(3 * CHUNK + 100);
    let one = Bytes::from(sealed(&fake, Suite::default(), &plain).await);
    let two = Bytes::from(sealed(&fake, Suite::default(), &plain).await);
    let boundary = one.slice(..1024 + 56 + 2 * (CHUNK + 16));
    for other in [two, boundary, Bytes::new()] {
        let current = Arc::new(Mutex::new(one.clone()));
        let reads = AtomicUsize::new(0);
        let source = read_at_with(one.len() as u64, |range| {
            reads.fetch_add(1, Relaxed);
            let bytes = current.lock().unwrap().clone();
            async move { bytes.read_at(range).await }
        });
        let reader = reader(&fake, source).await.unwrap();
        assert!(*reader.read(0..10).await.unwrap() == plain[..10]);
        *current.lock().unwrap() = other;
        let late = 2 * CHUNK as u64..2 * CHUNK as u64 + 10;
        assert_eq!(kind(reader.read(late).await), ErrorKind::NotAuthentic);
        assert_eq!(kind(reader.len().await), ErrorKind::NotAuthentic);
        assert_eq!(kind(reader.read(0..u64::MAX).await), ErrorKind::NotAuthentic);
    }
}

#[cfg(unix)]
#[tokio::test]
async fn files_are_read_at_offsets() {
    let fake = Fake::new("a");
    let plain = plaintext(20 * CHUNK + 3);
    let path = std::env::temp_dir().join(format!("bulla-range-{}", std::process::id()));
    std::fs::write(&path, sealed(&fake, Suite::default(), &plain).await).unwrap();
    let file = Arc::new(std::fs::File::open(&path).unwrap());
    std::fs::remove_file(&path).unwrap();
    let reader = reader(&fake, file).await.unwrap();
    assert!(*reader.read(5..20 * CHUNK as u64 + 1).await.unwrap() == plain[5..20 * CHUNK + 1]);
}

#[tokio::test]
async fn errors_of_the_source_are_handed_on() {
    let fake = Fake::new("a");
    let source = read_at_with(5000, |_| async {
        Err::<Bytes, _>(Error::new(ErrorKind::Throttled, "the store"))
    });
    assert_eq!(kind(reader(&fake, source).await), ErrorKind::Throttled);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn random_ranges(len in 0..200_000usize, a in 0..210_000u64, b in 0..210_000u64) {
        let run = async {
            let fake = Fake::new("a");
            let plain = plaintext(len);
            let source = Bytes::from(sealed(&fake, Suite::Cobblestone256, &plain).await);
            let reader = reader(&fake, source).await.unwrap();
            let clip = |at: u64| usize::try_from(at).unwrap().min(len);
            let (start, end) = (a.min(b), a.max(b));
            let out = reader.read(start..end).await.unwrap();
            assert!(*out == plain[clip(start)..clip(end)]);
        };
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(run);
    }
}
