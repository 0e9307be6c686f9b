//! Chunks and their nonces. FORMAT.md, "Body".
//!
//! A nonce is the base nonce XOR the number of the chunk. The sealer counts for itself, takes each
//! number once and can't be cloned or rewound, so no nonce is used twice under a key: a retry
//! sends the same ciphertext again or starts anew with a new salt.

use std::fmt;

use metrics::Counter;

use crate::{
    aead::{Aead, Aes256Gcm, NONCE_LEN, TAG_LEN},
    envelope::{Suite, derive::BodyKeys},
    error::{Error, Result},
};

/// Seals the chunks of one message in order.
pub(crate) struct ChunkSealer {
    aead: Aes256Gcm,
    base_nonce: [u8; NONCE_LEN],
    suite: Suite,
    next: u64,
    ended: bool,
    bytes: Counter,
}

impl ChunkSealer {
    pub(crate) fn new(suite: Suite, keys: BodyKeys) -> Self {
        let BodyKeys { aead, base_nonce, commitment: _ } = keys;
        let bytes = metrics::counter!("bulla_plaintext_bytes_total", "direction" => "sealed");
        Self { aead, base_nonce, suite, next: 0, ended: false, bytes }
    }

    pub(crate) fn suite(&self) -> Suite {
        self.suite
    }

    /// Seals the next chunk into `out`, which is 16 bytes longer. A full chunk continues the
    /// message; a shorter one, empty or not, ends it.
    pub(crate) fn seal(&mut self, plaintext: &[u8], out: &mut [u8]) -> Result<()> {
        if self.ended || plaintext.len() > self.suite.chunk_len() {
            return Err(Error::invalid("a chunk after the last one, or one that is too long"));
        }
        if self.next >= self.suite.max_chunks() {
            return Err(Error::invalid("the message is longer than the format allows (4 PiB)"));
        }
        let nonce = nonce(&self.base_nonce, self.next);
        self.next += 1; // before the call: an index is spent even if it fails
        #[cfg(test)]
        spent::record(nonce);
        self.ended = plaintext.len() < self.suite.chunk_len();
        self.aead.seal(&nonce, &[], plaintext, out)?;
        self.bytes.increment(plaintext.len() as u64);
        Ok(())
    }
}

/// Opens chunks by number. Holding no state, it serves random access and threads too.
pub(crate) struct ChunkOpener {
    aead: Aes256Gcm,
    base_nonce: [u8; NONCE_LEN],
    suite: Suite,
    bytes: Counter,
}

impl ChunkOpener {
    pub(crate) fn new(suite: Suite, keys: BodyKeys) -> Self {
        let BodyKeys { aead, base_nonce, commitment: _ } = keys;
        let bytes = metrics::counter!("bulla_plaintext_bytes_total", "direction" => "opened");
        Self { aead, base_nonce, suite, bytes }
    }

    pub(crate) fn suite(&self) -> Suite {
        self.suite
    }

    /// Opens chunk number `index` into `out`, which is 16 bytes shorter. The length decides
    /// whether it is the last, and the caller must hold it to that.
    pub(crate) fn open(&self, index: u64, sealed: &[u8], out: &mut [u8]) -> Result<()> {
        let len = sealed.len();
        if index >= self.suite.max_chunks()
            || !(TAG_LEN..=self.suite.sealed_chunk_len()).contains(&len)
        {
            return Err(Error::not_authentic());
        }
        self.aead.open(&nonce(&self.base_nonce, index), &[], sealed, out)?;
        self.bytes.increment(out.len() as u64);
        Ok(())
    }
}

impl fmt::Debug for ChunkSealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChunkSealer").field("next", &self.next).finish_non_exhaustive()
    }
}

impl fmt::Debug for ChunkOpener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChunkOpener").field("suite", &self.suite).finish_non_exhaustive()
    }
}

/// The base nonce XOR the number of the chunk as a 96-bit big-endian integer.
fn nonce(base: &[u8; NONCE_LEN], index: u64) -> [u8; NONCE_LEN] {
    let mut nonce = *base;
    nonce.iter_mut().rev().zip(index.to_le_bytes()).for_each(|(byte, i)| *byte ^= i);
    nonce
}

/// Every nonce that this thread sealed with, for tests that look for one used twice. Nonces of two
/// messages differ unless 96 random bits collide, so comparing nonces alone is the stricter test.
#[cfg(test)]
pub(crate) mod spent {
    use std::cell::RefCell;

    thread_local!(static SPENT: RefCell<Vec<[u8; 12]>> = const { RefCell::new(Vec::new()) });

    pub(super) fn record(nonce: [u8; 12]) {
        SPENT.with_borrow_mut(|spent| spent.push(nonce));
    }

    pub(crate) fn take() -> Vec<[u8; 12]> {
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
    use crate::{envelope::derive::Salt, error::ErrorKind, key::DataKey};

    fn keys(suite: Suite) -> BodyKeys {
        let bytes = std::array::from_fn(|i| u8::try_from(i).unwrap());
        BodyKeys::derive(suite, &DataKey::from_bytes(&bytes), &Salt([0x80; 24]), b"x").unwrap()
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
