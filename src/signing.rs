//! What is signed, with what, and the public halves of the keys.

use std::fmt;

use crate::{
    error::{Error, Result},
    key::{KeyName, KeyVersion},
    provider::KeyState,
};

/// A signature algorithm of RFC 7518 (section 3.1) or RFC 8037.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum SigningAlgorithm {
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    Rs256,
    /// RSASSA-PKCS1-v1_5 with SHA-384.
    Rs384,
    /// RSASSA-PKCS1-v1_5 with SHA-512.
    Rs512,
    /// RSASSA-PSS with SHA-256 and a salt of 32 bytes.
    Ps256,
    /// RSASSA-PSS with SHA-384 and a salt of 48 bytes.
    Ps384,
    /// RSASSA-PSS with SHA-512 and a salt of 64 bytes.
    Ps512,
    /// ECDSA on P-256 with SHA-256; r‖s of 64 bytes.
    Es256,
    /// ECDSA on P-384 with SHA-384; r‖s of 96 bytes.
    Es384,
    /// ECDSA on P-521 with SHA-512; r‖s of 132 bytes.
    Es512,
    /// Ed25519 over the message itself; 64 bytes.
    Ed25519,
}

impl SigningAlgorithm {
    /// The `alg` of a JWT header. Ed25519 has the name that RFC 9864 gave it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Rs384 => "RS384",
            Self::Rs512 => "RS512",
            Self::Ps256 => "PS256",
            Self::Ps384 => "PS384",
            Self::Ps512 => "PS512",
            Self::Es256 => "ES256",
            Self::Es384 => "ES384",
            Self::Es512 => "ES512",
            Self::Ed25519 => "Ed25519",
        }
    }

    /// The bytes in the digest that is signed; none for Ed25519, which takes the message.
    #[must_use]
    pub const fn digest_len(self) -> Option<usize> {
        match self {
            Self::Rs256 | Self::Ps256 | Self::Es256 => Some(32),
            Self::Rs384 | Self::Ps384 | Self::Es384 => Some(48),
            Self::Rs512 | Self::Ps512 | Self::Es512 => Some(64),
            Self::Ed25519 => None,
        }
    }
}

impl fmt::Display for SigningAlgorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The public half of one version of a signing key.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PublicKey {
    /// The key's canonical name.
    pub key: KeyName,
    /// The version; signing pins it, because the key id is part of what is signed.
    pub version: KeyVersion,
    /// The version's state.
    pub state: KeyState,
    /// Whether this is the version that new signatures are made with.
    pub current: bool,
    /// What the key may sign with: one algorithm, or the six of an RSA key.
    pub algorithms: Vec<SigningAlgorithm>,
    /// The key as DER SubjectPublicKeyInfo (RFC 5280, section 4.1.2.7).
    pub spki: Vec<u8>,
}

impl PublicKey {
    /// A public key that is active, not current and without algorithms: set the rest.
    #[must_use]
    pub const fn new(key: KeyName, version: KeyVersion, spki: Vec<u8>) -> Self {
        Self { key, version, state: KeyState::Active, current: false, algorithms: Vec::new(), spki }
    }
}

/// What is to be signed: a digest tied to its algorithm, or the message for Ed25519.
#[derive(Clone, Debug)]
pub struct SigningInput<'a> {
    algorithm: SigningAlgorithm,
    payload: Payload<'a>,
}

#[derive(Clone, Debug)]
enum Payload<'a> {
    Digest { bytes: [u8; 64], len: usize },
    Message(&'a [u8]),
}

impl<'a> SigningInput<'a> {
    /// Hashes `message` as `algorithm` asks; keeps it as it is for Ed25519.
    #[cfg(any(feature = "aws-lc-rs", feature = "rustcrypto"))]
    #[must_use]
    pub fn new(algorithm: SigningAlgorithm, message: &'a [u8]) -> Self {
        use crate::aead::{Backend, Preferred};
        let payload = match algorithm.digest_len() {
            None => Payload::Message(message),
            Some(32) => Payload::digest(&Preferred::sha256(&[message])),
            Some(48) => Payload::digest(&Preferred::sha384(&[message])),
            Some(_) => Payload::digest(&Preferred::sha512(&[message])),
        };
        Self { algorithm, payload }
    }

    /// Takes a digest computed elsewhere.
    ///
    /// # Errors
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) if its length is not the algorithm's, or
    /// for Ed25519, which signs messages only.
    pub fn from_digest(algorithm: SigningAlgorithm, digest: &[u8]) -> Result<Self> {
        match algorithm.digest_len() {
            Some(len) if len == digest.len() => {
                Ok(Self { algorithm, payload: Payload::digest(digest) })
            }
            Some(len) => Err(Error::invalid(format!("{algorithm} signs a digest of {len} bytes"))),
            None => Err(Error::invalid(format!("{algorithm} signs the message, not a digest"))),
        }
    }

    /// The algorithm.
    #[must_use]
    pub fn algorithm(&self) -> SigningAlgorithm {
        self.algorithm
    }

    /// The digest, except for Ed25519.
    #[must_use]
    pub fn digest(&self) -> Option<&[u8]> {
        match &self.payload {
            Payload::Digest { bytes, len } => bytes.get(..*len),
            Payload::Message(_) => None,
        }
    }

    /// The message, for Ed25519 only.
    #[must_use]
    pub fn message(&self) -> Option<&'a [u8]> {
        match self.payload {
            Payload::Digest { .. } => None,
            Payload::Message(message) => Some(message),
        }
    }
}

impl Payload<'_> {
    fn digest(digest: &[u8]) -> Self {
        let mut bytes = [0; 64];
        let len = digest.len().min(bytes.len());
        bytes.iter_mut().zip(digest).for_each(|(to, from)| *to = *from);
        Self::Digest { bytes, len }
    }
}

/// A signature in the form that JWS uses: ECDSA as fixed-width r‖s, never DER.
#[derive(Clone, PartialEq, Eq)]
pub struct Signature(Vec<u8>);

impl Signature {
    /// Takes the bytes over.
    #[must_use]
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// The bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signature({} bytes)", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_tied_to_its_algorithm() {
        assert!(SigningInput::from_digest(SigningAlgorithm::Es256, &[0; 32]).is_ok());
        assert!(SigningInput::from_digest(SigningAlgorithm::Es256, &[0; 48]).is_err());
        assert!(SigningInput::from_digest(SigningAlgorithm::Ed25519, &[0; 32]).is_err());
    }

    #[cfg(any(feature = "aws-lc-rs", feature = "rustcrypto"))]
    #[test]
    fn ed25519_carries_the_message() {
        let input = SigningInput::new(SigningAlgorithm::Ed25519, b"m");
        assert_eq!((input.message(), input.digest()), (Some(&b"m"[..]), None));
        let input = SigningInput::new(SigningAlgorithm::Ps384, b"m");
        assert_eq!(input.digest().map(<[u8]>::len), Some(48));
    }
}
