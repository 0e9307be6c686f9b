//! What is signed.

use crate::{
    crypto::SigningAlgorithm,
    error::{Error, Result},
};

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
        use crate::crypto::{Backend, Preferred};
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
