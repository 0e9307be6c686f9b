//! A writer of plaintext, with an explicit end.

use std::{
    fmt, io,
    ops::Deref,
    pin::Pin,
    task::{Context as Task, Poll, ready},
};

use async_compression::tokio::write::ZstdEncoder;
use bulla::{Context, CryptoProvider, Error, ErrorKind, Result, stream::EncryptWriter};
use pin_project_lite::pin_project;
use tokio::io::{AsyncWrite, AsyncWriteExt as _};

use crate::{Bounds, Writing, zstd::compressor};

pin_project! {
    /// Writes the sealed form of what is written to it.
    ///
    /// Only [`finish`](Self::finish) ends the message. A writer that is dropped, flushed or shut down without it
    /// leaves something that does not open: an error of the source, which a writer can't see, must not turn into a
    /// short message that looks whole.
    #[must_use = "only `finish` ends the message"]
    pub struct SealedWriter<W> {
        #[pin]
        inner: Inner<W>,
        failed: bool,
    }
}

pin_project! {
    #[project = InnerProjection]
    enum Inner<W> {
        Plain { #[pin] writer: EncryptWriter<W> },
        Compressed { #[pin] writer: ZstdEncoder<Held<W>>, bounds: Bounds, read: u64 },
    }
}

impl<P> Writing<P>
where
    P: Deref<Target: CryptoProvider> + Send + Sync,
{
    /// Wraps a writer of sealed bytes into one of plaintext.
    ///
    /// # Errors
    /// As for [`Sealer::begin`](bulla::Sealer::begin); [`InvalidInput`](ErrorKind::InvalidInput) for a context that
    /// names a transform.
    pub async fn writer<W: AsyncWrite + Send>(
        &self,
        sealed: W,
        context: &Context,
    ) -> Result<SealedWriter<W>> {
        let sealing = self.sealer.begin(&self.context(context)?).await?;
        let writer = EncryptWriter::new(sealing, sealed);
        let inner = match &self.zstd {
            None => Inner::Plain { writer },
            Some(zstd) => {
                let (level, parameters) = (zstd.quality(), zstd.parameters());
                let held = Held { inner: writer, written: 0, failed: false };
                let writer = ZstdEncoder::with_quality_and_params(held, level, &parameters);
                Inner::Compressed { writer, bounds: zstd.bounds, read: 0 }
            }
        };
        Ok(SealedWriter { inner, failed: false })
    }
}

impl<W: AsyncWrite + Unpin> SealedWriter<W> {
    /// Ends the message, flushes and hands the inner writer back, not yet shut down.
    ///
    /// Call it only when everything was written that should be. If this future is dropped before it is ready, the
    /// message is not whole.
    ///
    /// # Errors
    /// [`Io`](ErrorKind::Io) if the inner writer fails; [`QuotaExceeded`](ErrorKind::QuotaExceeded) beyond the
    /// bounds; [`Closed`](ErrorKind::Closed) after a failure. In each case the message is not whole.
    #[allow(clippy::future_not_send, reason = "it is Send where the writer is")]
    pub async fn finish(self) -> Result<W> {
        if self.failed {
            return Err(closed("the sealed writer has failed before"));
        }
        match self.inner {
            Inner::Plain { writer } => writer.finish_async().await,
            Inner::Compressed { mut writer, bounds, read } => {
                // This ends the frame, and `Held` lets it go no further.
                let ended = writer.shutdown().await;
                let Held { written, failed, .. } = *writer.get_ref();
                ended.map_err(|error| told(error, failed))?;
                bounds.check_written(read, written)?;
                writer.into_inner().inner.finish_async().await
            }
        }
    }
}

impl<W: AsyncWrite> AsyncWrite for SealedWriter<W> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Task<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.project();
        if *this.failed {
            return Poll::Ready(Err(closed("the sealed writer has failed before").into()));
        }
        let answer = match this.inner.project() {
            InnerProjection::Plain { writer } => ready!(writer.poll_write(cx, buf)),
            InnerProjection::Compressed { mut writer, bounds, read } => {
                let len = read.saturating_add(buf.len() as u64);
                let checked = bounds.check_len(len).map_err(io::Error::from);
                match checked {
                    Err(error) => Err(error),
                    Ok(()) => {
                        let taken = ready!(writer.as_mut().poll_write(cx, buf));
                        let Held { written, failed, .. } = *writer.get_ref();
                        taken.map_err(|error| told(error, failed).into()).and_then(|len| {
                            *read += len as u64;
                            bounds.check_written(*read, written)?;
                            Ok(len)
                        })
                    }
                }
            }
        };
        *this.failed = answer.is_err();
        Poll::Ready(answer)
    }

    /// Hands on what whole chunks have become; never cuts a chunk short. Of what is being compressed, nothing is
    /// hurried: that would tell where a write ended.
    fn poll_flush(self: Pin<&mut Self>, cx: &mut Task<'_>) -> Poll<io::Result<()>> {
        match self.project().inner.project() {
            InnerProjection::Plain { writer } => writer.poll_flush(cx),
            InnerProjection::Compressed { writer, .. } => {
                writer.get_pin_mut().project().inner.poll_flush(cx)
            }
        }
    }

    /// Fails, and leaves the message without an end.
    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Task<'_>) -> Poll<io::Result<()>> {
        *self.project().failed = true;
        let text = "shut down without `finish`, so the message has no end and does not open";
        Poll::Ready(Err(closed(text).into()))
    }
}

pin_project! {
    /// Takes a compressor's bytes, and keeps its shutdown from ending the message.
    struct Held<W> {
        #[pin]
        inner: EncryptWriter<W>,
        written: u64,
        // Whether an error is this writer's, and not the compressor's.
        failed: bool,
    }
}

impl<W: AsyncWrite> AsyncWrite for Held<W> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Task<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.project();
        let written = ready!(this.inner.poll_write(cx, buf));
        match &written {
            Ok(len) => *this.written += *len as u64,
            Err(_) => *this.failed = true,
        }
        Poll::Ready(written)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Task<'_>) -> Poll<io::Result<()>> {
        let this = self.project();
        let flushed = ready!(this.inner.poll_flush(cx));
        *this.failed |= flushed.is_err();
        Poll::Ready(flushed)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Task<'_>) -> Poll<io::Result<()>> {
        self.poll_flush(cx)
    }
}

fn told(error: io::Error, is_of_the_sink: bool) -> Error {
    if is_of_the_sink { Error::from_io(error) } else { compressor(error) }
}

fn closed(text: &'static str) -> Error {
    Error::new(ErrorKind::Closed, text)
}

impl<W> fmt::Debug for SealedWriter<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SealedWriter").field("failed", &self.failed).finish_non_exhaustive()
    }
}
