//! Both ways of a chain, by readers, writers and streams, and what must not come out of it.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of tests are tests too")]

use std::{
    convert::Infallible,
    io,
    pin::Pin,
    sync::Arc,
    task::{Context as Task, Poll},
};

use bulla::{
    Context, CryptoProviderExt as _, Error, ErrorKind, Opener, Result, Sealer,
    format::{Preamble, Transform},
};
use bulla_conformance::Memory;
use bulla_pipeline::{Bounds, Chain, Reading, Writing, Zstd};
use bytes::Bytes;
use futures_util::{TryStreamExt, stream};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _, ReadBuf};

type Vault = Arc<Memory>;

fn vault() -> Vault {
    Arc::new(Memory::with_key("pipeline", &[7; 32]))
}

fn sealer(vault: &Vault) -> Sealer<Vault> {
    Sealer::new(Arc::clone(vault)).unwrap()
}

fn plain(vault: &Vault) -> Writing<Vault> {
    Chain::new().seal(sealer(vault))
}

fn zstd(vault: &Vault) -> Writing<Vault> {
    Chain::new().compress(Zstd::new()).seal(sealer(vault))
}

fn opener(vault: &Vault) -> Opener<Vault> {
    Opener::new([Arc::clone(vault)])
}

fn reading(vault: &Vault) -> Reading<Vault> {
    Reading::builder(opener(vault)).allow(Transform::Zstd).build()
}

fn context() -> Context {
    Context::new().with_key("tenant", "acme").unwrap().with_item("object", "a/b").unwrap()
}

fn named() -> Context {
    context().with_transform(Transform::Zstd).unwrap()
}

/// Half of it repeats, half does not.
fn sample(len: usize) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(9);
    (0..len).map(|at| if at & 64 == 0 { b'a' } else { random.u8(..) }).collect()
}

async fn seal(writing: &Writing<Vault>, plaintext: &[u8]) -> Vec<u8> {
    let mut sealed = Vec::new();
    let mut reader = writing.reader(plaintext, &context()).await.unwrap();
    reader.read_to_end(&mut sealed).await.unwrap();
    sealed
}

/// What came out, whether it ended well or not.
async fn open(reading: &Reading<Vault>, sealed: &[u8]) -> (Vec<u8>, Result<()>) {
    let mut opened = Vec::new();
    let mut reader = match reading.reader(sealed, &context()).await {
        Ok(reader) => reader,
        Err(error) => return (opened, Err(error)),
    };
    let read = reader.read_to_end(&mut opened).await;
    if read.is_err() {
        let again = reader.read_to_end(&mut opened).await;
        assert!(again.is_err(), "a reader that failed fails on");
    }
    (opened, read.map(drop).map_err(Error::from_io))
}

async fn opened(vault: &Vault, sealed: &[u8]) -> Vec<u8> {
    let (plain, ended) = open(&reading(vault), sealed).await;
    ended.unwrap();
    plain
}

fn kind<T>(result: Result<T>) -> ErrorKind {
    result.err().expect("this must fail").kind()
}

/// What is called compressed in the header, whatever it is.
async fn sealed_as_compressed(vault: &Vault, bytes: &[u8]) -> Vec<u8> {
    let mut sealed = Vec::new();
    let mut reader = sealer(vault).encrypt_reader(bytes, &named()).await.unwrap();
    reader.read_to_end(&mut sealed).await.unwrap();
    sealed
}

