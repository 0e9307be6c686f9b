//! All adapters give the same bytes, however the pieces fall; and nothing but a clean end is one.

use std::io::{Read, Write};

use super::*;

/// Yields at most `step` bytes a read, and then fails if it was told to.
struct Source<'a> {
    rest: &'a [u8],
    step: usize,
    fails: bool,
}

impl Read for Source<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if self.rest.is_empty() && self.fails {
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        let len = self.step.min(buf.len()).min(self.rest.len());
        buf[..len].copy_from_slice(&self.rest[..len]);
        self.rest = &self.rest[len..];
        Ok(len)
    }
}

impl AsyncRead for Source<'_> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Task<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        // Every other call is pending, to walk the paths that resume.
        self.step ^= 1 << 40;
        if self.step & (1 << 40) != 0 {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let len = Read::read(&mut *self, buf.initialize_unfilled())?;
        buf.advance(len);
        Poll::Ready(Ok(()))
    }
}

fn source(rest: &[u8], step: usize) -> Source<'_> {
    Source { rest, step, fails: false }
}

const STEPS: [usize; 5] = [1013, 16_400, CHUNK, CHUNK + 16, 1 << 20];

#[tokio::test]
async fn all_adapters_agree() {
    let fake = Fake::new("a");
    for suite in [Suite::Aes256Gcm64KiB, Suite::Cobblestone256] {
        let sealer = sealer(&fake, suite);
        for len in LENGTHS {
            let plain = plaintext(len);
            for step in STEPS {
                let mut results = Vec::new();

                let begun = sealer.begin(&context()).await.unwrap();
                let expected = usize::try_from(begun.sealed_len(len as u64).unwrap()).unwrap();
                let mut out = Vec::new();
                let mut reader = super::super::EncryptReader::new(begun, source(&plain, step));
                Read::read_to_end(&mut reader, &mut out).unwrap();
                assert_eq!(out.len(), expected);
                results.push(out);

                let mut out = Vec::new();
                let reader = sealer.encrypt_reader(source(&plain, step), &context()).await;
                AsyncReadExt::read_to_end(&mut reader.unwrap(), &mut out).await.unwrap();
                results.push(out);

                let mut writer = sealer.encrypt_writer(Vec::new(), &context()).await.unwrap();
                for piece in plain.chunks(step) {
                    Write::write_all(&mut writer, piece).unwrap();
                    Write::flush(&mut writer).unwrap();
                }
                results.push(writer.finish().unwrap());

                let mut writer = sealer.encrypt_writer(Vec::new(), &context()).await.unwrap();
                for piece in plain.chunks(step) {
                    AsyncWriteExt::write_all(&mut writer, piece).await.unwrap();
                    AsyncWriteExt::flush(&mut writer).await.unwrap();
                }
                results.push(writer.finish_async().await.unwrap());

                let pieces = plain.chunks(step).map(|c| Ok::<_, Error>(Bytes::copy_from_slice(c)));
                let stream = sealer.encrypt_stream(stream::iter(pieces), &context()).await;
                let out: Vec<Bytes> = stream.unwrap().try_collect().await.unwrap();
                results.push(out.concat());

                for sealed in results {
                    assert_eq!(sealed.len(), expected);
                    open_all_ways(&fake, &sealed, &plain, step).await;
                }
            }
        }
    }
    let (generated, wrapped, unwrapped) = fake.calls();
    let streams = 2 * LENGTHS.len() * STEPS.len() * 5;
    assert_eq!((generated, wrapped, unwrapped), (streams, 0, streams * 5));
}

