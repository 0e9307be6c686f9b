//! Chunks in any order, sealed and opened.

use bytes::Buf;

use super::*;
use crate::{
    envelope::CachePolicy,
    stream::{Layout, RandomAccess, RunSealer},
};

async fn opened(fake: &Fake, sealed: &[u8], len: usize) -> Result<RandomAccess> {
    let (preamble, _) = Preamble::split(sealed)?;
    RandomAccess::new(Opener::new([fake]).begin(preamble, &context()).await?, len as u64)
}

fn slice(sealed: &[u8], layout: &Layout, chunks: std::ops::Range<u64>) -> Bytes {
    let places = layout.sealed_places(chunks);
    Bytes::copy_from_slice(&sealed[places.start as usize..places.end as usize])
}

/// In pieces, none of which is a chunk.
fn pieces(bytes: Bytes) -> impl Buf {
    let at = bytes.len() / 3;
    bytes.slice(..at).chain(bytes.slice(at..at + 1)).chain(bytes.slice(at + 1..))
}

#[tokio::test]
async fn runs_in_any_order_make_the_message_that_a_stream_makes() {
    let fake = Fake::new("a");
    for suite in [Suite::Aes256Gcm64KiB, Suite::Cobblestone256] {
        let chunk = suite.chunk_len();
        for len in [0, 1, chunk - 1, chunk, chunk + 1, 5 * chunk, 5 * chunk + 9] {
            let plain = plaintext(len);
            let sealing = sealer(&fake, suite).begin(&context()).await.unwrap();
            let (mut object, mut runs) = RunSealer::new(sealing);
            let mut cut = Vec::new();
            let mut at = 0;
            for chunks in [1, 2] {
                if len - at >= chunks * chunk {
                    let end = at + chunks * chunk;
                    cut.push((runs.cut(end - at).unwrap(), &plain[at..end]));
                    at = end;
                }
            }
            cut.push((runs.cut_last(len - at).unwrap(), &plain[at..]));
            let mut sealed: Vec<_> = cut
                .into_iter()
                .rev()
                .map(|(run, plain)| {
                    assert_eq!(run.plaintext_len(), plain.len());
                    let mut out = vec![0; run.sealed_len()];
                    run.seal(
                        pieces(Bytes::copy_from_slice(&[plain, b"xyz"].concat())).take(plain.len()),
                        &mut out,
                    )
                    .unwrap();
                    out
                })
                .collect();
            sealed.reverse();
            object.extend(sealed.concat());
            assert_eq!(super::opened(&fake, &object).await.unwrap(), plain);
        }
    }
}

#[tokio::test]
async fn a_run_is_cut_where_a_chunk_ends() {
    let fake = Fake::new("a");
    let sealing = sealer(&fake, Suite::default()).begin(&context()).await.unwrap();
    let (_, mut runs) = RunSealer::new(sealing);
    for bad in [0, 1, CHUNK - 1, CHUNK + 1] {
        assert_eq!(kind(runs.cut(bad)), ErrorKind::InvalidInput, "{bad}");
    }
    let run = runs.cut(CHUNK).unwrap();
    let mut room = vec![0; run.sealed_len()];
    assert_eq!(kind(run.seal(&[0; CHUNK - 1][..], &mut room)), ErrorKind::InvalidInput);
    let run = runs.cut(CHUNK).unwrap();
    room.pop();
    assert_eq!(kind(run.seal(&[0; CHUNK][..], &mut room)), ErrorKind::InvalidInput);
}

#[tokio::test]
async fn chunks_open_in_any_order_and_from_any_pieces() {
    let fake = Fake::new("a");
    for suite in [Suite::Aes256Gcm64KiB, Suite::Cobblestone256] {
        let chunk = suite.chunk_len();
        for len in [0, 1, chunk, 3 * chunk, 3 * chunk + 77] {
            let plain = plaintext(len);
            let sealed = sealed(&fake, suite, &plain).await;
            let message = opened(&fake, &sealed, sealed.len()).await.unwrap();
            let layout = *message.layout();
            assert_eq!(layout.plaintext_len(), len as u64);
            for first in (0..layout.chunk_count()).rev() {
                for end in first..=layout.chunk_count() {
                    let places = layout.plaintext_places(first..end);
                    let (from, to) = (places.start as usize, places.end as usize);
                    let mut out = vec![0; to - from];
                    let bytes = slice(&sealed, &layout, first..end);
                    message.open(first..end, bytes.clone(), &mut out).unwrap();
                    assert!(out == plain[from..to]);
                    if bytes.len() > 3 {
                        out.fill(0);
                        message.open(first..end, pieces(bytes.clone()), &mut out).unwrap();
                        assert!(out == plain[from..to]);
                        let (a, b) = (from + (to - from) / 3, to - (to - from) / 5);
                        let wanted = a as u64..b as u64;
                        let got = message.open_range(first..end, pieces(bytes), wanted).unwrap();
                        assert!(*got == plain[a..b]);
                    }
                }
            }
        }
    }
}

