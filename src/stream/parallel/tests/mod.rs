//! The same bytes as on one thread, in order, bounded, and nothing left behind.

#![allow(clippy::cast_possible_truncation, reason = "small numbers of test data")]

use std::{
    io::{self, Cursor},
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    task::{Context as Task, Poll},
    time::Duration,
};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};

use super::*;
use crate::{
    DataKeys as _, ErrorKind, Opener,
    envelope::tests::{context, kind, with_salt},
    format::{Preamble, Suite},
    key::DataKey,
    stream::EncryptReader,
    testing::Fake,
};

const MIB: usize = 1 << 20;

/// Around the ends of chunks and of runs.
const LENGTHS: [usize; 12] = [
    0,
    1,
    16_384,
    65_535,
    65_536,
    65_537,
    MIB - 1,
    MIB,
    MIB + 1,
    2 * MIB,
    3 * MIB + 65_536,
    5 * MIB + 77,
];

const SUITES: [Suite; 2] = [Suite::Aes256Gcm64KiB, Suite::Cobblestone256];

fn plaintext(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i % 251) as u8).collect()
}

fn threads(n: usize) -> Parallel {
    Parallel::with_threads(NonZeroUsize::new(n).unwrap())
}

/// The same header each time, so that outputs can be compared.
struct Vault {
    fake: Fake,
    suite: Suite,
    data_key: DataKey,
    wrapped: crate::Wrapped,
}

impl Vault {
    async fn new(suite: Suite) -> Self {
        let fake = Fake::new("a");
        let (data_key, wrapped) = fake.generate_data_key(context().key()).await.unwrap();
        Self { fake, suite, data_key, wrapped }
    }

    fn begin(&self) -> Sealing {
        let recipients = vec![self.wrapped.clone()];
        with_salt(self.suite, &self.data_key, recipients, &context(), [7; 24])
    }

    fn sealed(&self, plaintext: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        Read::read_to_end(&mut EncryptReader::new(self.begin(), plaintext), &mut out).unwrap();
        out
    }

    async fn open<'a>(&self, sealed: &'a [u8]) -> (Opening, &'a [u8]) {
        let (head, chunks) = Preamble::split(sealed).unwrap();
        (Opener::new([&self.fake]).begin(head, &context()).await.unwrap(), chunks)
    }
}

#[tokio::test]
async fn threads_make_the_bytes_that_one_makes() {
    for suite in SUITES {
        let vault = Vault::new(suite).await;
        for len in LENGTHS {
            let plain = plaintext(len);
            let sealed = vault.sealed(&plain);
            for n in [1, 2, 5] {
                let out = threads(n).encrypt(vault.begin(), &plain[..], Vec::new()).unwrap();
                assert!(out == sealed, "{suite:?} {len} {n}");
                let (opened, chunks) = vault.open(&sealed).await;
                let out = threads(n).decrypt(opened, chunks, Vec::new()).unwrap();
                assert!(out == plain, "{suite:?} {len} {n}");
            }
        }
    }
}

#[tokio::test]
async fn tasks_make_the_bytes_that_one_thread_makes() {
    for suite in SUITES {
        let vault = Vault::new(suite).await;
        for len in LENGTHS {
            let plain = plaintext(len);
            let sealed = vault.sealed(&plain);
            for n in [1, 3] {
                let parallel = threads(n);
                let mut out = Vec::new();
                let from = Pieces::new(&plain, 100_003);
                let mut reader = parallel.encrypt_reader(vault.begin(), from);
                reader.read_to_end(&mut out).await.unwrap();
                assert!(out == sealed, "{suite:?} {len} {n}");

                let (opened, chunks) = vault.open(&sealed).await;
                let mut out = Vec::new();
                let mut reader = parallel.decrypt_reader(opened, Pieces::new(chunks, 77_777));
                reader.read_to_end(&mut out).await.unwrap();
                assert!(out == plain, "{suite:?} {len} {n}");

                let mut writer = parallel.encrypt_writer(vault.begin(), Vec::new());
                for (i, piece) in plain.chunks(90_001).enumerate() {
                    writer.write_all(piece).await.unwrap();
                    if i % 5 == 0 {
                        writer.flush().await.unwrap();
                    }
                }
                assert!(writer.finish().await.unwrap() == sealed, "{suite:?} {len} {n}");

                let (opened, chunks) = vault.open(&sealed).await;
                let mut writer = parallel.decrypt_writer(opened, Slow::default());
                writer.write_all(chunks).await.unwrap();
                assert!(writer.finish().await.unwrap().bytes == plain, "{suite:?} {len} {n}");
            }
        }
    }
}

