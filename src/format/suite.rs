//! The two suites of the format.

use std::fmt;

use crate::{
    crypto::TAG_LEN,
    error::{Error, ErrorKind, Result},
};

/// How a body is chunked and encrypted: both by AES-256-GCM, with keys by HKDF-Expand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[repr(u8)]
pub enum Suite {
    /// Suite 1: chunks of 64 KiB, up to 2³⁶ of them (4 PiB); SHA-256.
    #[default]
    Aes256Gcm64KiB = 1,
    /// Suite 2: Cobblestone-256 as published at <https://c2sp.org/chunked-encryption>, chunks of
    /// 16 KiB, up to 2³⁸ of them (4 PiB); SHA-512.
    Cobblestone256 = 2,
}

impl Suite {
    /// The number in the header.
    #[must_use]
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// The suite of that number.
    ///
    /// # Errors
    /// [`Unsupported`](ErrorKind::Unsupported) for a number that this version does not know.
    pub fn from_code(code: u8) -> Result<Self> {
        match code {
            1 => Ok(Self::Aes256Gcm64KiB),
            2 => Ok(Self::Cobblestone256),
            _ => Err(Error::new(
                ErrorKind::Unsupported,
                format!("suite {code} is not known to this version of bulla"),
            )),
        }
    }

    /// Bytes of plaintext in every chunk but the last.
    #[must_use]
    pub const fn chunk_len(self) -> usize {
        match self {
            Self::Aes256Gcm64KiB => 65_536,
            Self::Cobblestone256 => 16_384,
        }
    }

    /// Bytes of ciphertext in every chunk but the last: 16 more than of plaintext.
    #[must_use]
    pub const fn sealed_chunk_len(self) -> usize {
        self.chunk_len() + TAG_LEN
    }

    /// The most chunks that a message may have.
    #[must_use]
    pub const fn max_chunks(self) -> u64 {
        match self {
            Self::Aes256Gcm64KiB => 1 << 36,
            Self::Cobblestone256 => 1 << 38,
        }
    }

    /// Bytes in the chunks that carry `plaintext` bytes, or `None` where the format ends.
    #[must_use]
    pub const fn sealed_len(self, plaintext: u64) -> Option<u64> {
        let chunks = plaintext / self.chunk_len() as u64 + 1;
        if chunks > self.max_chunks() {
            return None;
        }
        plaintext.checked_add(chunks * TAG_LEN as u64)
    }

    /// Bytes of plaintext in chunks of `sealed` bytes in all, or `None` if no message has that
    /// length.
    #[must_use]
    pub const fn plaintext_len(self, sealed: u64) -> Option<u64> {
        let full = sealed / self.sealed_chunk_len() as u64;
        let last = sealed % self.sealed_chunk_len() as u64;
        if last < TAG_LEN as u64 || full >= self.max_chunks() {
            return None;
        }
        Some(full * self.chunk_len() as u64 + last - TAG_LEN as u64)
    }

    /// The label that opens the derivation of a body's keys. No label is a prefix of another.
    pub(crate) const fn label(self) -> &'static [u8] {
        match self {
            Self::Aes256Gcm64KiB => b"bulla/1 AES-256-GCM 64KiB\0",
            Self::Cobblestone256 => b"c2sp.org/chunked-encryption@v1+AEAD_AES_256_GCM\0",
        }
    }
}

impl fmt::Display for Suite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Aes256Gcm64KiB => "1 (AES-256-GCM, 64 KiB chunks)",
            Self::Cobblestone256 => "2 (Cobblestone-256, 16 KiB chunks)",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_agree_both_ways() {
        for suite in [Suite::Aes256Gcm64KiB, Suite::Cobblestone256] {
            let chunk = suite.chunk_len() as u64;
            for len in [0, 1, chunk - 1, chunk, chunk + 1, 5 * chunk, 5 * chunk + 7] {
                let sealed = suite.sealed_len(len).unwrap();
                assert_eq!(suite.plaintext_len(sealed), Some(len));
            }
            let most = suite.max_chunks() * chunk - 1;
            assert!(suite.sealed_len(most).is_some());
            assert_eq!(suite.sealed_len(most + 1), None);
            // Cut at a boundary, or inside a tag: no message has that length.
            for bad in [0, 15, chunk + 16, chunk + 31, 3 * (chunk + 16)] {
                assert_eq!(suite.plaintext_len(bad), None, "{bad}");
            }
        }
    }
}
