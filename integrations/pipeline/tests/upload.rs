//! Uploads that fail half-way, and what is begun again.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of tests are tests too")]

use std::{
    collections::HashSet,
    io,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use bulla::{
    Context, CryptoProviderExt as _, Error, ErrorKind, Opener, Result, Sealer,
    format::{Preamble, Transform},
};
use bulla_conformance::Memory;
use bulla_pipeline::{
    Attempts, Bounds, ByteStream, Chain, FileSource, Once, Reading, Source, Writing, Zstd,
    source_with,
};
use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};

type Vault = Arc<Memory>;

fn writing() -> (Vault, Writing<Vault>) {
    let vault = Arc::new(Memory::with_key("pipeline", &[7; 32]));
    let sealer = Sealer::new(Arc::clone(&vault)).unwrap();
    (vault, Chain::new().compress(Zstd::new()).seal(sealer))
}

fn context() -> Context {
    Context::new().with_item("object", "a").unwrap()
}

fn body() -> Bytes {
    let mut random = fastrand::Rng::with_seed(3);
    (0..500_000).map(|_| random.u8(..)).collect()
}

async fn opened(vault: &Vault, sealed: &[u8]) -> Result<Vec<u8>> {
    let reading = Reading::builder(Opener::new([Arc::clone(vault)])).allow(Transform::Zstd).build();
    let sealed = stream::iter([Ok::<_, io::Error>(Bytes::copy_from_slice(sealed))]);
    let pieces: Vec<Bytes> = reading.stream(sealed, &context()).await?.try_collect().await?;
    Ok(pieces.concat())
}

/// A store whose first uploads break half-way.
#[derive(Default)]
struct Store {
    breaks: AtomicUsize,
    /// All bytes that each attempt sent.
    sent: Mutex<Vec<Vec<u8>>>,
}

impl Store {
    fn that_breaks(times: usize) -> Self {
        Self { breaks: AtomicUsize::new(times), sent: Mutex::default() }
    }

    async fn put(&self, mut sealed: ByteStream<'static>) -> Result<&'static str, io::Error> {
        let breaks = self.breaks.fetch_update(Relaxed, Relaxed, |n| n.checked_sub(1)).is_ok();
        let mut sent = Vec::new();
        let mut answer = Ok("stored");
        while let Some(piece) = sealed.next().await {
            match piece {
                Ok(piece) => sent.extend_from_slice(&piece),
                Err(error) => {
                    answer = Err(io::Error::other(error));
                    break;
                }
            }
            if breaks && sent.len() > 200_000 {
                answer = Err(io::ErrorKind::ConnectionReset.into());
                break;
            }
        }
        self.sent.lock().unwrap().push(sent);
        answer
    }
}

fn at_once(most: u32) -> Attempts {
    Attempts::up_to(most).wait(Duration::ZERO)
}

#[tokio::test]
async fn a_body_that_fails_twice_is_begun_again_under_new_keys() {
    let (vault, writing) = writing();
    let store = Store::that_breaks(2);
    let (body, begun) = (body(), AtomicUsize::new(0));
    let source = source_with(|| {
        begun.fetch_add(1, Relaxed);
        let pieces: Vec<_> = body
            .chunks(1000)
            .map(|piece| Ok::<_, io::Error>(Bytes::copy_from_slice(piece)))
            .collect();
        std::future::ready(Ok(stream::iter(pieces)))
    });
    let done = writing.upload(&source, &context(), at_once(3), |sealed| store.put(sealed)).await;
    assert_eq!(done.unwrap(), "stored");
    assert_eq!(begun.load(Relaxed), 3);
    let sent = store.sent.into_inner().unwrap();
    assert_eq!(sent.len(), 3);
    assert_eq!(opened(&vault, &sent[2]).await.unwrap(), body);
    for part in &sent[..2] {
        assert!(opened(&vault, part).await.is_err(), "half an upload opens");
    }
    // No two have a data key, a salt or a byte of a chunk in common.
    let heads: Vec<_> = sent.iter().map(|sent| Preamble::split(sent).unwrap().0).collect();
    let wraps: HashSet<_> =
        heads.iter().map(|head| head.header().recipients()[0].blob.clone()).collect();
    let salts: HashSet<_> = sent
        .iter()
        .zip(&heads)
        .map(|(sent, head)| &sent[head.len() - 56..head.len() - 32])
        .collect();
    let chunks: HashSet<_> =
        sent.iter().zip(&heads).map(|(sent, head)| &sent[head.len()..head.len() + 64]).collect();
    assert_eq!((wraps.len(), salts.len(), chunks.len()), (3, 3, 3));
}

#[tokio::test]
async fn attempts_run_out() {
    let (_, writing) = writing();
    for (most, made) in [(0, 1), (1, 1), (2, 2)] {
        let store = Store::that_breaks(9);
        let error = writing
            .upload(&body(), &context(), at_once(most), |sealed| store.put(sealed))
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Io);
        assert!(error.to_string().contains("connection reset"), "{error}");
        assert_eq!(store.sent.into_inner().unwrap().len(), made);
    }
}

