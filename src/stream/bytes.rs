//! The engine over a [`Stream`] of [`Bytes`].

use std::{
    any::Any,
    error::Error as StdError,
    fmt, io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::{Buf, Bytes};
use futures_core::Stream;
use pin_project_lite::pin_project;

use super::{Decryptor, Encryptor, engine::Engine};
use crate::{
    error::{Error, ErrorKind, Result},
    format::{Opening, Sealing},
};

pin_project! {
    /// A stream that yields what the engine makes of another stream.
    ///
    /// It ends without an error only where the message is whole; after an error it yields nothing
    /// more.
    pub struct EngineStream<E, S> {
        engine: E,
        rest: Bytes,
        failed: bool,
        #[pin]
        inner: S,
    }
}

/// Yields the sealed form of a stream of plaintext, in pieces of one chunk.
pub type EncryptStream<S> = EngineStream<Encryptor, S>;

/// Yields the plaintext of a stream of sealed bytes, in pieces of one chunk.
pub type DecryptStream<S> = EngineStream<Decryptor, S>;

impl<S> EncryptStream<S> {
    /// Seals what `inner` yields, up to its end.
    #[must_use]
    pub fn new(header: Sealing, inner: S) -> Self {
        Self { engine: Encryptor::new(header), rest: Bytes::new(), failed: false, inner }
    }
}

impl<S> DecryptStream<S> {
    /// Opens `rest` and then what `inner` yields, behind the head of the message. `rest` is what
    /// came out of the stream together with the head.
    #[must_use]
    pub fn new(header: Opening, rest: Bytes, inner: S) -> Self {
        Self { engine: Decryptor::new(header), rest, failed: false, inner }
    }
}

impl<E, S, F> Stream for EngineStream<E, S>
where
    E: Engine,
    S: Stream<Item = Result<Bytes, F>>,
    F: StdError + Send + Sync + 'static,
{
    type Item = Result<Bytes>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes>>> {
        let mut this = self.project();
        if *this.failed {
            return Poll::Ready(None);
        }
        loop {
            if !this.engine.output().is_empty() {
                let piece = Bytes::copy_from_slice(this.engine.output());
                this.engine.consume(piece.len());
                return Poll::Ready(Some(Ok(piece)));
            }
            if this.engine.is_done() {
                return Poll::Ready(None);
            }
            let step = if this.rest.is_empty() {
                match ready!(this.inner.as_mut().poll_next(cx)) {
                    None => this.engine.finish(),
                    Some(Ok(bytes)) => {
                        *this.rest = bytes;
                        Ok(())
                    }
                    Some(Err(error)) => Err(source_error(error)),
                }
            } else {
                this.engine.push(this.rest).map(|taken| this.rest.advance(taken))
            };
            if let Err(error) = step {
                this.engine.abort();
                *this.failed = true;
                return Poll::Ready(Some(Err(error)));
            }
        }
    }
}

/// Keeps our own errors as they are, also those that come as an [`io::Error`], and wraps others.
pub(super) fn source_error<F: StdError + Send + Sync + 'static>(error: F) -> Error {
    let error_any: &dyn Any = &error;
    let own = error_any
        .downcast_ref::<Error>()
        .or_else(|| error_any.downcast_ref::<io::Error>()?.get_ref()?.downcast_ref::<Error>());
    match own {
        Some(own) => own.clone(),
        None => Error::new(ErrorKind::Io, "the source of the stream failed").with_source(error),
    }
}

impl<E, S> fmt::Debug for EngineStream<E, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EngineStream").field("failed", &self.failed).finish_non_exhaustive()
    }
}
