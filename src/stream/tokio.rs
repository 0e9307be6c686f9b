//! The engine over [`tokio::io`].

use std::{
    future::poll_fn,
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncBufRead, AsyncRead, AsyncWrite, ReadBuf};

use super::{
    encryptor::copy_prefix,
    engine::{Engine, Reader, Writer},
};
use crate::error::{Error, ErrorKind, Result};

impl<E: Engine, R: AsyncRead> AsyncBufRead for Reader<E, R> {
    fn poll_fill_buf(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<&[u8]>> {
        let mut this = self.project();
        while this.engine.output().is_empty() && !this.engine.is_done() {
            let mut buf = ReadBuf::new(this.engine.space());
            let read = ready!(this.inner.as_mut().poll_read(cx, &mut buf));
            let len = buf.filled().len();
            match read {
                // An empty space with no output is an engine that has failed: `finish` says so.
                Ok(()) if len == 0 => this.engine.finish()?,
                Ok(()) => this.engine.advance(len).inspect_err(|_| this.engine.abort())?,
                Err(error) => {
                    this.engine.abort();
                    return Poll::Ready(Err(error));
                }
            }
        }
        Poll::Ready(Ok(this.engine.output()))
    }

    fn consume(self: Pin<&mut Self>, len: usize) {
        self.project().engine.consume(len);
    }
}

impl<E: Engine, R: AsyncRead> AsyncRead for Reader<E, R> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if buf.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        let output = ready!(self.as_mut().poll_fill_buf(cx))?;
        let len = copy_prefix(output, buf.initialize_unfilled());
        buf.advance(len);
        self.consume(len);
        Poll::Ready(Ok(()))
    }
}

impl<E: Engine, W: AsyncWrite> Writer<E, W> {
    fn poll_drain(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut this = self.project();
        while !this.engine.output().is_empty() {
            let written = ready!(this.inner.as_mut().poll_write(cx, this.engine.output()));
            match written {
                Ok(0) => {
                    this.engine.abort();
                    return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
                }
                Ok(len) => this.engine.consume(len),
                Err(error) => {
                    this.engine.abort();
                    return Poll::Ready(Err(error));
                }
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Ends the message if it has not ended, and carries all of it to the inner writer.
    fn poll_finish(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            ready!(self.as_mut().poll_drain(cx))?;
            let this = self.as_mut().project();
            if this.engine.is_done() {
                return this.inner.poll_flush(cx);
            }
            this.engine.finish()?;
        }
    }
}

impl<E: Engine, W: AsyncWrite + Unpin> Writer<E, W> {
    /// Ends the message, flushes and hands the inner writer back, not yet shut down.
    ///
    /// Call it only when everything was written that should be. If this future is dropped before
    /// it is ready, the message is not whole.
    ///
    /// # Errors
    /// [`Io`](ErrorKind::Io) if the inner writer fails; as for
    /// [`Encryptor::finish`](super::Encryptor::finish) and
    /// [`Decryptor::finish`](super::Decryptor::finish). In each case the message is not whole.
    #[allow(clippy::future_not_send, reason = "it is Send where the writer is")]
    pub async fn finish_async(mut self) -> Result<W> {
        let mut this = Pin::new(&mut self);
        poll_fn(|cx| this.as_mut().poll_finish(cx)).await.map_err(Error::from_io)?;
        Ok(self.inner)
    }
}

impl<E: Engine, W: AsyncWrite> AsyncWrite for Writer<E, W> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        ready!(self.as_mut().poll_drain(cx))?;
        Poll::Ready(self.project().engine.push(buf).map_err(io::Error::from))
    }

    /// Hands on what whole chunks have become; never cuts a chunk short.
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.as_mut().poll_drain(cx))?;
        self.project().inner.poll_flush(cx)
    }

    /// Fails, and leaves the message without an end, unless it was finished or
    /// [`finish_on_shutdown`](Writer::finish_on_shutdown) was asked for.
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.finish_on_shutdown {
            self.project().engine.abort();
            return Poll::Ready(Err(Error::new(
                ErrorKind::Closed,
                "shut down without `finish_async`, so the message has no end and is not vouched for",
            )
            .into()));
        }
        ready!(self.as_mut().poll_finish(cx))?;
        self.project().inner.poll_shutdown(cx)
    }
}
