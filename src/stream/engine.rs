//! What both halves of the engine have in common, and the adapters' types over it.

use std::fmt;

use pin_project_lite::pin_project;

use super::{Decryptor, Encryptor};
use crate::{
    error::Result,
    format::{Opening, Sealing},
};

/// What [`Encryptor`] and [`Decryptor`] have in common. Sealed: no other type can be one.
pub trait Engine: sealed::Sealed {
    /// See [`Encryptor::push`].
    #[doc(hidden)]
    fn push(&mut self, input: &[u8]) -> Result<usize>;
    /// See [`Encryptor::space`].
    #[doc(hidden)]
    fn space(&mut self) -> &mut [u8];
    /// See [`Encryptor::advance`].
    #[doc(hidden)]
    fn advance(&mut self, len: usize) -> Result<()>;
    /// See [`Encryptor::finish`].
    #[doc(hidden)]
    fn finish(&mut self) -> Result<()>;
    /// See [`Encryptor::abort`].
    #[doc(hidden)]
    fn abort(&mut self);
    /// See [`Encryptor::output`].
    #[doc(hidden)]
    fn output(&self) -> &[u8];
    /// See [`Encryptor::consume`].
    #[doc(hidden)]
    fn consume(&mut self, len: usize);
    /// See [`Encryptor::is_done`].
    #[doc(hidden)]
    fn is_done(&self) -> bool;
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for super::Encryptor {}
    impl Sealed for super::Decryptor {}
}

macro_rules! engine {
    ($half:ty) => {
        impl Engine for $half {
            fn push(&mut self, input: &[u8]) -> Result<usize> {
                self.push(input)
            }
            fn space(&mut self) -> &mut [u8] {
                self.space()
            }
            fn advance(&mut self, len: usize) -> Result<()> {
                self.advance(len)
            }
            fn finish(&mut self) -> Result<()> {
                self.finish()
            }
            fn abort(&mut self) {
                self.abort();
            }
            fn output(&self) -> &[u8] {
                self.output()
            }
            fn consume(&mut self, len: usize) {
                self.consume(len);
            }
            fn is_done(&self) -> bool {
                self.is_done()
            }
        }
    };
}
engine!(Encryptor);
engine!(Decryptor);

pin_project! {
    /// Reads from `R` and yields what the engine makes of it. Implements [`std::io::BufRead`] or
    /// [`tokio::io::AsyncBufRead`], as `R` is a reader of either kind.
    ///
    /// An end of file here means that the message is whole. An error of `R` is handed on, and from
    /// then on every call fails.
    pub struct Reader<E, R> {
        pub(super) engine: E,
        #[pin]
        pub(super) inner: R,
    }
}

/// Yields the sealed form of what it reads.
pub type EncryptReader<R> = Reader<Encryptor, R>;

/// Yields the plaintext of what it reads; an end of file only where the message ends.
pub type DecryptReader<R> = Reader<Decryptor, R>;

impl<R> EncryptReader<R> {
    /// Seals what `inner` yields, up to its end.
    #[must_use]
    pub fn new(header: Sealing, inner: R) -> Self {
        Self { engine: Encryptor::new(header), inner }
    }
}

impl<R> DecryptReader<R> {
    /// Opens what `inner` yields behind the head of the message.
    #[must_use]
    pub fn new(header: Opening, inner: R) -> Self {
        Self { engine: Decryptor::new(header), inner }
    }
}

impl<E: Engine, R> Reader<E, R> {
    /// Whether the message is whole and everything was read.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.engine.is_done()
    }
}

pin_project! {
    /// Writes to `W` what the engine makes of what is written. Implements [`std::io::Write`] or
    /// [`tokio::io::AsyncWrite`], as `W` is a writer of either kind.
    ///
    /// Only `finish` (or `finish_async`) ends the message. A writer that is dropped, flushed or
    /// shut down without it leaves something that does not open: an error of the source, which a
    /// writer can't see, must not turn into a short message that looks whole.
    #[must_use = "only `finish` ends the message"]
    pub struct Writer<E, W> {
        pub(super) engine: E,
        pub(super) finish_on_shutdown: bool,
        #[pin]
        pub(super) inner: W,
    }
}

/// Writes the sealed form of what is written to it.
pub type EncryptWriter<W> = Writer<Encryptor, W>;

/// Writes the plaintext of what is written to it.
pub type DecryptWriter<W> = Writer<Decryptor, W>;

impl<W> EncryptWriter<W> {
    /// Seals what is written, into `inner`.
    pub fn new(header: Sealing, inner: W) -> Self {
        Self { engine: Encryptor::new(header), finish_on_shutdown: false, inner }
    }
}

impl<W> DecryptWriter<W> {
    /// Opens what is written behind the head of the message, into `inner`.
    ///
    /// What `inner` received is vouched for only when `finish` returns without an error.
    pub fn new(header: Opening, inner: W) -> Self {
        Self { engine: Decryptor::new(header), finish_on_shutdown: false, inner }
    }
}

impl<E: Engine, W> Writer<E, W> {
    /// Makes [`AsyncWriteExt::shutdown`](tokio::io::AsyncWriteExt::shutdown) end the message.
    ///
    /// # Security
    /// For a writer handed to code that shuts it down after success **only**. Code that also shuts
    /// it down after an error of the source turns that error into a shorter message that opens.
    pub fn finish_on_shutdown(mut self) -> Self {
        self.finish_on_shutdown = true;
        self
    }
}

impl<E, R> fmt::Debug for Reader<E, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader").finish_non_exhaustive()
    }
}

impl<E, W> fmt::Debug for Writer<E, W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Writer").finish_non_exhaustive()
    }
}