#[tokio::test]
async fn a_flush_hands_on_every_whole_chunk() {
    let vault = Vault::new(SUITES[0]).await;
    let mut writer = threads(2).encrypt_writer(vault.begin(), Vec::new());
    writer.write_all(&plaintext(3 * 65_536 + 5)).await.unwrap();
    writer.flush().await.unwrap();
    let head = vault.begin().bytes.len();
    assert_eq!(writer.inner.len(), head + 3 * (65_536 + 16));
}

/// Cut anywhere near a boundary, extended, or altered in any chunk: what comes out is a prefix of
/// the plaintext and never an end.
#[tokio::test]
async fn what_is_damaged_gives_a_prefix_and_an_error() {
    for suite in SUITES {
        let vault = Vault::new(suite).await;
        let plain = plaintext(2 * MIB + 200_000);
        let sealed = vault.sealed(&plain);
        let (_, chunks) = vault.open(&sealed).await;
        let step = suite.sealed_chunk_len();
        let mut damaged = Vec::new();
        for at in (0..chunks.len()).step_by(step) {
            for cut in [at, at + 1, at + 15, at + 16] {
                damaged.push(chunks[..cut.min(chunks.len() - 1)].to_vec());
            }
            let mut flipped = chunks.to_vec();
            flipped[at] ^= 1;
            damaged.push(flipped);
        }
        damaged.push([chunks, &[0]].concat());
        damaged.push([chunks, &chunks[..step]].concat());
        let mut swapped = chunks.to_vec();
        swapped.copy_within(MIB + 16 * (MIB / (step - 16)).., 0);
        damaged.push(swapped);
        for (i, bad) in damaged.into_iter().enumerate() {
            let (opened, _) = vault.open(&sealed).await;
            let mut sink = Shared::default();
            let result = threads(3).decrypt(opened, &bad[..], sink.clone());
            assert_eq!(kind(result), ErrorKind::NotAuthentic, "{suite:?} {i}");
            assert!(plain.starts_with(&sink.take()), "{suite:?} {i}");

            if i % 7 == 0 {
                let (opened, _) = vault.open(&sealed).await;
                let mut reader = threads(3).decrypt_reader(opened, &bad[..]);
                let mut out = Vec::new();
                let error = reader.read_to_end(&mut out).await.unwrap_err();
                assert_eq!(Error::from_io(error).kind(), ErrorKind::NotAuthentic);
                assert!(plain.starts_with(&out), "{suite:?} {i}");
                assert!(reader.read(&mut [0]).await.is_err(), "an error is not followed by an end");

                let (opened, _) = vault.open(&sealed).await;
                let mut writer = threads(3).decrypt_writer(opened, Shared::default());
                let sink = writer.inner.clone();
                let written = writer.write_all(&bad).await;
                assert!(written.is_err() || writer.finish().await.is_err(), "{suite:?} {i}");
                assert!(plain.starts_with(&{ sink }.take()), "{suite:?} {i}");
            }
        }
    }
}

