//! Signatures.

use std::sync::Arc;

use async_trait::async_trait;
use bulla::{
    Error, ErrorKind, KeyName, KeyVersion, Operation, PublicKey, Result, Sign, Signature,
    SigningAlgorithm, SigningInput,
};

use super::{
    Local, blocking,
    bound::{Bound, Chosen, Secret},
    no_signing_key, parse_version,
    ring::Keys,
};
use crate::store::StoredState;

impl Local {
    async fn signing_keys(&self) -> Result<Vec<PublicKey>> {
        let _not_closed = self.keys.ring()?;
        let signing = self.signing.clone().ok_or_else(no_signing_key)?;
        let keys = Arc::clone(&self.keys);
        blocking(move || all_public_keys(&keys, &signing)).await
    }

    /// The secret of exactly the version that `key` names.
    async fn to_sign(&self, key: &PublicKey) -> Result<Arc<Secret>> {
        let _not_closed = self.keys.ring()?;
        let signing = self.signing.as_ref().ok_or_else(no_signing_key)?;
        if key.key != *signing {
            let message = format!("key {} is not the signing key of this provider", key.key);
            return Err(Error::new(ErrorKind::InvalidInput, message));
        }
        let mut bound = self.fresh(signing).await?;
        let version = parse_version(key.version.as_str()).ok_or_else(|| {
            let message = format!("key {signing} has no version {}", key.version);
            Error::new(ErrorKind::NotFound, message)
        })?;
        if !bound.lists(version) {
            bound = self.refresh(signing).await?;
        }
        bound.check_active(version)?;
        self.secret(&Chosen { bound, version }).await
    }
}

#[async_trait]
impl Sign for Local {
    async fn public_keys(&self) -> Result<Vec<PublicKey>> {
        let keys = self.signing_keys().await;
        self.tell(Operation::PublicKeys, keys)
    }

    async fn sign(&self, key: &PublicKey, input: &SigningInput<'_>) -> Result<Signature> {
        let signed = async {
            let secret = self.to_sign(key).await?;
            match owned(input) {
                // Up to a few milliseconds of work.
                Some(input) => blocking(move || secret.pair()?.sign(&input)).await,
                None => secret.pair()?.sign(input),
            }
        };
        self.tell(Operation::Sign, signed.await)
    }
}

/// The input as one that can be sent to another thread, if signing it takes long: for RSA, and for
/// the curves that are slow.
pub(crate) fn owned(input: &SigningInput<'_>) -> Option<SigningInput<'static>> {
    match input.algorithm() {
        SigningAlgorithm::Ed25519 | SigningAlgorithm::Es256 => None,
        algorithm => SigningInput::from_digest(algorithm, input.digest()?).ok(),
    }
}

/// Of all asymmetric keys bound, the versions that are not destroyed. Each public key was compared
/// with its private key, but for protected versions whose private key is not in memory.
fn all_public_keys(keys: &Keys, signing: &KeyName) -> Result<Vec<PublicKey>> {
    let ring = keys.ring()?;
    let pairs = ring.keys.values().filter(|bound| !bound.entry().key_type().seals());
    let mut found = Vec::new();
    for bound in pairs {
        let bound = &*keys.refresh(bound.name())?;
        let versions = &bound.entry().state.versions;
        for listed in versions.iter().filter(|v| v.state != StoredState::Destroyed) {
            let mut key = public_key(bound, listed.version, listed.state)?;
            key.current = bound.name() == signing && key.current;
            found.push(key);
        }
    }
    Ok(found)
}

fn public_key(bound: &Bound, version: u32, state: StoredState) -> Result<PublicKey> {
    let number = KeyVersion::parse(&version.to_string())?;
    let mut key = PublicKey::new(bound.name().clone(), number, bound.public(version)?);
    key.state = state.into();
    key.current = version == bound.entry().state.current;
    key.algorithms = bound.entry().key_type().signing_algorithms().to_vec();
    Ok(key)
}
