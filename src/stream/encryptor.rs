//! The encrypting half of the engine: bytes in, bytes out, no I/O.

use std::fmt;

use crate::{
    crypto::TAG_LEN,
    error::{Error, ErrorKind, Result},
    format::{Sealing, chunk::ChunkSealer},
    key::Wiped,
};

/// Turns a plaintext, in pieces of any size, into sealed bytes. No I/O, no waiting.
///
/// Feed it with [`push`](Self::push) (or [`space`](Self::space) and [`advance`](Self::advance)),
/// carry away what [`output`](Self::output) holds, and [`finish`](Self::finish) when the plaintext
/// has ended well. Without that call nothing it wrote will ever open. It holds one chunk of
/// plaintext and one of ciphertext: 128 KiB for suite 1.
///
/// A nonce is used once because this type can't be cloned or rewound; to try again, start anew.
#[must_use = "a message without an end does not open"]
pub struct Encryptor {
    chunks: ChunkSealer,
    pending: Wiped,
    filled: usize,
    out: Output,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Open,
    Finished,
    Failed,
}

impl Encryptor {
    /// Starts a message. The header is the first output.
    pub fn new(header: Sealing) -> Self {
        let Sealing { bytes, chunks, .. } = header;
        Self {
            pending: Wiped::default(),
            filled: 0,
            out: Output::new(bytes),
            chunks,
            state: State::Open,
        }
    }

    /// Takes plaintext, and returns how many bytes of it: 0 while there is output to carry away.
    ///
    /// # Errors
    /// [`Closed`](ErrorKind::Closed) after [`finish`](Self::finish) or a failure;
    /// [`InvalidInput`](ErrorKind::InvalidInput) past 4 PiB.
    pub fn push(&mut self, input: &[u8]) -> Result<usize> {
        self.check_open()?;
        if !self.out.is_empty() || input.is_empty() {
            return Ok(0);
        }
        let chunk_len = self.chunks.suite().chunk_len();
        if let (0, Some(chunk)) = (self.filled, input.get(..chunk_len)) {
            self.seal_direct(chunk)?;
            return Ok(chunk_len);
        }
        let len = copy_prefix(input, self.space());
        self.advance(len)?;
        Ok(len)
    }

    /// Where plaintext can be written in place; empty while there is output to carry away.
    pub fn space(&mut self) -> &mut [u8] {
        let chunk_len = self.chunks.suite().chunk_len();
        if self.state != State::Open || !self.out.is_empty() {
            return &mut [];
        }
        if self.pending.is_empty() {
            *self.pending = vec![0; chunk_len];
        }
        self.pending.get_mut(self.filled..).unwrap_or_default()
    }

    /// Says that `len` bytes of [`space`](Self::space) were written.
    ///
    /// # Errors
    /// As for [`push`](Self::push), and [`InvalidInput`](ErrorKind::InvalidInput) for more than
    /// there was space for.
    pub fn advance(&mut self, len: usize) -> Result<()> {
        self.check_open()?;
        if len > self.space().len() {
            return Err(Error::invalid("more bytes than there was space for"));
        }
        self.filled += len;
        if self.filled == self.chunks.suite().chunk_len() {
            self.seal_pending()?;
        }
        Ok(())
    }

    /// Ends the message: the last, short chunk becomes output. All earlier output must have been
    /// carried away.
    ///
    /// Call this only when the plaintext has ended as it should. After an error of its source,
    /// drop the encryptor: what it wrote then does not open.
    ///
    /// # Errors
    /// [`Closed`](ErrorKind::Closed) if called twice or after a failure;
    /// [`InvalidInput`](ErrorKind::InvalidInput) while there is output to carry away.
    pub fn finish(&mut self) -> Result<()> {
        self.check_open()?;
        if !self.out.is_empty() {
            return Err(Error::invalid("there is output to carry away before the end"));
        }
        self.seal_pending()?;
        self.state = State::Finished;
        self.pending = Wiped::default(); // dropping the old one wipes it
        Ok(())
    }

    /// Gives the message up: whatever happens now, what was written never opens.
    pub fn abort(&mut self) {
        if self.state == State::Open {
            self.state = State::Failed;
        }
    }

    /// Sealed bytes to carry away.
    #[must_use]
    pub fn output(&self) -> &[u8] {
        self.out.as_slice()
    }

    /// Says that the first `len` bytes of [`output`](Self::output) were carried away.
    pub fn consume(&mut self, len: usize) {
        self.out.consume(len);
    }

    /// Whether the message was finished and all of it carried away.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.state == State::Finished && self.out.is_empty()
    }

    fn check_open(&self) -> Result<()> {
        if self.state == State::Open {
            return Ok(());
        }
        Err(Error::new(ErrorKind::Closed, "the encrypted stream has ended or was given up"))
    }

    fn seal_direct(&mut self, chunk: &[u8]) -> Result<()> {
        let out = self.out.reset(chunk.len() + TAG_LEN);
        self.chunks.seal(chunk, out).inspect_err(|_| {
            self.state = State::Failed;
            self.out.clear();
        })
    }

    fn seal_pending(&mut self) -> Result<()> {
        let chunk = self.pending.get(..self.filled).unwrap_or_default();
        let out = self.out.reset(chunk.len() + TAG_LEN);
        self.filled = 0;
        self.chunks.seal(chunk, out).inspect_err(|_| {
            self.state = State::Failed;
            self.out.clear();
        })
    }
}

impl fmt::Debug for Encryptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Encryptor")
            .field("chunks", &self.chunks)
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}

/// Copies as much as fits, and returns how much that was.
pub(super) fn copy_prefix(from: &[u8], to: &mut [u8]) -> usize {
    let len = from.len().min(to.len());
    if let (Some(from), Some(to)) = (from.get(..len), to.get_mut(..len)) {
        to.copy_from_slice(from);
    }
    len
}

/// Bytes waiting to be carried away, in memory that is kept and wiped.
pub(super) struct Output {
    bytes: Wiped,
    start: usize,
    end: usize,
}

impl Output {
    pub(super) fn new(bytes: Vec<u8>) -> Self {
        Self { start: 0, end: bytes.len(), bytes: Wiped::new(bytes) }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.start == self.end
    }

    pub(super) fn as_slice(&self) -> &[u8] {
        self.bytes.get(self.start..self.end).unwrap_or_default()
    }

    pub(super) fn consume(&mut self, len: usize) {
        self.start = self.start.saturating_add(len).min(self.end);
    }

    pub(super) fn clear(&mut self) {
        (self.start, self.end) = (0, 0);
    }

    /// Keeps the first `len` bytes.
    pub(super) fn truncate(&mut self, len: usize) {
        self.end = self.end.min(len);
    }

    /// `len` bytes that are no output yet, and stay as they are until [`reset`](Self::reset) makes
    /// them so.
    pub(super) fn space(&mut self, len: usize) -> &mut [u8] {
        self.clear();
        if self.bytes.len() < len {
            self.bytes = Wiped::zeros(len);
        }
        self.bytes.get_mut(..len).unwrap_or_default()
    }

    /// Room for `len` bytes, all of which the caller overwrites.
    pub(super) fn reset(&mut self, len: usize) -> &mut [u8] {
        if self.bytes.len() < len {
            // A fresh vector: growing in place could leave a copy of plaintext behind.
            self.bytes = Wiped::zeros(len);
        }
        (self.start, self.end) = (0, len);
        self.bytes.get_mut(..len).unwrap_or_default()
    }
}