#[tokio::test]
async fn what_goes_in_comes_out_by_every_way() {
    let vault = vault();
    for writing in [plain(&vault), zstd(&vault)] {
        for len in [0, 1, 5, 65_535, 65_536, 65_537, 131_072, 1_000_003] {
            let plaintext = sample(len);
            let by_reader = seal(&writing, &plaintext).await;

            let pieces = plaintext.chunks(7000).map(|piece| Ok(Bytes::copy_from_slice(piece)));
            let pieces = stream::iter(pieces.collect::<Vec<Result<_, Infallible>>>());
            let by_stream = writing.stream(pieces, &context()).await.unwrap();
            let by_stream: Vec<Bytes> = by_stream.try_collect().await.unwrap();
            let by_stream = by_stream.concat();

            let mut writer = writing.writer(Vec::new(), &context()).await.unwrap();
            for piece in plaintext.chunks(9001) {
                writer.write_all(piece).await.unwrap();
                writer.flush().await.unwrap();
            }
            let by_writer = writer.finish().await.unwrap();

            for sealed in [by_reader, by_stream, by_writer] {
                assert_eq!(opened(&vault, &sealed).await, plaintext, "{len}");
                let said = Preamble::split(&sealed).unwrap().0.header().transform().unwrap();
                assert_eq!(said, writing.transform());
                let bytes = stream::iter(
                    sealed
                        .chunks(1)
                        .map(|b| Ok::<_, io::Error>(Bytes::copy_from_slice(b)))
                        .collect::<Vec<_>>(),
                );
                if len < 10 {
                    let back = reading(&vault).stream(bytes, &context()).await.unwrap();
                    let back: Vec<Bytes> = back.try_collect().await.unwrap();
                    assert_eq!(back.concat(), plaintext);
                }
            }
        }
    }
}

#[tokio::test]
async fn it_is_compressed_before_it_is_sealed() {
    let vault = vault();
    let plaintext = sample(1 << 20);
    let sealed = seal(&zstd(&vault), &plaintext).await;
    assert!(sealed.len() < plaintext.len() * 6 / 10, "{}", sealed.len());
    let incompressible = seal(&plain(&vault), &plaintext).await;
    assert!(incompressible.len() > plaintext.len());
    // What opens, for who names the transform, is a frame that any zstd reads.
    let frame = vault.open(&sealed, &named()).await.unwrap();
    assert_eq!(frame[..4], 0xFD2F_B528_u32.to_le_bytes());
}

#[tokio::test]
async fn compressed_bytes_are_nobodys_plaintext() {
    let vault = vault();
    let sealed = seal(&zstd(&vault), b"hello").await;
    assert_eq!(kind(vault.open(&sealed, &context()).await), ErrorKind::ContextMismatch);
    assert_eq!(
        kind(opener(&vault).decrypt_reader(&sealed[..], &context()).await),
        ErrorKind::ContextMismatch
    );
    let unstored = context().item().clone();
    let stored = opener(&vault).open_with_stored_context(&sealed, &unstored).await;
    assert_eq!(kind(stored), ErrorKind::Unsupported);
    // Nor does a reader decompress that was not told to.
    let reader = Reading::new(opener(&vault));
    let error = open(&reader, &sealed).await.1.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.message().contains("allow"), "{error}");
    // One that was told to opens what was not compressed as well.
    let sealed = seal(&plain(&vault), b"hello").await;
    assert_eq!(opened(&vault, &sealed).await, b"hello");
}

#[tokio::test]
async fn a_transform_is_the_chains_to_name() {
    let vault = vault();
    for writing in [plain(&vault), zstd(&vault)] {
        assert_eq!(kind(writing.reader(&b"x"[..], &named()).await), ErrorKind::InvalidInput);
        assert_eq!(kind(writing.writer(Vec::new(), &named()).await), ErrorKind::InvalidInput);
        let body = stream::iter([Ok::<_, io::Error>(Bytes::new())]);
        assert_eq!(kind(writing.stream(body, &named()).await), ErrorKind::InvalidInput);
    }
    let sealed = seal(&zstd(&vault), b"hello").await;
    assert_eq!(kind(reading(&vault).reader(&sealed[..], &named()).await), ErrorKind::InvalidInput);
}

#[tokio::test]
async fn a_message_that_was_cut_is_never_a_short_plaintext() {
    let vault = vault();
    let plaintext = sample(400_000);
    for writing in [plain(&vault), zstd(&vault)] {
        let sealed = seal(&writing, &plaintext).await;
        let (head, chunks) = Preamble::split(&sealed).unwrap();
        let head = head.len();
        let mut cuts = vec![0, 1, head - 1, head, head + 1, sealed.len() - 1];
        cuts.extend((0..chunks.len() / 65_552 + 1).map(|n| head + n * 65_552));
        for cut in cuts.into_iter().filter(|cut| *cut < sealed.len()) {
            let (out, ended) = open(&reading(&vault), &sealed[..cut]).await;
            ended.expect_err("it was cut");
            assert!(plaintext.starts_with(&out) && out.len() < plaintext.len() + 1, "{cut}");
        }
        let mut longer = sealed.clone();
        longer.push(0);
        assert_eq!(kind(open(&reading(&vault), &longer).await.1), ErrorKind::NotAuthentic);
    }
}

