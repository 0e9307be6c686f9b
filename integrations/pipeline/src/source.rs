//! Where a plaintext comes from, and whether it can be had again.

use std::{
    error::Error as StdError,
    fmt,
    future::Future,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use bulla::{Error, ErrorKind, Result};
use bytes::Bytes;
use futures_core::Stream;
use futures_util::{StreamExt, TryStreamExt, future, stream};
use tokio::fs::File;
use tokio_util::io::ReaderStream;

use crate::ByteStream;

/// A plaintext that can be begun: again and again, or [once](Once).
///
/// An upload that failed half-way can't be taken up where it ended, since what was read of its body is gone. It is
/// begun again from here, from the first byte.
pub trait Source: Send + Sync {
    /// The plaintext from its first byte.
    ///
    /// # Errors
    /// [`Closed`](ErrorKind::Closed) if it was begun before and can't be again; otherwise what keeps it from being
    /// read, such as [`Io`](ErrorKind::Io).
    fn open(&self) -> impl Future<Output = Result<ByteStream<'static>>> + Send;
}

impl<S: Source> Source for &S {
    fn open(&self) -> impl Future<Output = Result<ByteStream<'static>>> + Send {
        (**self).open()
    }
}

/// Bytes in memory.
impl Source for Bytes {
    fn open(&self) -> impl Future<Output = Result<ByteStream<'static>>> + Send {
        let bytes = self.clone();
        future::ready(Ok(stream::once(future::ready(Ok(bytes))).boxed()))
    }
}

/// A file, opened by its name each time.
///
/// Nothing keeps it from being changed in between: each attempt has what is there then.
#[derive(Clone, Debug)]
pub struct FileSource {
    path: PathBuf,
}

impl FileSource {
    /// The file at this path.
    #[must_use]
    pub fn new(path: impl AsRef<Path>) -> Self {
        Self { path: path.as_ref().to_owned() }
    }
}

impl Source for FileSource {
    async fn open(&self) -> Result<ByteStream<'static>> {
        let file = File::open(&self.path).await.map_err(Error::from_io)?;
        let pieces = ReaderStream::with_capacity(file, 64 << 10);
        Ok(pieces.map_err(Error::from_io).boxed())
    }
}

/// Makes a [`Source`] of an asynchronous closure that begins the plaintext.
pub fn source_with<F, Fut, S, E>(begin: F) -> impl Source
where
    F: Fn() -> Fut + Send + Sync,
    Fut: Future<Output = Result<S>> + Send,
    S: Stream<Item = Result<Bytes, E>> + Send + 'static,
    E: StdError + Send + Sync + 'static,
{
    With { begin }
}

struct With<F> {
    begin: F,
}

impl<F, Fut, S, E> Source for With<F>
where
    F: Fn() -> Fut + Send + Sync,
    Fut: Future<Output = Result<S>> + Send,
    S: Stream<Item = Result<Bytes, E>> + Send + 'static,
    E: StdError + Send + Sync + 'static,
{
    async fn open(&self) -> Result<ByteStream<'static>> {
        Ok((self.begin)().await?.map_err(crate::streams::to_own).boxed())
    }
}

/// A plaintext that can be read once, such as the body of a request. To begin it again is an error.
pub struct Once {
    stream: Mutex<Option<ByteStream<'static>>>,
}

impl Once {
    /// Of this stream.
    #[must_use]
    pub fn new<S, E>(stream: S) -> Self
    where
        S: Stream<Item = Result<Bytes, E>> + Send + 'static,
        E: StdError + Send + Sync + 'static,
    {
        Self { stream: Mutex::new(Some(stream.map_err(crate::streams::to_own).boxed())) }
    }
}

impl Source for Once {
    fn open(&self) -> impl Future<Output = Result<ByteStream<'static>>> + Send {
        let stream = self.stream.lock().unwrap_or_else(PoisonError::into_inner).take();
        future::ready(stream.ok_or_else(|| {
            Error::new(
                ErrorKind::Closed,
                "the source can be read once only, and has been begun: send it again",
            )
        }))
    }
}

impl fmt::Debug for Once {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Once").finish_non_exhaustive()
    }
}
