//! The seam under which signatures are verified, beside [`aead`](crate::aead): AWS-LC or the
//! RustCrypto crates.
//!
//! Where both are compiled in, AWS-LC does the work. No primitive is this crate's own; what is
//! checked here is what the libraries leave to their callers: sizes of keys and signatures.

#[cfg(feature = "aws-lc-rs")]
pub(crate) mod aws_lc;
pub(crate) mod der;
mod public;
// Where both are on it only serves the differential tests.
#[cfg(all(feature = "rustcrypto", any(test, not(feature = "aws-lc-rs"))))]
pub(crate) mod rust_crypto;

pub(crate) use public::{Curve, Public};

use crate::{
    error::{Error, Result},
    signing::SigningAlgorithm,
};

/// What a backend offers.
pub(crate) trait Backend {
    /// A public key, parsed and checked once for many verifications.
    type Key: Send + Sync + 'static;

    /// Parses a key whose sizes were checked; a point that is not on its curve is refused.
    fn key(public: &Public) -> Result<Self::Key>;

    /// Whether `signature` is `key`'s under `algorithm`, which fits the key, over `message`.
    ///
    /// Answers [`Unsupported`](crate::ErrorKind::Unsupported) where the backend can't tell.
    fn verify(
        key: &Self::Key,
        algorithm: SigningAlgorithm,
        message: &[u8],
        signature: &[u8],
    ) -> Result<bool>;
}

#[cfg(feature = "aws-lc-rs")]
pub(crate) use aws_lc::AwsLc as Preferred;
#[cfg(not(feature = "aws-lc-rs"))]
pub(crate) use rust_crypto::RustCrypto as Preferred;

/// A public key, ready to verify with.
pub(crate) struct Verifying<B: Backend = Preferred> {
    public: Public,
    key: B::Key,
}

impl<B: Backend> Verifying<B> {
    pub(crate) fn new(public: Public) -> Result<Self> {
        Ok(Self { key: B::key(&public)?, public })
    }

    pub(crate) fn public(&self) -> &Public {
        &self.public
    }

    /// Verifies a signature in the form of JWS (RFC 7518, sections 3.3 to 3.5; RFC 8037).
    pub(crate) fn verify(
        &self,
        algorithm: SigningAlgorithm,
        message: &[u8],
        signature: &[u8],
    ) -> Result<()> {
        let fits =
            self.public.signs_with(algorithm) && signature.len() == self.public.signature_len();
        if fits && B::verify(&self.key, algorithm, message, signature)? {
            return Ok(());
        }
        Err(Error::not_authentic())
    }
}

#[cfg(test)]
mod tests;