async fn open_all_ways(fake: &Fake, sealed: &[u8], plain: &[u8], step: usize) {
    let opener = Opener::new([fake]);

    let mut input = source(sealed, step);
    let head = read_preamble(&mut input).unwrap();
    let header = opener.begin(head, &context()).await.unwrap();
    let mut out = Vec::new();
    Read::read_to_end(&mut DecryptReader::new(header, input), &mut out).unwrap();
    assert!(out == plain);

    let mut out = Vec::new();
    let reader = opener.decrypt_reader(source(sealed, step), &context()).await;
    AsyncReadExt::read_to_end(&mut reader.unwrap(), &mut out).await.unwrap();
    assert!(out == plain);

    let (head, chunks) = Preamble::split(sealed).unwrap();
    let header = opener.begin(head.clone(), &context()).await.unwrap();
    let mut writer = DecryptWriter::new(header, Vec::new());
    chunks.chunks(step).for_each(|piece| Write::write_all(&mut writer, piece).unwrap());
    assert!(writer.finish().unwrap() == plain);

    let header = opener.begin(head, &context()).await.unwrap();
    let mut writer = DecryptWriter::new(header, Vec::new()).finish_on_shutdown();
    for piece in chunks.chunks(step) {
        AsyncWriteExt::write_all(&mut writer, piece).await.unwrap();
    }
    AsyncWriteExt::shutdown(&mut writer).await.unwrap();
    assert!(writer.inner == plain);

    let pieces = sealed.chunks(step).map(|c| Ok::<_, Error>(Bytes::copy_from_slice(c)));
    let stream = opener.decrypt_stream(stream::iter(pieces), &context()).await.unwrap();
    let out: Vec<Bytes> = stream.try_collect().await.unwrap();
    assert!(out.concat() == plain);
}

#[tokio::test]
async fn values_and_streams_are_one_format() {
    let fake = Fake::new("a");
    for suite in [Suite::Aes256Gcm64KiB, Suite::Cobblestone256] {
        for len in LENGTHS {
            let plain = plaintext(len);
            let stream = sealed(&fake, suite, &plain).await;
            assert!(*fake.open(&stream, &context()).await.unwrap() == plain);
            let value = sealer(&fake, suite).seal(&plain, &context()).await.unwrap();
            assert!(opened(&fake, &value).await.unwrap() == plain);
        }
    }
}

#[tokio::test]
async fn a_source_that_fails_leaves_nothing_that_opens() {
    let fake = Fake::new("a");
    let sealer = sealer(&fake, Suite::default());
    for len in [0, 100, CHUNK, 2 * CHUNK + 1] {
        let plain = plaintext(len);
        let failing = || Source { rest: &plain, step: 5000, fails: true };

        // Readers hand the error on, and then fail for good: no end of file.
        let mut out = Vec::new();
        let mut reader = sealer.encrypt_reader(failing(), &context()).await.unwrap();
        assert!(Read::read_to_end(&mut reader, &mut out).is_err());
        assert!(Read::read_to_end(&mut reader, &mut out).is_err());
        assert!(fake.open(&out, &context()).await.is_err());

        // A writer can't see the error: shutting it down is no end either.
        let mut writer = sealer.encrypt_writer(Vec::new(), &context()).await.unwrap();
        assert!(tokio::io::copy(&mut failing(), &mut writer).await.is_err());
        assert!(AsyncWriteExt::shutdown(&mut writer).await.is_err());
        assert!(AsyncWriteExt::write_all(&mut writer, b"more").await.is_err());
        assert!(fake.open(&writer.inner, &context()).await.is_err());
        assert_eq!(kind(writer.finish_async().await), ErrorKind::Closed);

        // A stream ends after its error, and what it had yielded does not open.
        let broken = io::Error::from(io::ErrorKind::ConnectionReset);
        let pieces = [Ok(Bytes::from(plain.clone())), Err(broken), Ok(Bytes::from_static(b"x"))];
        let mut stream = sealer.encrypt_stream(stream::iter(pieces), &context()).await.unwrap();
        let (mut out, mut errors) = (Vec::new(), Vec::new());
        while let Some(item) = stream.next().await {
            match item {
                Ok(piece) => out.extend_from_slice(&piece),
                Err(error) => errors.push(error.kind()),
            }
        }
        assert_eq!(errors, [ErrorKind::Io]);
        assert!(fake.open(&out, &context()).await.is_err());
    }
}

#[tokio::test]
async fn dropping_and_flushing_are_no_end() {
    let fake = Fake::new("a");
    let sealer = sealer(&fake, Suite::default());
    for len in [0, 1, CHUNK, CHUNK + 1] {
        let mut out = Vec::new();
        {
            let begun = sealer.begin(&context()).await.unwrap();
            let mut writer = EncryptWriter::new(begun, &mut out);
            Write::write_all(&mut writer, &plaintext(len)).unwrap();
            Write::flush(&mut writer).unwrap();
        }
        assert_eq!(kind(fake.open(&out, &context()).await), ErrorKind::NotAuthentic, "{len}");
        // A flush never cuts a chunk short: only head and full chunks are there.
        assert_eq!((out.len() - 1024 - 56) % (CHUNK + 16), 0);
    }
}

