//! Runs of chunks: the unit of work that a thread takes.

use crate::{
    crypto::TAG_LEN,
    error::{Error, Result},
    format::{
        Suite,
        chunk::{ChunkOpener, ChunkSealer, SealRun},
    },
};

/// The bytes of plaintext in a run: 512 KiB, 8 chunks of suite 1 or 32 of suite 2. Longer ones don't
/// stay in a core's cache between reading, working and writing; shorter ones wait more for turns.
const RUN_LEN: usize = 1 << 19;

/// Sealing or opening, as far as workers care. Sealed: no other type can be one.
pub trait Half: sealed::Sealed + Send + Unpin + 'static {
    /// A run that was cut off and is to be worked on once.
    #[doc(hidden)]
    type Run: Run;
    /// The bytes of a full chunk of input.
    #[doc(hidden)]
    fn chunk_len(&self) -> usize;
    /// The bytes of input in a whole run.
    #[doc(hidden)]
    fn run_len(&self) -> usize;
    /// Cuts off the next `len` bytes of input: full chunks, and behind them the last, shorter one
    /// if the input has ended.
    #[doc(hidden)]
    fn cut(&mut self, len: usize, last: bool) -> Result<Self::Run>;
}

/// See [`Half::Run`].
pub trait Run: Send + 'static {
    /// How many bytes come of it.
    #[doc(hidden)]
    fn output_len(&self) -> usize;
    /// Does the work, or leaves off between two chunks.
    #[doc(hidden)]
    fn work(self, input: &[u8], out: &mut [u8], stop: impl Fn() -> bool) -> Result<()>;
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for super::SealingHalf {}
    impl Sealed for super::OpeningHalf {}
}

fn chunks_in_run(suite: Suite) -> usize {
    RUN_LEN / suite.chunk_len()
}

/// The sealing half.
#[derive(Debug)]
pub struct SealingHalf(pub(super) ChunkSealer);

impl Half for SealingHalf {
    type Run = SealingRun;

    fn chunk_len(&self) -> usize {
        self.0.suite().chunk_len()
    }

    fn run_len(&self) -> usize {
        chunks_in_run(self.0.suite()) * self.0.suite().chunk_len()
    }

    fn cut(&mut self, len: usize, last: bool) -> Result<SealingRun> {
        self.0.cut(len, last).map(SealingRun)
    }
}

/// A run to seal.
pub struct SealingRun(SealRun);

impl Run for SealingRun {
    fn output_len(&self) -> usize {
        self.0.sealed_len()
    }

    fn work(self, input: &[u8], out: &mut [u8], stop: impl Fn() -> bool) -> Result<()> {
        self.0.seal(input, out, stop)
    }
}

/// The opening half.
#[derive(Debug)]
pub struct OpeningHalf {
    chunks: ChunkOpener,
    next: u64,
}

impl OpeningHalf {
    pub(super) fn new(chunks: ChunkOpener) -> Self {
        Self { chunks, next: 0 }
    }
}

impl Half for OpeningHalf {
    type Run = OpeningRun;

    fn chunk_len(&self) -> usize {
        self.chunks.suite().sealed_chunk_len()
    }

    fn run_len(&self) -> usize {
        chunks_in_run(self.chunks.suite()) * self.chunks.suite().sealed_chunk_len()
    }

    /// The last chunk is always shorter than the others, so input that ends with a full one was
    /// cut, and so was what ends within a tag.
    fn cut(&mut self, len: usize, last: bool) -> Result<OpeningRun> {
        let (full, rest) = (len / self.chunk_len(), len % self.chunk_len());
        let fits = if last { rest >= TAG_LEN } else { rest == 0 && full > 0 };
        if !fits {
            return Err(Error::not_authentic());
        }
        let (first, chunks) = (self.next, full + usize::from(last));
        self.next += chunks as u64;
        let output_len = len - chunks * TAG_LEN;
        Ok(OpeningRun { chunks: self.chunks.clone(), first, output_len })
    }
}

/// A run to open.
pub struct OpeningRun {
    chunks: ChunkOpener,
    first: u64,
    output_len: usize,
}

impl Run for OpeningRun {
    fn output_len(&self) -> usize {
        self.output_len
    }

    fn work(self, input: &[u8], out: &mut [u8], stop: impl Fn() -> bool) -> Result<()> {
        self.chunks.open_run(self.first, input, out, stop)
    }
}
