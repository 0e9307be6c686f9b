//! Signatures.

use async_trait::async_trait;
use bulla::{Operation, PublicKey, Result, Sign, Signature, SigningInput};

use super::{Local, no_signing_key};

#[async_trait]
impl Sign for Local {
    async fn public_keys(&self) -> Result<Vec<PublicKey>> {
        let refused = self.keys.ring().and_then(|_| Err(no_signing_key()));
        self.tell(Operation::PublicKeys, refused)
    }

    async fn sign(&self, _key: &PublicKey, _input: &SigningInput<'_>) -> Result<Signature> {
        let refused = self.keys.ring().and_then(|_| Err(no_signing_key()));
        self.tell(Operation::Sign, refused)
    }
}
