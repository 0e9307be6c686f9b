//! A connection of which only so much is read.

use std::{
    error::Error as StdError,
    fmt, io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Reads no more than was allowed. Parsers bound what they hold; what they skip, such as
/// informational responses, is bounded by nobody else.
pub(crate) struct Bounded<T> {
    inner: T,
    left: Allowance,
}

/// How many bytes may still be read.
#[derive(Clone)]
pub(crate) struct Allowance(Arc<AtomicUsize>);

impl<T> Bounded<T> {
    pub(crate) fn new(inner: T, bytes: usize) -> Self {
        Self { inner, left: Allowance(Arc::new(AtomicUsize::new(bytes))) }
    }

    pub(crate) fn allowance(&self) -> Allowance {
        self.left.clone()
    }

    pub(crate) fn get_ref(&self) -> &T {
        &self.inner
    }
}

impl Allowance {
    pub(crate) fn add(&self, bytes: usize) {
        self.0.fetch_add(bytes, SeqCst);
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Bounded<T> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let left = this.left.0.load(SeqCst);
        if left == 0 {
            return Poll::Ready(Err(io::Error::other(TooLong)));
        }
        let len = left.min(buf.remaining());
        let mut part = ReadBuf::new(buf.initialize_unfilled_to(len));
        ready!(Pin::new(&mut this.inner).poll_read(cx, &mut part))?;
        let read = part.filled().len();
        buf.advance(read);
        this.left.0.fetch_sub(read, SeqCst);
        Poll::Ready(Ok(()))
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Bounded<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

/// More than was allowed would have been read.
#[derive(Debug)]
pub(crate) struct TooLong;

impl TooLong {
    /// Whether that is what became of it.
    pub(crate) fn caused(error: &(dyn StdError + 'static)) -> bool {
        if error.is::<Self>() {
            return true;
        }
        // The source of an `io::Error` is that of what it holds.
        let next = match error.downcast_ref::<io::Error>() {
            Some(error) => error.get_ref().map(|held| held as &(dyn StdError + 'static)),
            None => error.source(),
        };
        next.is_some_and(Self::caused)
    }
}

impl fmt::Display for TooLong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("more was sent than is read")
    }
}

impl StdError for TooLong {}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncReadExt;

    #[tokio::test]
    async fn no_byte_more_is_read() {
        let mut bounded = Bounded::new(tokio::io::repeat(7), 10);
        let allowance = bounded.allowance();
        let mut read = Vec::new();
        let error = bounded.read_to_end(&mut read).await.unwrap_err();
        assert_eq!(read, [7; 10]);
        assert!(TooLong::caused(&error));
        allowance.add(5);
        let error = bounded.read_to_end(&mut read).await.unwrap_err();
        assert_eq!(read, [7; 15]);
        let wrapped = io::Error::new(io::ErrorKind::InvalidData, error);
        assert!(TooLong::caused(&wrapped));
        assert!(!TooLong::caused(&io::Error::other("else")));
        // What ends in time is read to its end.
        let mut bounded = Bounded::new(&b"abc"[..], 4);
        let mut read = Vec::new();
        bounded.read_to_end(&mut read).await.unwrap();
        assert_eq!(read, b"abc");
    }
}
