//! Uploads that are tried again, each time from the first byte and under a new data key.

use std::{
    error::Error as StdError,
    future::Future,
    ops::Deref,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context as Task, Poll, ready},
    time::Duration,
};

use bulla::{Context, CryptoProvider, Error, ErrorKind, Result};
use bytes::Bytes;
use futures_core::Stream;
use futures_util::StreamExt;

use crate::{ByteStream, Source, Writing};

/// How often an upload is tried, and how long it waits in between.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attempts {
    most: u32,
    wait: Duration,
}

/// Between attempts, at most.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

impl Attempts {
    /// One, and none after it.
    pub const ONE: Self = Self { most: 1, wait: Duration::ZERO };

    /// At most so many, the first one included; none is no number of attempts, and counts as one. Between two it
    /// waits up to 100 ms, and each time up to twice as long as before, up to 30 seconds.
    #[must_use]
    pub fn up_to(most: u32) -> Self {
        Self { most: most.max(1), wait: Duration::from_millis(100) }
    }

    /// How long it waits at most after the first attempt.
    #[must_use]
    pub fn wait(mut self, wait: Duration) -> Self {
        self.wait = wait;
        self
    }

    /// A draw between nothing and the longest wait: those who failed together don't come back together.
    async fn pause(&self, failed: u32) {
        let longest =
            self.wait.saturating_mul(1 << failed.saturating_sub(1).min(16)).min(LONGEST_WAIT);
        if !longest.is_zero() {
            tokio::time::sleep(longest.mul_f64(fastrand::f64())).await;
        }
    }
}

impl<P> Writing<P>
where
    P: Deref<Target: CryptoProvider> + Send + Sync,
{
    /// Uploads a plaintext: gives `upload` the stream of its sealed form and, if that fails, begins again from the
    /// source, under a new data key and salt. No message is taken up half-way: the attempts have not a byte in
    /// common.
    ///
    /// What `upload` returned is handed on only if the stream was read to its end. One that reports success before
    /// is an error, and what it stored does not open.
    ///
    /// # Errors
    /// That of the last attempt: [`Io`](ErrorKind::Io) with what `upload` said as its source; what the source
    /// or the providers said. A source that [can't be begun again](crate::Once) ends it with
    /// [`Closed`](ErrorKind::Closed) after the first failure, which is its source. What another attempt would not
    /// change (a denied key, a plaintext beyond the bounds) is not tried again.
    pub async fn upload<S, F, Fut, T, E>(
        &self,
        source: &S,
        context: &Context,
        attempts: Attempts,
        mut upload: F,
    ) -> Result<T>
    where
        S: Source,
        F: FnMut(ByteStream<'static>) -> Fut + Send,
        Fut: Future<Output = Result<T, E>> + Send,
        T: Send,
        E: StdError + Send + Sync + 'static,
    {
        let mut failed = 0;
        let mut last: Option<Error> = None;
        loop {
            let plaintext = source.open().await.map_err(|error| match last.take() {
                Some(before) if error.kind() == ErrorKind::Closed => before.told_as(
                    ErrorKind::Closed,
                    "the upload failed, and its source can't be begun again",
                ),
                _ => error,
            })?;
            let error = match self.attempt(plaintext, context, &mut upload).await {
                Ok(done) => return Ok(done),
                Err(error) => error,
            };
            failed += 1;
            if failed >= attempts.most || !may_pass(&error) {
                return Err(error);
            }
            last = Some(error);
            attempts.pause(failed).await;
        }
    }

    async fn attempt<F, Fut, T, E>(
        &self,
        plaintext: ByteStream<'static>,
        context: &Context,
        upload: &mut F,
    ) -> Result<T>
    where
        F: FnMut(ByteStream<'static>) -> Fut + Send,
        Fut: Future<Output = Result<T, E>> + Send,
        T: Send,
        E: StdError + Send + Sync + 'static,
    {
        let end = Arc::new(Mutex::new(End::NotYet));
        let sealed = self.stream(plaintext, context).await?;
        let watched = Watched { inner: sealed, ahead: None, end: Arc::clone(&end), is_done: false };
        let answer = upload(watched.boxed()).await;
        let end = std::mem::take(&mut *end.lock().unwrap_or_else(PoisonError::into_inner));
        match (answer, end) {
            // What went wrong here is what the uploader's error follows from.
            (_, End::Failed(error)) => Err(error),
            (Ok(done), End::Reached) => Ok(done),
            (Ok(_), End::NotYet) => Err(Error::new(
                ErrorKind::Io,
                "the upload says that it is done and has not read all of the message: what it stored does not open",
            )),
            (Err(error), _) => {
                Err(Error::new(ErrorKind::Io, "the upload failed").with_source(error))
            }
        }
    }
}

/// What another attempt may change: I/O, and what passes by itself.
fn may_pass(error: &Error) -> bool {
    error.kind() == ErrorKind::Io || error.is_retryable()
}

/// How far a stream was read.
#[derive(Default)]
enum End {
    #[default]
    NotYet,
    Reached,
    Failed(Error),
}

/// A stream that tells how far it was read. It is a piece ahead, so that the end is known with the last piece: an uploader
/// that was told a length reads no further.
struct Watched {
    inner: ByteStream<'static>,
    ahead: Option<Bytes>,
    end: Arc<Mutex<End>>,
    is_done: bool,
}

impl Watched {
    fn ends(&mut self, end: End) {
        self.is_done = true;
        *self.end.lock().unwrap_or_else(PoisonError::into_inner) = end;
    }
}

impl Stream for Watched {
    type Item = Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Task<'_>) -> Poll<Option<Result<Bytes>>> {
        loop {
            if self.is_done {
                return Poll::Ready(None);
            }
            match ready!(self.inner.poll_next_unpin(cx)) {
                Some(Ok(piece)) => {
                    if let Some(before) = self.ahead.replace(piece) {
                        return Poll::Ready(Some(Ok(before)));
                    }
                }
                Some(Err(error)) => {
                    self.ends(End::Failed(error.clone()));
                    return Poll::Ready(Some(Err(error)));
                }
                None => {
                    self.ends(End::Reached);
                    return Poll::Ready(self.ahead.take().map(Ok));
                }
            }
        }
    }
}