#[tokio::test]
async fn chunks_are_those_of_their_numbers_or_refused() {
    let fake = Fake::new("a");
    let plain = plaintext(3 * CHUNK);
    let good = sealed(&fake, Suite::default(), &plain).await;
    let message = opened(&fake, &good, good.len()).await.unwrap();
    let layout = *message.layout();
    let mut out = vec![0; CHUNK];
    let open = |chunks, bytes: Bytes, out: &mut [u8]| message.open(chunks, bytes, out);
    let one = slice(&good, &layout, 1..2);
    assert_eq!(kind(open(0..1, one.clone(), &mut out)), ErrorKind::NotAuthentic);
    assert_eq!(kind(open(1..2, one.slice(1..), &mut out)), ErrorKind::NotAuthentic);
    assert_eq!(kind(open(1..3, one.clone(), &mut vec![0; 2 * CHUNK])), ErrorKind::NotAuthentic);
    assert_eq!(kind(open(1..2, one.clone(), &mut out[1..])), ErrorKind::InvalidInput);
    assert_eq!(kind(open(4..5, one.clone(), &mut out)), ErrorKind::InvalidInput);
    #[allow(clippy::reversed_empty_ranges, reason = "what is refused")]
    let backwards = open(2..1, Bytes::new(), &mut []);
    assert_eq!(kind(backwards), ErrorKind::InvalidInput);
    let mut bad = one.to_vec();
    bad[CHUNK + 15] ^= 1;
    assert_eq!(kind(open(1..2, bad.into(), &mut out)), ErrorKind::NotAuthentic);
    open(1..2, one, &mut out).unwrap();
    assert!(out == plain[CHUNK..2 * CHUNK]);
}

#[tokio::test]
async fn an_end_that_is_not_the_messages_is_found_out() {
    let fake = Fake::new("a");
    let good = sealed(&fake, Suite::default(), &plaintext(2 * CHUNK + 100)).await;
    for len in [good.len() - 1, good.len() + 1, good.len() - 100, good.len() - CHUNK] {
        let Ok(message) = opened(&fake, &good, len).await else { continue };
        let mut bytes = good.clone();
        bytes.resize(len, 0);
        let layout = *message.layout();
        let last = layout.last_chunk()..layout.chunk_count();
        let sealed = slice(&bytes, &layout, last.clone());
        assert_eq!(kind(message.open_range(last, sealed, 0..0)), ErrorKind::NotAuthentic, "{len}");
    }
    let cut = opened(&fake, &good, 1024 + 56 + CHUNK + 16).await;
    assert_eq!(kind(cut), ErrorKind::NotAuthentic, "no message ends with a full chunk");
}

#[tokio::test]
async fn a_padded_value_is_a_stream_for_who_reads_it_and_uses_the_cache() {
    let fake = std::sync::Arc::new(Fake::new("a"));
    let recipient = || Sealer::builder().recipient(std::sync::Arc::clone(&fake));
    let cached = recipient().cache(CachePolicy::default());
    for (sealer, calls) in [(recipient().build().unwrap(), 3), (cached.build().unwrap(), 4)] {
        for len in [0, 10, CHUNK + 1] {
            let object = sealer.seal_padded(&plaintext(len), &context()).await.unwrap();
            let layout = Layout::new(sealer.suite(), sealer.header_len(), object.len() as u64);
            assert_eq!(layout.unwrap().plaintext_len(), len as u64);
            assert_eq!(super::opened(&fake, &object).await.unwrap(), plaintext(len));
            let (preamble, _) = Preamble::split(&object).unwrap();
            assert_eq!(preamble.header().is_data_key_shared(), calls == 4);
        }
        assert_eq!(fake.calls().0, calls);
    }
}
