//! What goes in comes out.

use std::{collections::HashSet, io, pin::Pin, sync::atomic::Ordering::SeqCst, task};

use bulla::{
    Context, EncryptionContext, ErrorKind, Opener, Sealer,
    envelope::BatchItem,
    format::{Preamble, Suite, from_text, to_text},
};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};

use crate::{
    case::{Env, Outcome, check, context, must_fail, plaintext},
    damage::head_len,
    subject::{decrypt_all, encrypt_all},
};

pub(crate) const SUITES: [Suite; 2] = [Suite::Aes256Gcm64KiB, Suite::Cobblestone256];

const LENGTHS: [usize; 9] = [0, 1, 15, 16, 17, 65_535, 65_536, 65_537, 1 << 20];

pub(super) async fn values(env: &Env) -> Outcome {
    for suite in SUITES {
        for len in LENGTHS {
            let plain = plaintext(len);
            let sealed = env.subject.seal(suite, &plain, &context()?).await?;
            let opened = env.subject.open(&sealed, &context()?).await?;
            check!(*opened == *plain, "{len} bytes came back as {}", opened.len());
        }
    }
    Ok(())
}

pub(super) async fn streams(env: &Env) -> Outcome {
    for suite in SUITES {
        for len in LENGTHS {
            let plain = plaintext(len);
            let stream = encrypt_all(&*env.subject, suite, &plain, &context()?).await?;
            let (opened, end) = decrypt_all(&*env.subject, &stream, &context()?).await;
            end?;
            check!(opened == plain, "{len} bytes came back as {}", opened.len());
            let opened = env.subject.open(&stream, &context()?).await?;
            check!(*opened == *plain, "a stream of {len} bytes is no value");
            let value = env.subject.seal(suite, &plain, &context()?).await?;
            let (opened, end) = decrypt_all(&*env.subject, &value, &context()?).await;
            end?;
            check!(opened == plain, "a value of {len} bytes is no stream");
        }
    }
    Ok(())
}

/// Checks what is written to it against the pattern, and holds none of it.
struct Expect {
    seen: u64,
    wrong: bool,
}

impl AsyncWrite for Expect {
    fn poll_write(
        mut self: Pin<&mut Self>,
        _: &mut task::Context<'_>,
        buf: &[u8],
    ) -> task::Poll<io::Result<usize>> {
        for byte in buf {
            self.wrong |= u64::from(*byte) != self.seen % 251;
            self.seen += 1;
        }
        task::Poll::Ready(Ok(buf.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut task::Context<'_>) -> task::Poll<io::Result<()>> {
        task::Poll::Ready(Ok(()))
    }

    fn poll_shutdown(
        self: Pin<&mut Self>,
        _: &mut task::Context<'_>,
    ) -> task::Poll<io::Result<()>> {
        task::Poll::Ready(Ok(()))
    }
}

/// Yields the pattern, and holds none of it.
struct Pattern {
    at: u64,
    len: u64,
}

impl AsyncRead for Pattern {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut task::Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> task::Poll<io::Result<()>> {
        let rest = usize::try_from(self.len - self.at).unwrap_or(usize::MAX);
        let len = rest.min(buf.remaining());
        for byte in buf.initialize_unfilled_to(len) {
            *byte = u8::try_from(self.at % 251).unwrap_or(0);
            self.at += 1;
        }
        buf.advance(len);
        task::Poll::Ready(Ok(()))
    }
}

pub(super) async fn large_stream(env: &Env) -> Outcome {
    let context = context()?;
    let (mut near, mut far) = tokio::io::duplex(1 << 18);
    let mut source = Pattern { at: 0, len: env.large_stream };
    let mut sink = Expect { seen: 0, wrong: false };
    let encrypt = async {
        let done = env.subject.encrypt(Suite::default(), &mut source, &mut near, &context).await;
        drop(near);
        done
    };
    let (sealed, opened) =
        tokio::join!(encrypt, env.subject.decrypt(&mut far, &mut sink, &context));
    sealed?;
    opened?;
    check!(!sink.wrong && sink.seen == env.large_stream, "{} bytes came back", sink.seen);
    Ok(())
}

/// Yields at most `step` bytes a read.
struct Steps<'a>(&'a [u8], usize);

impl AsyncRead for Steps<'_> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut task::Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> task::Poll<io::Result<()>> {
        let len = self.1.min(buf.remaining()).min(self.0.len());
        let (head, tail) = self.0.split_at_checked(len).unwrap_or((self.0, &[]));
        buf.put_slice(head);
        self.0 = tail;
        task::Poll::Ready(Ok(()))
    }
}

