//! Plaintext in, one frame out.

use std::{
    fmt, io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use async_compression::tokio::bufread::ZstdEncoder;
use bulla::{Error, ErrorKind};
use pin_project_lite::pin_project;
use tokio::io::{AsyncBufRead, AsyncRead, ReadBuf};

use super::Zstd;
use crate::Bounds;

pin_project! {
    /// Reads plaintext from `R` and yields it compressed. An end of file here means that `R` ended and that the
    /// frame is whole; an error of `R` is handed on, and every call after it fails.
    pub(crate) struct Compress<R> {
        #[pin]
        encoder: ZstdEncoder<Counted<R>>,
        written: u64,
        failed: bool,
    }
}

impl<R: AsyncBufRead> Compress<R> {
    pub(crate) fn new(zstd: &Zstd, inner: R) -> Self {
        let counted = Counted { inner, bounds: zstd.bounds, read: 0, at_once: 0, failed: false };
        let parameters = zstd.parameters();
        let encoder = ZstdEncoder::with_quality_and_params(counted, zstd.quality(), &parameters);
        Self { encoder, written: 0, failed: false }
    }
}

impl<R: AsyncBufRead> AsyncRead for Compress<R> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let mut this = self.project();
        if *this.failed {
            return Poll::Ready(Err(closed().into()));
        }
        let before = buf.filled().len();
        // Here and not below alone: the encoder hands out what it has rather than wait.
        let at_once = this.encoder.as_mut().get_pin_mut().project().at_once;
        if *at_once >= AT_ONCE {
            *at_once = 0;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let answer = ready!(this.encoder.as_mut().poll_read(cx, buf));
        let Counted { bounds, read, failed, .. } = this.encoder.get_ref();
        *this.written += (buf.filled().len() - before) as u64;
        let checked = match answer {
            Ok(()) => bounds.check_written(*read, *this.written).map_err(io::Error::from),
            Err(error) if *failed => Err(error),
            Err(error) => Err(compressor(error).into()),
        };
        *this.failed = checked.is_err();
        Poll::Ready(checked)
    }
}

pin_project! {
    /// Counts what is read, and stops at the most that may be.
    struct Counted<R> {
        #[pin]
        inner: R,
        bounds: Bounds,
        read: u64,
        // Since others had their turn.
        at_once: u64,
        failed: bool,
    }
}

/// What is compressed before others have their turn. Gigabytes of zeros become one buffer of output, and a source in
/// memory is always ready.
const AT_ONCE: u64 = 128 << 10;

impl<R: AsyncBufRead> AsyncBufRead for Counted<R> {
    fn poll_fill_buf(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<&[u8]>> {
        let this = self.project();
        if *this.at_once >= AT_ONCE {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let filled = ready!(this.inner.poll_fill_buf(cx));
        let checked = filled.and_then(|buf| {
            let len = this.read.saturating_add(buf.len() as u64);
            this.bounds.check_len(len).map(|()| buf).map_err(io::Error::from)
        });
        *this.failed = checked.is_err();
        Poll::Ready(checked)
    }

    fn consume(self: Pin<&mut Self>, len: usize) {
        let this = self.project();
        *this.read += len as u64;
        *this.at_once += len as u64;
        this.inner.consume(len);
    }
}

/// The encoder reads by the buffer alone.
impl<R: AsyncBufRead> AsyncRead for Counted<R> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let filled = ready!(self.as_mut().poll_fill_buf(cx))?;
        let len = filled.len().min(buf.remaining());
        buf.put_slice(filled.get(..len).unwrap_or_default());
        self.consume(len);
        Poll::Ready(Ok(()))
    }
}

/// An encoder fails by lack of memory, and by nothing that its input says.
pub(crate) fn compressor(error: io::Error) -> Error {
    Error::new(ErrorKind::Internal, "the compressor failed").with_source(error)
}

fn closed() -> Error {
    Error::new(ErrorKind::Closed, "the compressed stream has failed before")
}

impl<R> fmt::Debug for Compress<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Compress").field("written", &self.written).finish_non_exhaustive()
    }
}