#[tokio::test]
async fn a_source_that_fails_leaves_no_message() {
    let vault = Vault::new(SUITES[0]).await;
    let plain = plaintext(3 * MIB);
    for good in [0, 1, 65_536, MIB, 2 * MIB + 1] {
        let mut sink = Shared::default();
        let source = Read::chain(&plain[..good], Fails);
        let result = threads(2).encrypt(vault.begin(), source, sink.clone());
        assert_eq!(kind(result), ErrorKind::Io, "{good}");
        let bytes = sink.take();
        let (opened, chunks) = vault.open(&bytes).await;
        let reopened = threads(2).decrypt(opened, chunks, Vec::new());
        assert_eq!(kind(reopened), ErrorKind::NotAuthentic, "{good}");

        let source = AsyncReadExt::chain(&plain[..good], Fails);
        let mut reader = threads(2).encrypt_reader(vault.begin(), source);
        let mut bytes = Vec::new();
        reader.read_to_end(&mut bytes).await.unwrap_err();
        assert!(reader.read(&mut [0]).await.is_err());
        if Preamble::split(&bytes).is_ok() {
            let (opened, chunks) = vault.open(&bytes).await;
            let reopened = threads(2).decrypt(opened, chunks, Vec::new());
            assert_eq!(kind(reopened), ErrorKind::NotAuthentic, "{good}");
        }
    }
}

#[tokio::test]
async fn only_finish_ends_a_message() {
    let vault = Vault::new(SUITES[0]).await;
    for way in ["drop", "shutdown"] {
        let mut writer = threads(2).encrypt_writer(vault.begin(), Shared::default());
        let mut sink = writer.inner.clone();
        writer.write_all(&plaintext(MIB + 5)).await.unwrap();
        writer.flush().await.unwrap();
        if way == "shutdown" {
            writer.shutdown().await.unwrap_err();
            assert!(writer.write(b"more").await.is_err());
            writer.finish().await.unwrap_err();
        } else {
            drop(writer);
        }
        let bytes = sink.take();
        let (opened, chunks) = vault.open(&bytes).await;
        assert_eq!(kind(threads(2).decrypt(opened, chunks, Vec::new())), ErrorKind::NotAuthentic);
    }
}

#[tokio::test]
async fn a_sink_that_fails_ends_it_for_all_threads() {
    let vault = Vault::new(SUITES[0]).await;
    let plain = plaintext(40 * MIB);
    for good in [0, 100, MIB, 3 * MIB] {
        let mut read = Counting { inner: Cursor::new(&plain[..]), count: Arc::default() };
        let sink = io::BufWriter::with_capacity(0, Full(good));
        let error = threads(3).encrypt(vault.begin(), &mut read, sink).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Io, "{good}");
        let count = read.count.load(SeqCst);
        assert!(count <= good + 5 * MIB, "{count} bytes were read for {good} written");
    }
    let mut writer = threads(3).encrypt_writer(vault.begin(), Full(MIB));
    writer.write_all(&plain).await.unwrap_err();
    assert!(writer.finish().await.is_err());
}

#[tokio::test]
async fn panics_of_reader_and_writer_come_out_and_nobody_waits_for_ever() {
    struct Bad;
    impl Read for Bad {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            panic!("as the test asked")
        }
    }
    impl Write for Bad {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            panic!("as the test asked")
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let vault = Vault::new(SUITES[0]).await;
    let plain = plaintext(8 * MIB);
    for _ in 0..20 {
        let (opened, sealed) = (vault.begin(), vault.begin());
        let source = Read::chain(&plain[..3 * MIB], Bad);
        let parallel = threads(4);
        let run = || parallel.encrypt(opened, source, io::sink()).map(drop);
        assert!(catch_unwind(AssertUnwindSafe(run)).is_err());
        let run = || carry(SealingHalf(sealed.chunks), parallel.threads, &plain[..], Bad).map(drop);
        assert!(catch_unwind(AssertUnwindSafe(run)).is_err());
    }
}

#[tokio::test]
async fn nothing_is_read_or_taken_beyond_the_bound() {
    let vault = Vault::new(SUITES[0]).await;
    let count = Arc::new(AtomicUsize::new(0));
    let endless = Counting { inner: tokio::io::repeat(7), count: Arc::clone(&count) };
    let mut reader = threads(3).encrypt_reader(vault.begin(), endless);
    for _ in 0..100 {
        reader.read_exact(&mut [0]).await.unwrap(); // within the head
        tokio::task::yield_now().await;
    }
    assert!(count.load(SeqCst) <= 4 * MIB, "{count:?}");

    let mut writer = threads(3).encrypt_writer(vault.begin(), Never);
    let plain = vec![7; 64 * MIB];
    let written = tokio::time::timeout(Duration::from_millis(300), async {
        let mut taken = 0;
        while let Some(rest) = plain.get(taken..).filter(|rest| !rest.is_empty()) {
            taken += writer.write(rest).await.unwrap();
            count.store(taken, SeqCst);
        }
    });
    assert!(written.await.is_err(), "a sink that takes nothing holds the writer back");
    assert!((MIB..=4 * MIB).contains(&count.load(SeqCst)), "{count:?}");
}