#[tokio::test]
async fn a_panic_in_the_source_is_no_end() {
    let fake = Fake::new("a");
    let begun = sealer(&fake, Suite::default()).begin(&context()).await.unwrap();
    let shared = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    struct Shared(std::sync::Arc<std::sync::Mutex<Vec<u8>>>);
    impl Write for Shared {
        fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
            Write::write(&mut *self.0.lock().unwrap(), buf)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let mut writer = EncryptWriter::new(begun, Shared(std::sync::Arc::clone(&shared)));
    let run = std::panic::catch_unwind(std::panic::AssertUnwindSafe(move || {
        Write::write_all(&mut writer, &plaintext(CHUNK + 5)).unwrap();
        panic!("the source of the upload");
    }));
    assert!(run.is_err());
    let out = shared.lock().unwrap().clone();
    assert!(out.len() > 1024);
    assert!(fake.open(&out, &context()).await.is_err());
}

#[tokio::test]
async fn an_inner_writer_that_fails_ends_it() {
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
    let fake = Fake::new("a");
    let begun = sealer(&fake, Suite::default()).begin(&context()).await.unwrap();
    let mut writer = EncryptWriter::new(begun, Full(70_000));
    assert!(Write::write_all(&mut writer, &plaintext(3 * CHUNK)).is_err());
    assert_eq!(kind(writer.finish().map(drop)), ErrorKind::Io);
    let begun = sealer(&fake, Suite::default()).begin(&context()).await.unwrap();
    assert_eq!(kind(EncryptWriter::new(begun, Full(1030)).finish().map(drop)), ErrorKind::Io);
}

#[tokio::test]
async fn a_retried_upload_never_spends_a_nonce_twice() {
    let fake = Fake::new("a");
    let plain = plaintext(3 * CHUNK + 7);
    crate::format::chunk::spent::take();
    let mut uploads = Vec::new();
    for attempt in 0..4 {
        // The first three break off somewhere; each retry starts from the source again.
        let fails = attempt < 3;
        let upto = if fails { CHUNK * (attempt + 1) } else { plain.len() };
        let input = Source { rest: &plain[..upto], step: 9999, fails };
        let mut reader = fake.encrypt_reader(input, &context()).await.unwrap();
        let mut out = Vec::new();
        assert_eq!(Read::read_to_end(&mut reader, &mut out).is_err(), fails);
        uploads.push(out);
        if !fails {
            // Reading the spent reader again yields nothing, and nothing is no message.
            let mut again = Vec::new();
            Read::read_to_end(&mut reader, &mut again).unwrap();
            assert!(again.is_empty());
            assert!(fake.open(&again, &context()).await.is_err());
        }
    }
    let mut nonces = crate::format::chunk::spent::take();
    assert_eq!(nonces.len(), 1 + 2 + 3 + 4);
    nonces.sort_unstable();
    nonces.dedup();
    assert_eq!(nonces.len(), 1 + 2 + 3 + 4, "a nonce was used twice");
    assert!(*fake.open(&uploads[3], &context()).await.unwrap() == plain);
    // Pieces of two attempts do not make a message.
    let head = 1024 + 56 + CHUNK + 16;
    let spliced = [&uploads[2][..head], &uploads[3][head..]].concat();
    assert!(fake.open(&spliced, &context()).await.is_err());
}

#[tokio::test]
async fn engines_say_when_they_are_misused() {
    let fake = Fake::new("a");
    let mut engine =
        Encryptor::new(sealer(&fake, Suite::default()).begin(&context()).await.unwrap());
    assert_eq!(engine.push(b"x").unwrap(), 0, "the header must be carried away first");
    assert_eq!(kind(engine.finish()), ErrorKind::InvalidInput);
    assert_eq!(kind(engine.advance(1)), ErrorKind::InvalidInput, "there is no space yet");
    engine.consume(usize::MAX);
    assert_eq!(kind(engine.advance(CHUNK + 1)), ErrorKind::InvalidInput);
    assert_eq!(engine.space().len(), CHUNK);
    engine.advance(CHUNK).unwrap();
    // Output is pending: what is in the buffer then is an earlier chunk, and is no input.
    assert!(engine.space().is_empty());
    assert_eq!(kind(engine.advance(3)), ErrorKind::InvalidInput);
    assert_eq!(engine.output().len(), CHUNK + 16, "and the output is as it was");
    engine.consume(usize::MAX);
    engine.finish().unwrap();
    assert!(!engine.is_done());
    engine.consume(usize::MAX);
    assert!(engine.is_done());
    assert_eq!(kind(engine.push(b"x")), ErrorKind::Closed);
    assert_eq!(kind(engine.finish()), ErrorKind::Closed);
}

/// A reader that breaks its contract: it says that it read more than there was room for.
struct Liar(usize);

impl Read for Liar {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.0 += 1;
        Ok(if self.0 == 1 { buf.len() + 1 } else { 0 })
    }
}