#[tokio::test]
async fn a_source_that_is_spent_ends_it_and_nothing_is_acknowledged() {
    let (vault, writing) = writing();
    let store = Store::that_breaks(1);
    let pieces: Vec<_> = body()
        .chunks(1000)
        .map(|piece| Ok::<_, io::Error>(Bytes::copy_from_slice(piece)))
        .collect();
    let source = Once::new(stream::iter(pieces));
    let error = writing
        .upload(&source, &context(), at_once(5), |sealed| store.put(sealed))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Closed);
    assert!(error.message().contains("begun again"), "{error}");
    let source_error = std::error::Error::source(&error).unwrap().to_string();
    assert!(source_error.contains("connection reset"), "{source_error}");
    let sent = store.sent.into_inner().unwrap();
    assert_eq!(sent.len(), 1, "the rest of a spent body was sent");
    assert!(opened(&vault, &sent[0]).await.is_err());
    assert_eq!(source.open().await.err().unwrap().kind(), ErrorKind::Closed);

    let store = Store::default();
    let once = Once::new(stream::iter([Ok::<_, io::Error>(body())]));
    writing.upload(&once, &context(), at_once(1), |sealed| store.put(sealed)).await.unwrap();
    assert_eq!(opened(&vault, &store.sent.into_inner().unwrap()[0]).await.unwrap(), body());
}

#[tokio::test]
async fn success_before_the_end_is_no_success() {
    let (vault, writing) = writing();
    let kept = Mutex::new(Vec::new());
    let hasty = |mut sealed: ByteStream<'static>| {
        let kept = &kept;
        async move {
            let first = sealed.next().await.unwrap().unwrap();
            kept.lock().unwrap().extend_from_slice(&first);
            Ok::<_, io::Error>("stored")
        }
    };
    let error = writing.upload(&body(), &context(), Attempts::ONE, hasty).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Io);
    assert!(opened(&vault, &kept.into_inner().unwrap()).await.is_err());

    // One that knows the length, and asks for nothing behind it, is done with the last piece and not before.
    let pieces = AtomicUsize::new(0);
    let reads = |most: usize| {
        let pieces = &pieces;
        move |sealed: ByteStream<'static>| async move {
            let read: Vec<_> = sealed.take(most).collect().await;
            pieces.store(read.len(), Relaxed);
            Ok::<_, io::Error>("stored")
        }
    };
    writing.upload(&body(), &context(), Attempts::ONE, reads(usize::MAX)).await.unwrap();
    let all = pieces.load(Relaxed);
    assert!(all > 2);
    writing.upload(&body(), &context(), Attempts::ONE, reads(all)).await.unwrap();
    let fewer = writing.upload(&body(), &context(), Attempts::ONE, reads(all - 1)).await;
    assert_eq!(fewer.unwrap_err().kind(), ErrorKind::Io);

    // One that takes an error for the end stores what does not open, and is not believed.
    let lax = |mut sealed: ByteStream<'static>| async move {
        while let Some(Ok(_)) = sealed.next().await {}
        Ok::<_, io::Error>("stored")
    };
    let broken = source_with(|| {
        let pieces =
            [Ok(Bytes::from_static(b"half")), Err(io::Error::from(io::ErrorKind::BrokenPipe))];
        std::future::ready(Ok(stream::iter(pieces)))
    });
    let error = writing.upload(&broken, &context(), at_once(2), lax).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Io);
}

#[tokio::test]
async fn what_would_fail_again_is_not_tried_again() {
    let (_, _) = writing();
    let vault = Arc::new(Memory::new("pipeline"));
    let bounds = Bounds::builder().max_len(1000).build().unwrap();
    let sealer = Sealer::new(Arc::clone(&vault)).unwrap();
    let writing = Chain::new().compress(Zstd::new().bounds(bounds)).seal(sealer);
    let store = Store::default();
    let error = writing
        .upload(&body(), &context(), at_once(5), |sealed| store.put(sealed))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::QuotaExceeded);
    assert_eq!(store.sent.into_inner().unwrap().len(), 1);
    let missing = FileSource::new("/nonexistent/bulla");
    let error = writing
        .upload(&missing, &context(), at_once(5), |_| async { Ok::<_, io::Error>(()) })
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Io);
    assert!(vault.open(b"", &context()).await.is_err());
}

#[tokio::test]
async fn a_file_is_read_again_from_its_first_byte() {
    let (vault, writing) = writing();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("body");
    std::fs::write(&path, body()).unwrap();
    let store = Store::that_breaks(2);
    let source = FileSource::new(&path);
    writing.upload(&source, &context(), at_once(3), |sealed| store.put(sealed)).await.unwrap();
    let sent = store.sent.into_inner().unwrap();
    assert_eq!(opened(&vault, &sent[2]).await.unwrap(), body());
    assert!(Error::from_io(io::ErrorKind::Other.into()).kind() == ErrorKind::Io);
}
