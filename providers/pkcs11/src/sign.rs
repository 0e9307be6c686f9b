//! Signatures.

use async_trait::async_trait;
use bulla::{
    Error, ErrorKind, KeyVersion, Operation, PublicKey, Result, Sign, Signature, SigningInput,
};

use crate::{object::Purpose, provider::Pkcs11};

/// Another version would be another object, so each has one for good.
const VERSION: &str = "1";

impl Pkcs11 {
    fn all_public_keys(&self) -> Result<Vec<PublicKey>> {
        let signing = self.keys.to_sign()?;
        if self.token.is_closed() {
            return Err(Error::new(
                ErrorKind::Closed,
                "the provider was closed; build another one",
            ));
        }
        let mut found = Vec::new();
        for bound in self.keys.iter() {
            let Purpose::Sign { algorithms, spki, .. } = &bound.purpose else { continue };
            let version = KeyVersion::parse(VERSION)?;
            let mut key = PublicKey::new(bound.name.clone(), version, spki.clone());
            key.current = bound.name == signing.name;
            key.algorithms = match key.current {
                true => self.capabilities.signing.clone(),
                false => algorithms.clone(),
            };
            found.push(key);
        }
        Ok(found)
    }

    async fn make(&self, key: &PublicKey, input: &SigningInput<'_>) -> Result<Signature> {
        let signing = self.keys.to_sign()?;
        let wrong = |message| Err(Error::new(ErrorKind::InvalidInput, message));
        if key.key != signing.name || key.version.as_str() != VERSION {
            return wrong(format!("key {} is not the signing key of this provider", key.key));
        }
        let algorithm = input.algorithm();
        if !self.capabilities.signing.contains(&algorithm) {
            return wrong(format!("the signing key is not used with {algorithm}"));
        }
        let Purpose::Sign { pair, .. } = signing.purpose else {
            return wrong(format!("key {} does not sign", key.key));
        };
        let object = signing.object.clone();
        let bytes = input.digest().or(input.message()).unwrap_or_default().to_vec();
        let made = self.token.run(move |work| work.sign(&object, algorithm, &bytes)).await?;
        match made.len() == pair.signature_len() {
            true => Ok(Signature::new(made)),
            false => {
                let message = format!("the token returned no signature of {algorithm}");
                Err(Error::new(ErrorKind::Unavailable, message))
            }
        }
    }
}

#[async_trait]
impl Sign for Pkcs11 {
    async fn public_keys(&self) -> Result<Vec<PublicKey>> {
        self.tell(Operation::PublicKeys, self.all_public_keys())
    }

    async fn sign(&self, key: &PublicKey, input: &SigningInput<'_>) -> Result<Signature> {
        self.tell(Operation::Sign, self.make(key, input).await)
    }
}
