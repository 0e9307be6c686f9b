//! A buffer before a reader of plaintext, in memory that is wiped.

use std::{
    fmt, io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use pin_project_lite::pin_project;
use tokio::io::{AsyncBufRead, AsyncRead, ReadBuf};
use zeroize::Zeroizing;

const LEN: usize = 64 << 10;

pin_project! {
    /// What [`tokio::io::BufReader`] is, and wiped when it is dropped.
    pub(crate) struct WipedReader<R> {
        #[pin]
        inner: R,
        bytes: Zeroizing<Vec<u8>>,
        start: usize,
        end: usize,
    }
}

impl<R> WipedReader<R> {
    pub(crate) fn new(inner: R) -> Self {
        Self { inner, bytes: Zeroizing::new(vec![0; LEN]), start: 0, end: 0 }
    }
}

impl<R: AsyncRead> AsyncBufRead for WipedReader<R> {
    fn poll_fill_buf(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<&[u8]>> {
        let this = self.project();
        if *this.start >= *this.end {
            let mut buf = ReadBuf::new(this.bytes);
            ready!(this.inner.poll_read(cx, &mut buf))?;
            (*this.start, *this.end) = (0, buf.filled().len());
        }
        Poll::Ready(Ok(this.bytes.get(*this.start..*this.end).unwrap_or_default()))
    }

    fn consume(self: Pin<&mut Self>, len: usize) {
        let this = self.project();
        *this.start = this.start.saturating_add(len).min(*this.end);
    }
}

/// Whoever needs the buffer reads by it.
impl<R: AsyncRead> AsyncRead for WipedReader<R> {
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

impl<R> fmt::Debug for WipedReader<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WipedReader").finish_non_exhaustive()
    }
}
