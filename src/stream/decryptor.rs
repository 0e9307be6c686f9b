//! The decrypting half of the engine: bytes in, bytes out, no I/O.

use std::fmt;

use super::encryptor::{Output, copy_prefix};
use crate::{
    crypto::TAG_LEN,
    error::{Error, ErrorKind, Result},
    format::{Opening, chunk::ChunkOpener},
};

/// Turns the chunks of sealed bytes, in pieces of any size, back into plaintext. No I/O, no
/// waiting.
///
/// Starts behind header, salt and commitment, which an [`Opening`] has checked. Every byte of
/// [`output`](Self::output) is authenticated, but only [`finish`](Self::finish) tells that the
/// message was whole: until then it may have been cut at a chunk's end. It holds one
/// chunk: 64 KiB for suite 1.
#[must_use = "only `finish` tells that the message was whole"]
pub struct Decryptor {
    chunks: ChunkOpener,
    next: u64,
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

impl Decryptor {
    /// Starts a message behind its header.
    pub fn new(header: Opening) -> Self {
        Self::from_chunks(header.chunks)
    }

    pub(crate) fn from_chunks(chunks: ChunkOpener) -> Self {
        Self { chunks, next: 0, filled: 0, out: Output::new(Vec::new()), state: State::Open }
    }

    /// Takes sealed bytes, and returns how many: 0 while there is output to carry away.
    ///
    /// # Errors
    /// [`NotAuthentic`](ErrorKind::NotAuthentic) for a chunk that was altered, moved or belongs
    /// elsewhere; from then on, and after [`finish`](Self::finish), [`Closed`](ErrorKind::Closed).
    pub fn push(&mut self, input: &[u8]) -> Result<usize> {
        self.check_open()?;
        if !self.out.is_empty() || input.is_empty() {
            return Ok(0);
        }
        let sealed_len = self.chunks.suite().sealed_chunk_len();
        if let (0, Some(chunk)) = (self.filled, input.get(..sealed_len)) {
            self.open_direct(chunk)?;
            return Ok(sealed_len);
        }
        let len = copy_prefix(input, self.space());
        self.advance(len)?;
        Ok(len)
    }

    /// Where sealed bytes can be written in place; empty while there is output to carry away.
    pub fn space(&mut self) -> &mut [u8] {
        if self.state != State::Open || !self.out.is_empty() {
            return &mut [];
        }
        let len = self.chunks.suite().sealed_chunk_len();
        self.out.space(len).get_mut(self.filled..).unwrap_or_default()
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
        if self.filled == self.chunks.suite().sealed_chunk_len() {
            self.open_pending()?;
        }
        Ok(())
    }

    /// Says that the sealed bytes have ended. What is left is the last chunk, which is always
    /// shorter than the others, so an end at a full chunk is a truncation.
    ///
    /// # Errors
    /// [`NotAuthentic`](ErrorKind::NotAuthentic) if the message is not whole;
    /// [`InvalidInput`](ErrorKind::InvalidInput) while there is output to carry away;
    /// [`Closed`](ErrorKind::Closed) if called twice or after a failure.
    pub fn finish(&mut self) -> Result<()> {
        self.check_open()?;
        if !self.out.is_empty() {
            return Err(Error::invalid("there is output to carry away before the end"));
        }
        self.open_pending()?;
        self.state = State::Finished;
        Ok(())
    }

    /// Gives the message up: it can't be finished any more.
    pub fn abort(&mut self) {
        if self.state == State::Open {
            self.state = State::Failed;
        }
    }

    /// Authenticated plaintext to carry away.
    #[must_use]
    pub fn output(&self) -> &[u8] {
        self.out.as_slice()
    }

    /// Says that the first `len` bytes of [`output`](Self::output) were carried away.
    pub fn consume(&mut self, len: usize) {
        self.out.consume(len);
    }

    /// Whether the message was whole and all of it carried away.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.state == State::Finished && self.out.is_empty()
    }

    fn check_open(&self) -> Result<()> {
        if self.state == State::Open {
            return Ok(());
        }
        Err(Error::new(ErrorKind::Closed, "the decrypted stream has ended or has failed"))
    }

    fn open_direct(&mut self, chunk: &[u8]) -> Result<()> {
        let out = self.out.reset(chunk.len().saturating_sub(TAG_LEN));
        self.chunks.open(self.next, chunk, out).inspect_err(|_| {
            self.state = State::Failed;
            self.out.clear();
        })?;
        self.next += 1;
        Ok(())
    }

    /// Opens what was written in place, there.
    fn open_pending(&mut self) -> Result<()> {
        let len = std::mem::take(&mut self.filled);
        let opened = self.chunks.open_in_place(self.next, self.out.reset(len));
        let plain = opened.map(|plain| plain.len()).inspect_err(|_| {
            self.state = State::Failed;
            self.out.clear();
        })?;
        self.out.truncate(plain);
        self.next += 1;
        Ok(())
    }
}

impl fmt::Debug for Decryptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Decryptor")
            .field("next", &self.next)
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}