pub(super) async fn split_reads(env: &Env) -> Outcome {
    let plain = plaintext(2 * 65_536 + 3);
    for step in [1, 7, 16_383, 65_535, 65_536, 65_552, 1 << 20] {
        let mut sealed = Vec::new();
        let source = &mut Steps(&plain, step);
        env.quiet.encrypt(Suite::default(), source, &mut sealed, &context()?).await?;
        let mut opened = Vec::new();
        env.quiet.decrypt(&mut Steps(&sealed, step), &mut opened, &context()?).await?;
        check!(opened == plain, "{step} bytes at a time came back changed");
        // And written into a pipe that takes one byte more than a step at a time.
        let (mut near, mut far) = tokio::io::duplex(step + 1);
        let write = async {
            let source = &mut Steps(&sealed, step);
            let done = env.quiet.decrypt(source, &mut near, &context()?).await;
            drop(near);
            done
        };
        let mut opened = Vec::new();
        let (wrote, read) = tokio::join!(write, far.read_to_end(&mut opened));
        wrote?;
        read?;
        check!(opened == plain, "written {step} bytes at a time came back changed");
    }
    Ok(())
}

pub(super) async fn text_form(env: &Env) -> Outcome {
    let sealed = env.quiet.seal(Suite::default(), b"in a database", &context()?).await?;
    let text = to_text(&sealed);
    let opened = env.quiet.open(&from_text(&text)?, &context()?).await?;
    check!(&*opened == b"in a database", "the text form came back changed");
    for bad in [format!("{text}="), format!("{text}\n"), text.replace("bulla1.", "bulla2.")] {
        must_fail("another text form", from_text(&bad), &[ErrorKind::Malformed])?;
    }
    Ok(())
}

pub(super) async fn batches(env: &Env) -> Outcome {
    let provider = env.subject.provider();
    let sealer = Sealer::new(provider)?;
    let key = EncryptionContext::from_pairs([("suite", "conformance")])?;
    let items = (0..20)
        .map(|n| EncryptionContext::from_pairs([("item", format!("{n}"))]))
        .collect::<bulla::Result<Vec<_>>>()?;
    let batch: Vec<_> =
        items.iter().map(|item_context| BatchItem { plaintext: b"same", item_context }).collect();
    let sealed = sealer.seal_batch(&batch, &key).await?.items;
    check!(sealed.len() == 20, "{} results for 20 items", sealed.len());
    for (sealed, item) in sealed.into_iter().zip(&items) {
        let sealed = sealed?;
        let context = Context::from_parts(key.clone(), item.clone())?;
        let opened = env.subject.open(&sealed, &context).await?;
        check!(&*opened == b"same", "an item came back changed");
        let (head, _) = Preamble::split(&sealed)?;
        check!(head.header().is_data_key_shared(), "the header hides that its key is shared");
    }
    check!(sealer.seal_batch(&[], &key).await?.items.is_empty(), "an empty batch has results");
    Ok(())
}

pub(super) async fn nothing_repeats(env: &Env) -> Outcome {
    let mut wraps = HashSet::new();
    let mut keys = HashSet::new();
    let mut salts = HashSet::new();
    let context = context()?;
    for _ in 0..4 {
        let sealed = env.subject.seal(Suite::default(), b"", &context).await?;
        let (head, _) = Preamble::split(&sealed)?;
        for recipient in head.header().recipients() {
            check!(wraps.insert(recipient.blob.clone()), "a wrapped data key repeats");
            let key = env.subject.provider().unwrap_data_key(recipient, context.key()).await?;
            check!(keys.insert(*key.expose()), "a data key repeats");
        }
        let salt = sealed.get(head_len(&sealed) - 56..head_len(&sealed) - 32);
        check!(salts.insert(salt.map(<[u8]>::to_vec)), "a salt repeats");
    }
    Ok(())
}

pub(super) async fn one_call_each_way(env: &Env) -> Outcome {
    let Some(counted) = &env.counted else { return Ok(()) };
    let calls = || {
        let of = |counter: &std::sync::atomic::AtomicUsize| counter.load(SeqCst);
        (of(&counted.generate_calls), of(&counted.wrap_calls), of(&counted.unwrap_calls))
    };
    let plain = plaintext(1 << 20);
    let before = calls();
    let sealed = encrypt_all(&*env.quiet, Suite::default(), &plain, &context()?).await?;
    let between = calls();
    check!(between == (before.0 + 1, before.1, before.2), "writing: {before:?} to {between:?}");
    let (_, end) = decrypt_all(&*env.quiet, &sealed, &context()?).await;
    end?;
    let after = calls();
    check!(after == (between.0, between.1, between.2 + 1), "reading: {between:?} to {after:?}");
    let wrong = Context::new().with_key("suite", "another")?;
    let provider = env.quiet.provider();
    must_fail(
        "another stored context",
        Opener::new([provider]).open(&sealed, &wrong).await,
        &[ErrorKind::ContextMismatch],
    )?;
    check!(calls() == after, "a context that contradicts the header cost a call");
    Ok(())
}
