//! Asynchronous readers and writers over a pipeline of runs.

use std::{
    fmt,
    future::poll_fn,
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use pin_project_lite::pin_project;
use tokio::io::{AsyncBufRead, AsyncRead, AsyncWrite, ReadBuf};

use super::{half::Half, tasks::Pipeline};
use crate::{
    error::{Error, ErrorKind, Result},
    stream::encryptor::copy_prefix,
};

pin_project! {
    /// Reads from `R` and yields what several threads make of it, in order. Implements
    /// [`AsyncBufRead`] where `R` is an [`AsyncRead`].
    ///
    /// An end of file here means that the message is whole. An error of `R` is handed on, and from
    /// then on every call fails. Reads ahead by one run (512 KiB) for each thread.
    pub struct ParallelReader<H, R> {
        pub(super) pipeline: Pipeline<H>,
        #[pin]
        pub(super) inner: R,
    }
}

impl<H: Half, R: AsyncRead> AsyncBufRead for ParallelReader<H, R> {
    fn poll_fill_buf(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<&[u8]>> {
        let mut this = self.project();
        loop {
            this.pipeline.check()?;
            while this.pipeline.is_open() && this.pipeline.has_room() {
                this.pipeline.take_on_whole()?;
                let mut buf = ReadBuf::new(this.pipeline.space());
                if buf.remaining() == 0 {
                    break;
                }
                let Poll::Ready(read) = this.inner.as_mut().poll_read(cx, &mut buf) else { break };
                match (read, buf.filled().len()) {
                    (Ok(()), 0) => this.pipeline.end()?,
                    (Ok(()), len) => this.pipeline.advance(len)?,
                    (Err(error), _) => {
                        this.pipeline.fail();
                        return Poll::Ready(Err(error));
                    }
                }
            }
            if !this.pipeline.output().is_empty() || this.pipeline.is_done() {
                return Poll::Ready(Ok(this.pipeline.output()));
            }
            match ready!(this.pipeline.poll_next(cx)) {
                Some(done) => done?,
                // Then it is the source that was not ready, and wakes us.
                None if this.pipeline.is_open() => return Poll::Pending,
                None => {}
            }
        }
    }

    fn consume(self: Pin<&mut Self>, len: usize) {
        self.project().pipeline.consume(len);
    }
}

impl<H: Half, R: AsyncRead> AsyncRead for ParallelReader<H, R> {
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

pin_project! {
    /// Writes to `W`, in order, what several threads make of what is written. Implements
    /// [`AsyncWrite`] where `W` does.
    ///
    /// Only [`finish`](Self::finish) ends the message. A writer that is dropped, flushed or shut
    /// down without it leaves something that does not open. Holds a run (512 KiB) for each thread and
    /// no more: when `W` is slow, so are writes.
    #[must_use = "only `finish` ends the message"]
    pub struct ParallelWriter<H, W> {
        pub(super) pipeline: Pipeline<H>,
        #[pin]
        pub(super) inner: W,
    }
}

impl<H: Half, W: AsyncWrite> ParallelWriter<H, W> {
    /// Writes output until there is none, as far as it is ready.
    fn poll_output(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut this = self.project();
        while !this.pipeline.output().is_empty() {
            match ready!(this.inner.as_mut().poll_write(cx, this.pipeline.output())) {
                Ok(0) => {
                    this.pipeline.fail();
                    return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
                }
                Ok(len) => this.pipeline.consume(len),
                Err(error) => {
                    this.pipeline.fail();
                    return Poll::Ready(Err(error));
                }
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Carries one run to the inner writer. `false`: none is under way.
    fn poll_carry(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        ready!(self.as_mut().poll_output(cx))?;
        let carried = match ready!(self.as_mut().project().pipeline.poll_next(cx)) {
            None => false,
            Some(done) => {
                done?;
                true
            }
        };
        Poll::Ready(Ok(carried))
    }

    fn poll_finish(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            let this = self.as_mut().project();
            this.pipeline.check()?;
            if this.pipeline.is_done() {
                return this.inner.poll_flush(cx);
            }
            if this.pipeline.is_open() && this.pipeline.has_room() {
                this.pipeline.take_on_whole()?;
                if this.pipeline.has_room() {
                    this.pipeline.end()?;
                }
            }
            ready!(self.as_mut().poll_carry(cx))?;
        }
    }
}

impl<H: Half, W: AsyncWrite + Unpin> ParallelWriter<H, W> {
    /// Ends the message, flushes and hands the inner writer back, not yet shut down.
    ///
    /// Call it only when everything was written that should be. If this future is dropped before
    /// it is ready, the message is not whole.
    ///
    /// # Errors
    /// [`Io`](ErrorKind::Io) if the inner writer fails; [`NotAuthentic`](ErrorKind::NotAuthentic),
    /// when opening, if the message is not whole or was altered.
    #[allow(clippy::future_not_send, reason = "it is Send where the writer is")]
    pub async fn finish(mut self) -> Result<W> {
        let mut this = Pin::new(&mut self);
        poll_fn(|cx| this.as_mut().poll_finish(cx)).await.map_err(Error::from_io)?;
        Ok(self.inner)
    }
}

impl<H: Half, W: AsyncWrite> AsyncWrite for ParallelWriter<H, W> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        loop {
            let pipeline = self.as_mut().project().pipeline;
            pipeline.check()?;
            pipeline.take_on_whole()?;
            let len = copy_prefix(buf, pipeline.space());
            pipeline.advance(len)?;
            let waits = len == 0 && !buf.is_empty();
            // What is ready goes out, whether anybody waits for it or not.
            match self.as_mut().poll_carry(cx)? {
                Poll::Pending if waits => return Poll::Pending,
                _ if !waits => return Poll::Ready(Ok(len)),
                _ => {}
            }
        }
    }

    /// Hands on what whole chunks become; never cuts a chunk short.
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            self.as_mut().project().pipeline.check()?;
            self.as_mut().project().pipeline.take_on_chunks()?;
            if !ready!(self.as_mut().poll_carry(cx))? {
                return self.project().inner.poll_flush(cx);
            }
        }
    }

    /// Fails, and leaves the message without an end: only [`finish`](Self::finish) ends it.
    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.project().pipeline.fail();
        let text = "shut down without `finish`, so the message has no end and is not vouched for";
        Poll::Ready(Err(Error::new(ErrorKind::Closed, text).into()))
    }
}

impl<H, R> fmt::Debug for ParallelReader<H, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ParallelReader").finish_non_exhaustive()
    }
}

impl<H, W> fmt::Debug for ParallelWriter<H, W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ParallelWriter").finish_non_exhaustive()
    }
}
