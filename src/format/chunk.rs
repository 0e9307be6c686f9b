//! Chunks and their nonces. FORMAT.md, "Body".
//!
//! A nonce is the base nonce XOR the number of the chunk. The sealer counts for itself, takes each
//! number once and can't be cloned or rewound, so no nonce is used twice under a key: a retry
//! sends the same ciphertext again or starts anew with a new salt.

use std::{fmt, sync::Arc};

use bytes::Buf;
use metrics::Counter;

use super::{derive::BodyKeys, suite::Suite};
use crate::{
    crypto::{Aead, Aes256Gcm, NONCE_LEN, TAG_LEN},
    error::{Error, ErrorKind, Result},
    key::Wiped,
};

/// What all chunks of a message have in common. Holding no state, it serves several threads.
struct Body {
    /// Which keys these are, for tests that look for a nonce used twice.
    #[cfg(test)]
    commitment: [u8; 32],
    aead: Aes256Gcm,
    base_nonce: [u8; NONCE_LEN],
    suite: Suite,
    bytes: Counter,
}

impl Body {
    fn new(suite: Suite, keys: BodyKeys, direction: &'static str) -> Arc<Self> {
        let BodyKeys { aead, base_nonce, commitment: _commitment } = keys;
        let bytes = metrics::counter!("bulla_plaintext_bytes_total", "direction" => direction);
        Arc::new(Self {
            #[cfg(test)]
            commitment: _commitment,
            aead,
            base_nonce,
            suite,
            bytes,
        })
    }

    /// Seals with a number that the caller has spent on this chunk.
    fn seal(&self, spent: u64, plaintext: &[u8], out: &mut [u8]) -> Result<()> {
        let nonce = nonce(&self.base_nonce, spent);
        #[cfg(test)]
        spent::record(self.commitment, nonce);
        self.aead.seal(&nonce, &[], plaintext, out)?;
        self.bytes.increment(plaintext.len() as u64);
        Ok(())
    }

    /// Opens a chunk where it stands: plaintext in front of what was its tag.
    fn open_in_place<'a>(&self, index: u64, sealed: &'a mut [u8]) -> Result<&'a mut [u8]> {
        let split = sealed.split_last_chunk_mut::<TAG_LEN>();
        let (body, tag) = split.ok_or_else(Error::not_authentic)?;
        self.check(index, body.len())?;
        let nonce = nonce(&self.base_nonce, index);
        Aead::open_in_place(&self.aead, &nonce, &[], tag, body)?;
        self.bytes.increment(body.len() as u64);
        Ok(body)
    }

    fn open(&self, index: u64, sealed: &[u8], out: &mut [u8]) -> Result<()> {
        let (body, tag) = sealed.split_last_chunk().ok_or_else(Error::not_authentic)?;
        self.check(index, body.len())?;
        if body.len() != out.len() {
            return Err(Error::not_authentic());
        }
        Aead::open(&self.aead, &nonce(&self.base_nonce, index), &[], tag, body, out)?;
        self.bytes.increment(out.len() as u64);
        Ok(())
    }

    fn check(&self, index: u64, len: usize) -> Result<()> {
        if index < self.suite.max_chunks() && len <= self.suite.chunk_len() {
            return Ok(());
        }
        Err(Error::not_authentic())
    }
}

/// Seals the chunks of one message in order.
pub(crate) struct ChunkSealer {
    body: Arc<Body>,
    next: u64,
    ended: bool,
}

impl ChunkSealer {
    pub(crate) fn new(suite: Suite, keys: BodyKeys) -> Self {
        Self { body: Body::new(suite, keys, "sealed"), next: 0, ended: false }
    }

    pub(crate) fn suite(&self) -> Suite {
        self.body.suite
    }

    /// Seals the next chunk into `out`, which is 16 bytes longer. A full chunk continues the
    /// message; a shorter one, empty or not, ends it.
    pub(crate) fn seal(&mut self, plaintext: &[u8], out: &mut [u8]) -> Result<()> {
        if plaintext.len() > self.suite().chunk_len() {
            return Err(Error::invalid("a chunk that is too long"));
        }
        let index = self.spend(1, plaintext.len() < self.suite().chunk_len())?;
        self.body.seal(index, plaintext, out)
    }

