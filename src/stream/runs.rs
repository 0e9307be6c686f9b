//! Sealing in runs of chunks, which any thread takes in any order.

use std::fmt;

use bytes::Buf;

use crate::{
    error::Result,
    format::{Sealing, Suite, chunk},
};

/// Cuts a message into runs of chunks, each to be sealed on any thread, in any order, while others are:
/// for who writes to a place that takes pieces in any order, as an upload in parts does. No I/O.
/// [`Parallel`](super::Parallel) is for readers and writers.
///
/// The numbers of a run's chunks are spent when it is cut off, whatever becomes of it. A message of which
/// a run, the last one included, was not written does not open.
///
/// ```
/// # use bulla::{stream::RunSealer, Context, CryptoProvider, Sealer};
/// # async fn example(vault: &dyn CryptoProvider) -> bulla::Result<Vec<u8>> {
/// let sealing = Sealer::new(vault)?.begin(&Context::new()).await?;
/// let (mut object, mut runs) = RunSealer::new(sealing);
/// let plaintext = vec![7; 100_000];
/// let (first, last) = plaintext.split_at(runs.chunk_len());
/// let (run_1, run_2) = (runs.cut(first.len())?, runs.cut_last(last.len())?);
///
/// // Each of these may be done elsewhere.
/// let mut sealed_2 = vec![0; run_2.sealed_len()];
/// run_2.seal(last, &mut sealed_2)?;
/// let mut sealed_1 = vec![0; run_1.sealed_len()];
/// run_1.seal(first, &mut sealed_1)?;
///
/// object.extend(sealed_1);
/// object.extend(sealed_2);
/// # Ok(object)
/// # }
/// ```
#[must_use = "a message without an end does not open"]
pub struct RunSealer(chunk::ChunkSealer);

impl RunSealer {
    /// Begins a message: what stands before the chunks, and what cuts them.
    pub fn new(sealing: Sealing) -> (Vec<u8>, Self) {
        let Sealing { bytes, chunks } = sealing;
        (bytes, Self(chunks))
    }

    /// The suite.
    #[must_use]
    pub fn suite(&self) -> Suite {
        self.0.suite()
    }

    /// The bytes of plaintext in every chunk but the last.
    #[must_use]
    pub fn chunk_len(&self) -> usize {
        self.suite().chunk_len()
    }

    /// Cuts off the next `len` bytes of plaintext, one or more full chunks.
    ///
    /// # Errors
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) for any other length, or past 4 PiB.
    pub fn cut(&mut self, len: usize) -> Result<SealRun> {
        self.0.cut(len, false).map(SealRun)
    }

    /// Cuts off all that is left, which may be nothing, and with it the end of the message. Call it only
    /// when the plaintext has ended as it should.
    ///
    /// # Errors
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) past 4 PiB.
    pub fn cut_last(mut self, len: usize) -> Result<SealRun> {
        self.0.cut(len, true).map(SealRun)
    }
}

/// A run of chunks that was cut off a message. Sealing takes it, so no nonce is used twice.
#[must_use = "a message that lacks a run does not open"]
pub struct SealRun(chunk::SealRun);

impl SealRun {
    /// The bytes of plaintext that it was cut off for.
    #[must_use]
    pub fn plaintext_len(&self) -> usize {
        self.0.plaintext_len()
    }

    /// The bytes that it becomes: 16 more for each chunk.
    #[must_use]
    pub fn sealed_len(&self) -> usize {
        self.0.sealed_len()
    }

    /// Seals the run: some 20 µs of work for a chunk of suite 1.
    ///
    /// # Errors
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) if there is more or less plaintext, or room, than
    /// it was cut off for.
    pub fn seal(self, plaintext: impl Buf, out: &mut [u8]) -> Result<()> {
        self.0.seal(plaintext, out, || false)
    }
}

impl fmt::Debug for RunSealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RunSealer").field(&self.0).finish()
    }
}

impl fmt::Debug for SealRun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SealRun")
            .field("plaintext_len", &self.plaintext_len())
            .finish_non_exhaustive()
    }
}
