//! Public keys to verify with.

use super::{Backend, Preferred, Public, Signed, SigningAlgorithm};
use crate::error::{Error, Result};

/// A public key, ready to verify with.
pub(crate) struct Verifying<B: Backend = Preferred> {
    public: Public,
    key: B::VerifyingKey,
}

impl<B: Backend> Verifying<B> {
    pub(crate) fn new(public: Public) -> Result<Self> {
        Ok(Self { key: B::verifying_key(&public)?, public })
    }

    pub(crate) fn public(&self) -> &Public {
        &self.public
    }

    /// Verifies a signature in the form of JWS (RFC 7518, sections 3.3 to 3.5; RFC 8037).
    pub(crate) fn verify(
        &self,
        algorithm: SigningAlgorithm,
        signed: Signed<'_>,
        signature: &[u8],
    ) -> Result<()> {
        let fits =
            self.public.signs_with(algorithm) && signature.len() == self.public.signature_len();
        if fits && B::verify(&self.key, algorithm, signed, signature)? {
            return Ok(());
        }
        Err(Error::not_authentic())
    }
}