    /// Cuts a run of chunks off, for another thread to seal: `len` bytes of plaintext, all in full
    /// chunks unless they are the last.
    pub(crate) fn cut(&mut self, len: usize, last: bool) -> Result<SealRun> {
        let full = len / self.suite().chunk_len();
        if !last && (full == 0 || !len.is_multiple_of(self.suite().chunk_len())) {
            return Err(Error::invalid(
                "a run that neither ends with a full chunk nor the message",
            ));
        }
        let chunks = full as u64 + u64::from(last);
        let first = self.spend(chunks, last)?;
        Ok(SealRun { body: Arc::clone(&self.body), first, len, chunks })
    }

    /// Takes numbers, each of which is spent from here on, whatever becomes of its chunk.
    fn spend(&mut self, chunks: u64, last: bool) -> Result<u64> {
        if self.ended {
            return Err(Error::invalid("a chunk after the last one"));
        }
        let first = self.next;
        if chunks > self.suite().max_chunks() - first {
            return Err(Error::invalid("the message is longer than the format allows (4 PiB)"));
        }
        self.next += chunks;
        self.ended = last;
        Ok(first)
    }
}

/// Numbers of consecutive chunks, each to be used once: sealing takes the run.
pub(crate) struct SealRun {
    body: Arc<Body>,
    first: u64,
    len: usize,
    chunks: u64,
}

impl SealRun {
    /// The bytes that the run becomes.
    pub(crate) fn sealed_len(&self) -> usize {
        usize::try_from(self.chunks).map_or(usize::MAX, |n| self.len + n * TAG_LEN)
    }

    /// The bytes of plaintext that it was cut off for.
    pub(crate) fn plaintext_len(&self) -> usize {
        self.len
    }

    /// Seals all chunks, unless `stop` says to leave off in between. A chunk of plaintext that is in
    /// several pieces is put together aside.
    pub(crate) fn seal(
        self,
        mut plaintext: impl Buf,
        out: &mut [u8],
        stop: impl Fn() -> bool,
    ) -> Result<()> {
        if plaintext.remaining() != self.len || out.len() != self.sealed_len() {
            return Err(Error::invalid("a run of another length than was cut off"));
        }
        let mut aside = Wiped::default();
        let out = out.chunks_mut(self.body.suite.sealed_chunk_len());
        for (index, out) in (self.first..).zip(out) {
            if stop() {
                return Err(gone());
            }
            // The last chunk of a message may be empty.
            let len = out.len().saturating_sub(TAG_LEN);
            if let Some(whole) = plaintext.chunk().get(..len) {
                self.body.seal(index, whole, out)?;
                plaintext.advance(len);
                continue;
            }
            if aside.is_empty() {
                aside = Wiped::zeros(self.body.suite.chunk_len());
            }
            let chunk = aside.get_mut(..len).unwrap_or_default();
            plaintext.copy_to_slice(chunk);
            self.body.seal(index, chunk, out)?;
        }
        Ok(())
    }
}

/// Opens chunks by number. Holding no state, it serves random access and threads too.
#[derive(Clone)]
pub(crate) struct ChunkOpener(Arc<Body>);

impl ChunkOpener {
    pub(crate) fn new(suite: Suite, keys: BodyKeys) -> Self {
        Self(Body::new(suite, keys, "opened"))
    }

    pub(crate) fn suite(&self) -> Suite {
        self.0.suite
    }

    /// Opens chunk number `index` into `out`, which is 16 bytes shorter. The length decides
    /// whether it is the last, and the caller must hold it to that.
    pub(crate) fn open(&self, index: u64, sealed: &[u8], out: &mut [u8]) -> Result<()> {
        self.0.open(index, sealed, out)
    }

    /// Opens chunk number `index` where it stands, and returns the plaintext in it.
    pub(crate) fn open_in_place<'a>(
        &self,
        index: u64,
        sealed: &'a mut [u8],
    ) -> Result<&'a mut [u8]> {
        self.0.open_in_place(index, sealed)
    }

    /// Opens consecutive chunks into `out`, unless `stop` says to leave off in between. A chunk that is
    /// in several pieces is put together aside.
    pub(crate) fn open_run(
        &self,
        first: u64,
        mut sealed: impl Buf,
        out: &mut [u8],
        stop: impl Fn() -> bool,
    ) -> Result<()> {
        let mut rest = out;
        let mut aside = Vec::new();
        for index in first.. {
            let len = sealed.remaining().min(self.suite().sealed_chunk_len());
            if len == 0 {
                break;
            }
            if stop() {
                return Err(gone());
            }
            let room = len.saturating_sub(TAG_LEN);
            let (out, tail) = rest.split_at_mut_checked(room).ok_or_else(Error::not_authentic)?;
            rest = tail;
            if let Some(whole) = sealed.chunk().get(..len) {
                self.open(index, whole, out)?;
                sealed.advance(len);
                continue;
            }
            aside.resize(len, 0);
            sealed.copy_to_slice(&mut aside);
            self.open(index, &aside, out)?;
        }
        Ok(())
    }
}