#[tokio::test]
async fn a_reader_that_lies_ends_it_for_good() {
    let fake = Fake::new("a");
    let begun = sealer(&fake, Suite::default()).begin(&context()).await.unwrap();
    let mut reader = super::super::EncryptReader::new(begun, Liar(0));
    let mut out = Vec::new();
    assert!(Read::read_to_end(&mut reader, &mut out).is_err());
    assert!(Read::read_to_end(&mut reader, &mut out).is_err());
    assert!(fake.open(&out, &context()).await.is_err());
}

/// Is interrupted, then would block, then does a little, over and over.
struct Halting<T>(T, usize);

impl<T> Halting<T> {
    fn turn(&mut self) -> io::Result<()> {
        self.1 += 1;
        match self.1 % 3 {
            1 => Err(io::ErrorKind::Interrupted.into()),
            2 => Err(io::ErrorKind::WouldBlock.into()),
            _ => Ok(()),
        }
    }
}

impl<R: Read> Read for Halting<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.turn()?;
        self.0.read(buf)
    }
}

impl<W: Write> Write for Halting<W> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.turn()?;
        let len = buf.len().min(30_000);
        self.0.write(&buf[..len])
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

#[tokio::test]
async fn interruptions_and_would_block_cost_nothing() {
    let fake = Fake::new("a");
    let plain = plaintext(3 * CHUNK + 5);
    let again = |error: &io::Error| {
        matches!(error.kind(), io::ErrorKind::Interrupted | io::ErrorKind::WouldBlock)
    };
    let begun = sealer(&fake, Suite::default()).begin(&context()).await.unwrap();
    let mut reader = super::super::EncryptReader::new(begun, Halting(&plain[..], 0));
    let mut sealed = Vec::new();
    let mut buf = [0; 5000];
    assert_eq!(Read::read(&mut reader, &mut []).unwrap(), 0, "an empty read is no end");
    loop {
        match Read::read(&mut reader, &mut buf) {
            Ok(0) => break,
            Ok(len) => sealed.extend_from_slice(&buf[..len]),
            Err(error) => assert!(again(&error)),
        }
    }
    assert!(*fake.open(&sealed, &context()).await.unwrap() == plain);

    let begun = sealer(&fake, Suite::default()).begin(&context()).await.unwrap();
    let mut writer = EncryptWriter::new(begun, Halting(Vec::new(), 0));
    let mut rest = &plain[..];
    while !rest.is_empty() {
        match Write::write(&mut writer, rest) {
            Ok(len) => rest = &rest[len..],
            Err(error) => assert!(again(&error)),
        }
    }
    while let Err(error) = Write::flush(&mut writer) {
        assert!(again(&error));
    }
    // A writer for `finish` must block; by now it has only the last chunk to take.
    writer.inner.1 = 2;
    let Halting(sealed, _) = writer.finish().unwrap();
    assert!(*fake.open(&sealed, &context()).await.unwrap() == plain);
}

#[tokio::test]
async fn a_writer_that_takes_nothing_is_an_error() {
    struct Shut;
    impl Write for Shut {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Ok(0)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let fake = Fake::new("a");
    let begun = sealer(&fake, Suite::default()).begin(&context()).await.unwrap();
    let mut writer = EncryptWriter::new(begun, Shut);
    let error = Write::write(&mut writer, b"x").unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::WriteZero);
    assert_eq!(kind(writer.finish().map(drop)), ErrorKind::Io);
}

#[tokio::test]
async fn our_own_errors_come_through_other_streams() {
    let fake = Fake::new("a");
    let own = io::Error::from(Error::not_authentic());
    let pieces = stream::iter([Err::<Bytes, _>(own)]);
    let stream = sealer(&fake, Suite::default()).encrypt_stream(pieces, &context()).await;
    let items: Vec<_> = stream.unwrap().collect().await;
    assert_eq!(items.last().unwrap().as_ref().unwrap_err().kind(), ErrorKind::NotAuthentic);
}
