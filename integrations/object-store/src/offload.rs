//! Work that would hold an asynchronous thread up.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use bulla::{Error, ErrorKind};
use object_store::Result;
use tokio::{runtime::Handle, task::JoinHandle};

use crate::error::generic;

/// So many bytes are sealed or opened where they are, in 20 to 80 µs: a thread costs as much.
pub(crate) const INLINE: usize = 256 << 10;

/// Work that goes on whether anybody waits or not, and that is not begun any more when it is dropped.
pub(crate) enum Work<T> {
    Done(Option<Result<T>>),
    Running(JoinHandle<Result<T>>),
}

impl<T: Send + 'static> Work<T> {
    /// Begins work on `len` bytes: on tokio's blocking threads if it is much and there is a runtime.
    pub(crate) fn begin(len: usize, work: impl FnOnce() -> Result<T> + Send + 'static) -> Self {
        match Handle::try_current() {
            Ok(runtime) if len > INLINE => Self::Running(runtime.spawn_blocking(work)),
            _ => Self::Done(Some(work())),
        }
    }
}

impl<T: Send + 'static> Work<T> {
    /// Begins work that reads files.
    #[cfg(all(feature = "fs", unix))]
    pub(crate) fn begin_blocking(work: impl FnOnce() -> Result<T> + Send + 'static) -> Self {
        Self::begin(usize::MAX, work)
    }
}

impl<T: Unpin> Future for Work<T> {
    type Output = Result<T>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<T>> {
        match &mut *self {
            Self::Done(done) => Poll::Ready(done.take().unwrap_or_else(|| Err(lost()))),
            Self::Running(task) => {
                Pin::new(task).poll(cx).map(|joined| joined.unwrap_or_else(|_| Err(lost())))
            }
        }
    }
}

impl<T> Drop for Work<T> {
    fn drop(&mut self) {
        if let Self::Running(task) = self {
            task.abort();
        }
    }
}

fn lost() -> object_store::Error {
    generic(Error::new(ErrorKind::Internal, "a thread that sealed or opened was lost"))
}