/// What nobody waits for any more.
fn gone() -> Error {
    Error::new(ErrorKind::Closed, "the stream was dropped")
}

impl fmt::Debug for ChunkSealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChunkSealer").field("next", &self.next).finish_non_exhaustive()
    }
}

impl fmt::Debug for ChunkOpener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChunkOpener").field("suite", &self.suite()).finish_non_exhaustive()
    }
}

/// The base nonce XOR the number of the chunk as a 96-bit big-endian integer.
fn nonce(base: &[u8; NONCE_LEN], index: u64) -> [u8; NONCE_LEN] {
    let mut nonce = *base;
    nonce.iter_mut().rev().zip(index.to_le_bytes()).for_each(|(byte, i)| *byte ^= i);
    nonce
}

/// Every key, by its commitment, and nonce that this thread sealed with, for tests that look for two
/// used twice together.
#[cfg(test)]
pub(crate) mod spent {
    use std::cell::RefCell;

    type Spent = ([u8; 32], [u8; 12]);

    thread_local!(static SPENT: RefCell<Vec<Spent>> = const { RefCell::new(Vec::new()) });

    pub(super) fn record(key: [u8; 32], nonce: [u8; 12]) {
        SPENT.with_borrow_mut(|spent| spent.push((key, nonce)));
    }

    pub(crate) fn take() -> Vec<Spent> {
        SPENT.take()
    }
}

#[cfg(test)]
impl ChunkSealer {
    /// As if all chunks before `index` had been sealed.
    pub(crate) fn skip_to(&mut self, index: u64) {
        self.next = index;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        context::EncryptionContext,
        error::ErrorKind,
        format::derive::{Salt, Schedule},
        key::DataKey,
    };

    fn keys(suite: Suite) -> BodyKeys {
        let bytes = std::array::from_fn(|i| u8::try_from(i).unwrap());
        let schedule = Schedule::new(DataKey::from_bytes(&bytes)).unwrap();
        schedule.body_keys(suite, &Salt([0x80; 24]), &EncryptionContext::new()).unwrap()
    }

    #[test]
    fn nonce_is_xor_of_a_big_endian_number() {
        let base = [0xff; 12];
        assert_eq!(nonce(&base, 0), base);
        let expect = [255, 255, 255, 255, 255, 255, 255, 254, 255, 255, 255, 254];
        assert_eq!(nonce(&base, (1 << 32) + 1), expect);
        let expect = [255, 255, 255, 255, 255, 255, 255, 255, 0, 0, 0, 0];
        assert_eq!(nonce(&base, (1 << 32) - 1), expect);
    }

    #[test]
    fn a_short_chunk_ends_the_message() {
        let mut sealer = ChunkSealer::new(Suite::Aes256Gcm64KiB, keys(Suite::Aes256Gcm64KiB));
        let mut out = vec![0; 65_536 + 16];
        sealer.seal(&[1; 65_536], &mut out).unwrap();
        sealer.seal(b"end", &mut out[..19]).unwrap();
        assert!(sealer.seal(b"more", &mut out[..20]).is_err());
    }

    #[test]
    fn the_number_of_chunks_is_limited() {
        for suite in [Suite::Aes256Gcm64KiB, Suite::Cobblestone256] {
            let mut sealer = ChunkSealer::new(suite, keys(suite));
            let chunk = vec![0; suite.chunk_len()];
            let mut out = vec![0; suite.sealed_chunk_len()];
            sealer.skip_to(suite.max_chunks() - 1);
            sealer.seal(&chunk, &mut out).unwrap();
            let error = sealer.seal(&[], &mut out[..16]).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
            let opener = ChunkOpener::new(suite, keys(suite));
            let mut plain = vec![0; suite.chunk_len()];
            opener.open(suite.max_chunks() - 1, &out, &mut plain).unwrap();
            assert!(opener.open(suite.max_chunks(), &out, &mut plain).is_err());
        }
    }
}