#[tokio::test]
async fn every_byte_of_a_message_counts() {
    let vault = vault();
    let sealed = seal(&zstd(&vault), b"hello, hello, hello").await;
    for at in 0..sealed.len() {
        let mut bad = sealed.clone();
        bad[at] ^= 1;
        let (out, ended) = open(&reading(&vault), &bad).await;
        assert!(ended.is_err() && out.is_empty(), "{at}");
    }
}

/// A frame of blocks that each say "this byte, 128 KiB of it" in four bytes.
fn bomb(blocks: usize, window: u8) -> Vec<u8> {
    let mut frame = [&0xFD2F_B528_u32.to_le_bytes()[..], &[0x00, window]].concat();
    for block in 1..=blocks {
        let last = u32::from(block == blocks);
        let head = (131_072 << 3) | (1 << 1) | last;
        frame.extend(&head.to_le_bytes()[..3]);
        frame.push(0);
    }
    frame
}

/// A window of 128 KiB, and one of 16 MiB.
const SMALL: u8 = 0x38;
const LARGE: u8 = 0x70;

#[tokio::test]
async fn a_bomb_ends_at_the_bounds() {
    let vault = vault();
    let bounded =
        |bounds| Reading::builder(opener(&vault)).allow(Transform::Zstd).bounds(bounds).build();
    // 1 GiB out of 32 KiB.
    let sealed = sealed_as_compressed(&vault, &bomb(8192, SMALL)).await;
    for (bounds, most, word) in [
        (Bounds::builder().max_len(10 << 20).build().unwrap(), 10 << 20, "10485760"),
        (Bounds::builder().max_ratio(100, 1 << 20).build().unwrap(), 10 << 20, "100 times"),
        (Bounds::default(), 258 << 20, "1024 times"),
    ] {
        let mut reader = bounded(bounds).reader(&sealed[..], &context()).await.unwrap();
        let mut piece = vec![1; 64 << 10];
        let mut made = 0;
        let error = loop {
            match reader.read(&mut piece).await {
                Ok(len) => made += len,
                Err(error) => break Error::from_io(error),
            }
            assert!(made <= most, "{made}");
        };
        assert_eq!(error.kind(), ErrorKind::QuotaExceeded);
        assert!(error.message().contains(word), "{error}");
        assert!(piece.iter().all(|byte| *byte != 1), "it was written to before, and is wiped");
    }
    let free = Bounds::builder().max_ratio(40_000, 0).build().unwrap();
    let mut sink = tokio::io::sink();
    let mut reader = bounded(free).reader(&sealed[..], &context()).await.unwrap();
    assert_eq!(tokio::io::copy(&mut reader, &mut sink).await.unwrap(), 1 << 30);
}

#[tokio::test]
async fn a_window_beyond_the_bounds_is_refused_before_it_is_held() {
    let vault = vault();
    let sealed = sealed_as_compressed(&vault, &bomb(2, LARGE)).await;
    let error = open(&reading(&vault), &sealed).await.1.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::QuotaExceeded);
    assert!(error.message().contains("window of 16777216 bytes"), "{error}");
    let larger = Bounds::builder().max_window(16 << 20).build().unwrap();
    let reader = Reading::builder(opener(&vault)).allow(Transform::Zstd).bounds(larger).build();
    let (out, ended) = open(&reader, &sealed).await;
    ended.unwrap();
    assert_eq!(out.len(), 262_144);
}