#[tokio::test]
async fn dropping_leaves_nothing_running() {
    let vault = Vault::new(SUITES[0]).await;
    for _ in 0..10 {
        let mut reader = threads(4).encrypt_reader(vault.begin(), tokio::io::repeat(7));
        let mut out = vec![0; 3 * MIB];
        reader.read_exact(&mut out).await.unwrap();
        let workers = reader.pipeline.watch_workers();
        drop(reader);
        // Every worker holds a share of the flag that tells it to stop.
        let gone = async {
            while workers.strong_count() > 0 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), gone).await.unwrap();
    }
}

/// Hands out pieces, and is not ready before each.
struct Pieces<'a> {
    rest: &'a [u8],
    len: usize,
    ready: bool,
}

impl<'a> Pieces<'a> {
    fn new(rest: &'a [u8], len: usize) -> Self {
        Self { rest, len, ready: false }
    }
}

impl AsyncRead for Pieces<'_> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Task<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.ready = !self.ready;
        if self.ready {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let len = self.len.min(self.rest.len()).min(buf.remaining());
        let (piece, rest) = self.rest.split_at(len);
        buf.put_slice(piece);
        self.rest = rest;
        Poll::Ready(Ok(()))
    }
}

/// Takes 10,000 bytes at most, every other time.
#[derive(Default)]
struct Slow {
    bytes: Vec<u8>,
    ready: bool,
}

impl AsyncWrite for Slow {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Task<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.ready = !self.ready;
        if self.ready {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let len = buf.len().min(10_000);
        self.bytes.extend_from_slice(&buf[..len]);
        Poll::Ready(Ok(len))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Task<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Task<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// A sink of which the test keeps a share.
#[derive(Clone, Debug, Default)]
struct Shared(Arc<std::sync::Mutex<Vec<u8>>>);

impl Shared {
    fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }
}

impl Write for Shared {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(buf);
        Ok(buf.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl AsyncWrite for Shared {
    fn poll_write(
        mut self: Pin<&mut Self>,
        _: &mut Task<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Poll::Ready(Write::write(&mut *self, buf))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Task<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Task<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

struct Fails;

impl Read for Fails {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Err(io::ErrorKind::ConnectionReset.into())
    }
}

impl AsyncRead for Fails {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut Task<'_>,
        _: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()))
    }
}

/// Has room for so many bytes.
#[derive(Debug)]
struct Full(usize);

impl Write for Full {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let len = buf.len().min(self.0);
        self.0 -= len;
        if len == 0 { Err(io::ErrorKind::StorageFull.into()) } else { Ok(len) }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl AsyncWrite for Full {
    fn poll_write(
        mut self: Pin<&mut Self>,
        _: &mut Task<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Poll::Ready(Write::write(&mut *self, buf))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Task<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Task<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// Never takes a byte.
struct Never;

impl AsyncWrite for Never {
    fn poll_write(self: Pin<&mut Self>, _: &mut Task<'_>, _: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Pending
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Task<'_>) -> Poll<io::Result<()>> {
        Poll::Pending
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Task<'_>) -> Poll<io::Result<()>> {
        Poll::Pending
    }
}

struct Counting<R> {
    inner: R,
    count: Arc<AtomicUsize>,
}

impl<R: Read> Read for Counting<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let len = self.inner.read(buf)?;
        self.count.fetch_add(len, SeqCst);
        Ok(len)
    }
}

impl<R: AsyncRead + Unpin> AsyncRead for Counting<R> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Task<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let polled = Pin::new(&mut self.inner).poll_read(cx, buf);
        self.count.fetch_add(buf.filled().len() - before, SeqCst);
        polled
    }
}
