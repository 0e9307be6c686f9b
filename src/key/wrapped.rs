//! What a provider's key has encrypted.

use super::{KeyName, KeyVersion};
use crate::error::{Error, Result};

/// The most bytes that a wrapped data key may have.
pub const MAX_WRAPPED_LEN: usize = 4096;

/// How a data key was wrapped, as recorded in the header.
///
/// It never selects anything: it must equal what the configured key does, or the recipient is
/// refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[repr(u8)]
pub enum WrapAlgorithm {
    /// The provider's own authenticated format.
    Native = 0,
    /// RSA-OAEP with SHA-256 and MGF1-SHA-256 (RFC 8017, section 7.1).
    RsaOaep256 = 1,
    /// AES Key Wrap (RFC 3394).
    AesKw = 2,
    /// AES Key Wrap with Padding (RFC 5649).
    AesKwp = 3,
}

impl WrapAlgorithm {
    /// The number in the header.
    #[must_use]
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// The algorithm of that number.
    ///
    /// # Errors
    /// [`Malformed`](crate::ErrorKind::Malformed) for an unknown number.
    pub fn from_code(code: u8) -> Result<Self> {
        Ok(match code {
            0 => Self::Native,
            1 => Self::RsaOaep256,
            2 => Self::AesKw,
            3 => Self::AesKwp,
            _ => return Err(Error::malformed("unknown wrap algorithm")),
        })
    }

    /// A stable lower-case name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::RsaOaep256 => "rsa-oaep-256",
            Self::AesKw => "aes-kw",
            Self::AesKwp => "aes-kwp",
        }
    }
}

/// Bytes that a provider's key has encrypted, and which key that was.
///
/// A wrapped data key as a recipient record holds it, or a payload encrypted directly.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Wrapped {
    /// The key's canonical name.
    pub key: KeyName,
    /// The version, where the bytes themselves don't carry it.
    pub version: Option<KeyVersion>,
    /// How the bytes were made.
    pub algorithm: WrapAlgorithm,
    /// The provider's bytes, opaque to the core.
    pub blob: Vec<u8>,
}
