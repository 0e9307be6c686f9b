//! Streams on several threads. The bytes are the same as those of one thread.
//!
//! A message is cut into runs of 512 KiB, which are worked on at the same time and written in order.
//! It pays for megabytes and more; a short message is done before a second thread begins.

mod adapters;
mod half;
mod tasks;
#[cfg(test)]
mod tests;
mod threads;

use std::{
    io::{Read, Write},
    num::NonZeroUsize,
    thread,
};

pub use self::{
    adapters::{ParallelReader, ParallelWriter},
    half::{Half, OpeningHalf, Run, SealingHalf},
};
use self::{tasks::Pipeline, threads::carry};
use crate::{
    error::{Error, Result},
    format::{Opening, Sealing},
};

/// Yields the sealed form of what it reads.
pub type ParallelEncryptReader<R> = ParallelReader<SealingHalf, R>;

/// Yields the plaintext of what it reads; an end of file only where the message ends.
pub type ParallelDecryptReader<R> = ParallelReader<OpeningHalf, R>;

/// Writes the sealed form of what is written to it.
pub type ParallelEncryptWriter<W> = ParallelWriter<SealingHalf, W>;

/// Writes the plaintext of what is written to it.
pub type ParallelDecryptWriter<W> = ParallelWriter<OpeningHalf, W>;

/// Seals and opens streams on several threads, in memory of about 1 MiB for each thread and 2 MiB
/// more, whatever the length.
///
/// ```
/// # use bulla::{format::Preamble, stream::Parallel, Context, CryptoProvider, Opener, Sealer};
/// # async fn example(vault: &dyn CryptoProvider, mut from: std::fs::File, to: std::fs::File)
/// # -> bulla::Result<()> {
/// let header = Sealer::new(vault)?.begin(&Context::new()).await?;
/// Parallel::new().encrypt(header, from, to)?; // blocks: call it off the asynchronous threads
/// # Ok(())
/// # }
/// ```
///
/// Dropping an asynchronous reader or writer, or the future that drives it, leaves nothing running
/// but for the chunk that each thread is at, some 20 µs of work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parallel {
    threads: NonZeroUsize,
}

impl Default for Parallel {
    fn default() -> Self {
        Self::new()
    }
}

impl Parallel {
    /// As many threads as [`available_parallelism`](thread::available_parallelism) says.
    #[must_use]
    pub fn new() -> Self {
        Self::with_threads(thread::available_parallelism().unwrap_or(NonZeroUsize::MIN))
    }

    /// So many threads.
    #[must_use]
    pub fn with_threads(threads: NonZeroUsize) -> Self {
        Self { threads }
    }

    /// Seals all of `source` into `sink`, flushes that and hands it back. Blocks until then.
    ///
    /// # Errors
    /// [`Io`](crate::ErrorKind::Io) if either fails, and then what was written does not open;
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) past 4 PiB.
    pub fn encrypt<R, W>(&self, sealing: Sealing, source: R, mut sink: W) -> Result<W>
    where
        R: Read + Send,
        W: Write + Send,
    {
        let Sealing { bytes, chunks } = sealing;
        sink.write_all(&bytes).map_err(Error::from_io)?;
        carry(SealingHalf(chunks), self.threads, source, sink)
    }

    /// Opens all of `source`, behind the head of the message, into `sink`, flushes that and hands
    /// it back. Blocks until then.
    ///
    /// What `sink` received is vouched for only when this returns without an error.
    ///
    /// # Errors
    /// [`NotAuthentic`](crate::ErrorKind::NotAuthentic) if the message was altered or is not whole;
    /// [`Io`](crate::ErrorKind::Io) if either fails.
    pub fn decrypt<R, W>(&self, opening: Opening, source: R, sink: W) -> Result<W>
    where
        R: Read + Send,
        W: Write + Send,
    {
        carry(OpeningHalf::new(opening.chunks), self.threads, source, sink)
    }

    /// Seals what `inner` yields, up to its end, on tokio's blocking threads.
    pub fn encrypt_reader<R>(&self, sealing: Sealing, inner: R) -> ParallelEncryptReader<R> {
        ParallelReader { pipeline: self.sealing(sealing), inner }
    }

    /// Opens what `inner` yields behind the head of the message, on tokio's blocking threads.
    pub fn decrypt_reader<R>(&self, opening: Opening, inner: R) -> ParallelDecryptReader<R> {
        ParallelReader { pipeline: self.opening(opening), inner }
    }

    /// Seals what is written, into `inner`, on tokio's blocking threads.
    pub fn encrypt_writer<W>(&self, sealing: Sealing, inner: W) -> ParallelEncryptWriter<W> {
        ParallelWriter { pipeline: self.sealing(sealing), inner }
    }

    /// Opens what is written behind the head of the message, into `inner`, on tokio's blocking
    /// threads.
    ///
    /// What `inner` received is vouched for only when `finish` returns without an error.
    pub fn decrypt_writer<W>(&self, opening: Opening, inner: W) -> ParallelDecryptWriter<W> {
        ParallelWriter { pipeline: self.opening(opening), inner }
    }

    fn sealing(&self, sealing: Sealing) -> Pipeline<SealingHalf> {
        let Sealing { bytes, chunks } = sealing;
        Pipeline::new(SealingHalf(chunks), self.threads, bytes)
    }

    fn opening(&self, opening: Opening) -> Pipeline<OpeningHalf> {
        Pipeline::new(OpeningHalf::new(opening.chunks), self.threads, Vec::new())
    }
}