#[tokio::test]
async fn what_is_not_one_whole_frame_is_damaged() {
    let vault = vault();
    let frame = bomb(1, SMALL);
    let skippable = [0x50, 0x2a, 0x4d, 0x18, 2, 0, 0, 0, 1, 2];
    let mut with_dictionary = [&0xFD2F_B528_u32.to_le_bytes()[..], &[0x01, SMALL, 9]].concat();
    with_dictionary.extend(&frame[6..]);
    let mut reserved = frame.clone();
    reserved[6] |= 0b110; // a block of the reserved type
    let cases: Vec<(&str, Vec<u8>)> = vec![
        ("nothing", Vec::new()),
        ("no frame", b"hello, I am not compressed".to_vec()),
        ("two frames", [&frame[..], &frame].concat()),
        ("a byte behind", [&frame[..], &[0]].concat()),
        ("a skippable frame before", [&skippable[..], &frame].concat()),
        ("a skippable frame behind", [&frame[..], &skippable].concat()),
        ("a skippable frame alone", skippable.to_vec()),
        ("a dictionary", with_dictionary),
        ("a reserved block", reserved),
    ];
    for (what, bytes) in cases {
        let sealed = sealed_as_compressed(&vault, &bytes).await;
        let (_, ended) = open(&reading(&vault), &sealed).await;
        assert_eq!(kind(ended), ErrorKind::Damaged, "{what}");
    }
    let real = vault.open(&seal(&zstd(&vault), &sample(200_000)).await, &named()).await.unwrap();
    for cut in [1, 3, 4, 5, 6, 9, real.len() / 2, real.len() - 1] {
        let sealed = sealed_as_compressed(&vault, &real[..cut]).await;
        let (_, ended) = open(&reading(&vault), &sealed).await;
        assert_eq!(kind(ended), ErrorKind::Damaged, "{cut}");
    }
    // Behind a frame that ends where a chunk does, the message must end too.
    let sealed = sealed_as_compressed(&vault, &[&frame[..], &vec![0; 70_000]].concat()).await;
    assert_eq!(kind(open(&reading(&vault), &sealed).await.1), ErrorKind::Damaged);
}

#[tokio::test]
async fn a_writer_keeps_to_what_a_reader_allows() {
    let vault = vault();
    let zeros = vec![0; 4 << 20];
    let small = Bounds::builder().max_len(1 << 20).build().unwrap();
    let flat = Bounds::builder().max_ratio(20, 1 << 20).build().unwrap();
    for bounds in [small, flat] {
        let writing = Chain::new().compress(Zstd::new().bounds(bounds)).seal(sealer(&vault));
        let mut sealed = Vec::new();
        let mut reader = writing.reader(&zeros[..], &context()).await.unwrap();
        let error = reader.read_to_end(&mut sealed).await.unwrap_err();
        assert_eq!(Error::from_io(error).kind(), ErrorKind::QuotaExceeded);
        assert!(open(&reading(&vault), &sealed).await.1.is_err(), "what was written does not open");
        let mut writer = writing.writer(Vec::new(), &context()).await.unwrap();
        let wrote = writer.write_all(&zeros).await;
        let finished = writer.finish().await;
        assert!(wrote.is_err() || finished.is_err());
        assert!(matches!(kind(finished), ErrorKind::QuotaExceeded | ErrorKind::Closed));
        // What it allows, the reader with the same bounds does.
        let fine = sample(1 << 20);
        let reader = Reading::builder(opener(&vault)).allow(Transform::Zstd).bounds(bounds).build();
        let (out, ended) = open(&reader, &seal(&writing, &fine).await).await;
        ended.unwrap();
        assert_eq!(out, fine);
    }
    let narrow = Bounds::builder().max_window(1 << 16).build().unwrap();
    let writing =
        Chain::new().compress(Zstd::new().level(19).unwrap().bounds(narrow)).seal(sealer(&vault));
    let reader = Reading::builder(opener(&vault)).allow(Transform::Zstd).bounds(narrow).build();
    let plaintext = sample(1 << 20);
    let (out, ended) = open(&reader, &seal(&writing, &plaintext).await).await;
    ended.unwrap();
    assert_eq!(out, plaintext);
    assert!(Zstd::new().level(0).is_err() && Zstd::new().level(20).is_err());
}

