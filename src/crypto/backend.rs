//! What a backend offers.

use super::{Public, SigningAlgorithm};
use crate::error::Result;

/// Bytes in an AES-256-GCM tag.
pub(crate) const TAG_LEN: usize = 16;

/// Bytes in an AES-GCM nonce (NIST SP 800-38D, section 5.2.1.1).
pub(crate) const NONCE_LEN: usize = 12;

/// What a backend offers.
pub(crate) trait Backend {
    /// An AES-256-GCM key, expanded.
    type Aead: Aead;

    /// A public key, parsed and checked once for many verifications.
    type VerifyingKey: Send + Sync + 'static;

    /// HKDF-Expand with SHA-512 (RFC 5869, section 2.3) over the concatenation of `info`, from a
    /// key of at most 64 bytes.
    fn expand(prk: &[u8], info: &[&[u8]], out: &mut [u8]) -> Result<()>;

    /// The digest of the concatenation of `parts`.
    fn sha256(parts: &[&[u8]]) -> [u8; 32];

    /// The digest of the concatenation of `parts`.
    fn sha384(parts: &[&[u8]]) -> [u8; 48];

    /// The digest of the concatenation of `parts`.
    fn sha512(parts: &[&[u8]]) -> [u8; 64];

    /// Parses a key whose sizes were checked; a point that is not on its curve is refused.
    fn verifying_key(public: &Public) -> Result<Self::VerifyingKey>;

    /// Whether `signature` is `key`'s under `algorithm`, which fits the key, over what was signed.
    ///
    /// Answers [`Unsupported`](crate::ErrorKind::Unsupported) where the backend can't tell.
    fn verify(
        key: &Self::VerifyingKey,
        algorithm: SigningAlgorithm,
        signed: Signed<'_>,
        signature: &[u8],
    ) -> Result<bool>;
}

/// What a signature is over.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Signed<'a> {
    Message(&'a [u8]),
    /// A digest of the algorithm's length. Not for Ed25519.
    Digest(&'a [u8]),
}

/// AES-256-GCM: from the caller's bytes to ours, or where the bytes stand.
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

    /// Writes the plaintext of `body` to `out`, which is as long. On failure it is all zeros.
    fn open(
        &self,
        nonce: &[u8; NONCE_LEN],
        aad: &[u8],
        tag: &[u8; TAG_LEN],
        body: &[u8],
        out: &mut [u8],
    ) -> Result<()>;

    /// Turns ciphertext into plaintext where it stands. On failure it is all zeros.
    fn open_in_place(
        &self,
        nonce: &[u8; NONCE_LEN],
        aad: &[u8],
        tag: &[u8; TAG_LEN],
        in_out: &mut [u8],
    ) -> Result<()>;
}

#[cfg(feature = "aws-lc-rs")]
pub(crate) use super::aws_lc::AwsLc as Preferred;
#[cfg(not(feature = "aws-lc-rs"))]
pub(crate) use super::rust_crypto::RustCrypto as Preferred;

/// The AEAD of the preferred backend.
pub(crate) type Aes256Gcm = <Preferred as Backend>::Aead;

/// Splits off the first `N` bytes of a buffer whose fixed size has room for them.
pub(crate) fn split<const N: usize>(bytes: &[u8]) -> (&[u8; N], &[u8]) {
    match bytes.split_first_chunk() {
        Some(parts) => parts,
        None => unreachable!("derived key material has a fixed length"),
    }
}
