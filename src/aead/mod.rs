//! The seam under which the cryptographic libraries stand: AES-256-GCM, HKDF-Expand, HMAC and
//! SHA-512, all with SHA-512.
//!
//! Two backends, bit for bit alike; where both are compiled in, AWS-LC does the work and the other
//! is there for the differential tests. No primitive is this crate's own.

#[cfg(feature = "aws-lc-rs")]
pub(crate) mod aws_lc;
mod kek;
// Where both are on it only serves the differential tests.
#[cfg(all(feature = "rustcrypto", any(test, not(feature = "aws-lc-rs"))))]
pub(crate) mod rust_crypto;

pub(crate) use kek::split;
pub use kek::{KeyUse, SOFTWARE_WRAP_OVERHEAD, SoftwareKek};

use crate::error::Result;

/// Bytes in an AES-256-GCM tag.
pub(crate) const TAG_LEN: usize = 16;

/// Bytes in an AES-GCM nonce (NIST SP 800-38D, section 5.2.1.1).
pub(crate) const NONCE_LEN: usize = 12;

/// What a backend offers.
pub(crate) trait Backend {
    /// An AES-256-GCM key, expanded.
    type Aead: Aead;

    /// HKDF-Expand with SHA-512 (RFC 5869, section 2.3) over the concatenation of `info`, from a
    /// key of at most 64 bytes.
    fn expand(prk: &[u8], info: &[&[u8]], out: &mut [u8]) -> Result<()>;

    /// HMAC-SHA-512 (RFC 2104) over the concatenation of `parts`.
    fn hmac(key: &[u8], parts: &[&[u8]]) -> [u8; 64];

    /// The digest of the concatenation of `parts`.
    fn sha256(parts: &[&[u8]]) -> [u8; 32];

    /// The digest of the concatenation of `parts`.
    fn sha384(parts: &[&[u8]]) -> [u8; 48];

    /// The digest of the concatenation of `parts`.
    fn sha512(parts: &[&[u8]]) -> [u8; 64];
}

/// AES-256-GCM, out of place: sealing reads the caller's bytes and writes ours, with no copy.
pub(crate) trait Aead: Sized + Send + Sync + 'static {
    /// Expands the key.
    fn new(key: &[u8; 32]) -> Result<Self>;

    /// Writes ciphertext and tag to `out`, which is [`TAG_LEN`] longer than `plaintext`.
    fn seal(
        &self,
        nonce: &[u8; NONCE_LEN],
        aad: &[u8],
        plaintext: &[u8],
        out: &mut [u8],
    ) -> Result<()>;

    /// Writes the plaintext to `out`, which is [`TAG_LEN`] shorter than `sealed`. On failure `out`
    /// is all zeros.
    fn open(
        &self,
        nonce: &[u8; NONCE_LEN],
        aad: &[u8],
        sealed: &[u8],
        out: &mut [u8],
    ) -> Result<()>;
}

#[cfg(feature = "aws-lc-rs")]
pub(crate) use aws_lc::AwsLc as Preferred;
#[cfg(not(feature = "aws-lc-rs"))]
pub(crate) use rust_crypto::RustCrypto as Preferred;

/// The AEAD of the preferred backend.
pub(crate) type Aes256Gcm = <Preferred as Backend>::Aead;

#[cfg(test)]
mod tests;