#[tokio::test]
async fn compressing_gives_others_their_turn() {
    let vault = vault();
    let zeros = vec![0; 32 << 20];
    let mut reader = zstd(&vault).reader(&zeros[..], &context()).await.unwrap();
    let mut sealed = Vec::new();
    let mut reading = std::pin::pin!(reader.read_to_end(&mut sealed));
    let mut turns = 0;
    while futures_util::poll!(reading.as_mut()).is_pending() {
        turns += 1;
    }
    assert!(turns >= 128, "{turns} turns");
    assert_eq!(opened(&vault, &sealed).await, zeros);
}

/// Yields some bytes and then an error, and after that an end.
struct Breaks(usize, bool);

impl AsyncRead for Breaks {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Task<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let len = self.0.min(buf.remaining());
        buf.put_slice(&vec![7; len]);
        self.0 -= len;
        if len > 0 || std::mem::replace(&mut self.1, true) {
            return Poll::Ready(Ok(()));
        }
        Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()))
    }
}

#[tokio::test]
async fn an_error_of_the_source_leaves_nothing_that_opens() {
    let vault = vault();
    for writing in [plain(&vault), zstd(&vault)] {
        for len in [0, 1000, 65_536, 200_000] {
            let mut sealed = Vec::new();
            let mut reader = writing.reader(Breaks(len, false), &context()).await.unwrap();
            let error = reader.read_to_end(&mut sealed).await.unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
            assert!(
                reader.read_to_end(&mut sealed).await.is_err(),
                "nor does reading on end it well"
            );
            assert!(open(&reading(&vault), &sealed).await.1.is_err());

            let breaks = [
                Ok(Bytes::from(vec![7; len])),
                Err(io::Error::from(io::ErrorKind::ConnectionReset)),
            ];
            let sealed = writing.stream(stream::iter(breaks), &context()).await.unwrap();
            let error = sealed.try_collect::<Vec<_>>().await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Io);
        }
        // Nor does an error of what is opened become an end.
        let sealed = seal(&writing, &sample(200_000)).await;
        let pieces = [Ok(Bytes::from(sealed[..100_000].to_vec())), Err(io::Error::other("gone"))];
        let opened = reading(&vault).stream(stream::iter(pieces), &context()).await.unwrap();
        assert_eq!(kind(opened.try_collect::<Vec<_>>().await), ErrorKind::Io);
    }
}

#[tokio::test]
async fn only_finish_ends_what_a_writer_writes() {
    let vault = vault();
    for writing in [plain(&vault), zstd(&vault)] {
        let mut sink = Vec::new();
        let mut writer = writing.writer(&mut sink, &context()).await.unwrap();
        writer.write_all(&sample(300_000)).await.unwrap();
        writer.flush().await.unwrap();
        let error = writer.shutdown().await.unwrap_err();
        assert_eq!(Error::from_io(error).kind(), ErrorKind::Closed);
        assert!(writer.write_all(b"x").await.is_err());
        assert_eq!(kind(writer.finish().await), ErrorKind::Closed);
        assert!(open(&reading(&vault), &sink).await.1.is_err());

        let mut sink = Vec::new();
        let mut writer = writing.writer(&mut sink, &context()).await.unwrap();
        writer.write_all(&sample(300_000)).await.unwrap();
        drop(writer);
        assert!(open(&reading(&vault), &sink).await.1.is_err());

        // A sink that takes no more is told as what it is.
        let (few, _keep) = tokio::io::duplex(4096);
        let mut writer = writing.writer(few, &context()).await.unwrap();
        drop(_keep);
        let wrote = writer.write_all(&sample(500_000)).await;
        let finished = writer.finish().await;
        assert!(wrote.is_err() || finished.is_err());
    }
}

#[tokio::test]
async fn a_message_cannot_be_moved_to_another_place() {
    let vault = vault();
    let sealed = seal(&zstd(&vault), b"hello").await;
    let elsewhere =
        Context::new().with_key("tenant", "acme").unwrap().with_item("object", "a/c").unwrap();
    assert_eq!(
        kind(reading(&vault).reader(&sealed[..], &elsewhere).await),
        ErrorKind::NotAuthentic
    );
    let tenant =
        Context::new().with_key("tenant", "evil").unwrap().with_item("object", "a/b").unwrap();
    assert_eq!(
        kind(reading(&vault).reader(&sealed[..], &tenant).await),
        ErrorKind::ContextMismatch
    );
}
