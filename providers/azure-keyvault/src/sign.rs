//! Signatures, and checking them.

use async_trait::async_trait;
use bulla::{
    Error, ErrorKind, KeyVersion, Operation, PublicKey, Result, Sign, Signature, SigningAlgorithm,
    SigningInput, key::KeyState,
};

use crate::{bound::Bound, client::KeyVault, id, provider::AzureKeyVault, public::Pair};

impl AzureKeyVault {
    /// Checks a signature by one of the keys bound here, on this machine and under the public key that was
    /// given: no request is made.
    ///
    /// # Errors
    /// [`ErrorKind::NotAuthentic`] if it isn't that key's signature of that input;
    /// [`ErrorKind::InvalidInput`] if the key is not bound, or the algorithm not the key's, by this
    /// provider or by the public key that was given.
    pub fn verify(
        &self,
        key: &PublicKey,
        input: &SigningInput<'_>,
        signature: &Signature,
    ) -> Result<()> {
        let label = self.label.as_ref();
        let algorithm = input.algorithm();
        let bound = self.keys.find(&key.key).filter(|bound| bound.pair().is_some());
        let is_used = bound.is_some_and(|bound| {
            !self.keys.is_signing_key(bound) || self.capabilities.signing.contains(&algorithm)
        });
        if !is_used || !key.algorithms.contains(&algorithm) {
            let message =
                format!("key {} is not one that {algorithm} is verified with here", key.key);
            return Err(Error::new(ErrorKind::InvalidInput, message).with_provider(label));
        }
        bulla::signing::verify(key, input, signature).map_err(|e| e.with_provider(label))
    }

    /// Every version that may be used: so a rotation shows here, and with it in sets of keys. Of a key
    /// whose version is pinned, that one.
    async fn all_public_keys(&self) -> Result<Vec<PublicKey>> {
        let vault = self.vault()?;
        self.keys.to_sign()?;
        let mut found = Vec::new();
        for bound in self.keys.iter().filter(|bound| bound.pair().is_some()) {
            match self.versions(vault, bound).await {
                Ok(keys) => found.extend(keys),
                // A key that only verifies, and is gone, does not keep the others from signing.
                Err(error) if !self.keys.is_signing_key(bound) && is_gone(&error) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(found)
    }

    async fn versions(&self, vault: &KeyVault, bound: &Bound) -> Result<Vec<PublicKey>> {
        let latest = vault.describe(&bound.id, bound.id.pinned.as_ref()).await?;
        bound.saw(&latest.version);
        let others = match bound.id.pinned {
            Some(_) => vec![],
            None => vault.versions(bound).await?,
        };
        let (current, state) = (latest.version.clone(), latest.state());
        if let Some(public) = latest.public {
            bound.keep_public(&current, public);
        }
        let mut all = vec![(current.clone(), state)];
        all.extend(others.into_iter().map(|(version, validity)| (version, validity.state())));
        let mut found: Vec<PublicKey> = Vec::new();
        for (version, state) in all {
            let is_double = found.iter().any(|key| key.version == version);
            // What its owner has disabled is not to be verified with.
            if is_double || state == KeyState::Disabled {
                continue;
            }
            let Some((pair, spki)) = public(vault, bound, &version).await? else { continue };
            let mut key = PublicKey::new(bound.name.clone(), version, spki);
            key.state = state;
            key.current = self.keys.is_signing_key(bound) && key.version == current;
            key.algorithms = self.algorithms(bound, pair);
            found.push(key);
        }
        Ok(found)
    }

    /// Those of a version, which may be of another kind than the key was when the provider was built.
    fn algorithms(&self, bound: &Bound, pair: Pair) -> Vec<SigningAlgorithm> {
        let own = pair.algorithms().iter().copied();
        match self.keys.is_signing_key(bound) {
            true => own.filter(|one| self.capabilities.signing.contains(one)).collect(),
            false => own.collect(),
        }
    }

    async fn make(&self, key: &PublicKey, input: &SigningInput<'_>) -> Result<Signature> {
        let vault = self.vault()?;
        let bound = self.keys.to_sign()?;
        let wrong = |message| Err(Error::new(ErrorKind::InvalidInput, message));
        let version = id::version(key.version.as_str()).filter(|version| {
            key.key == bound.name && bound.id.pinned.as_ref().is_none_or(|pinned| pinned == version)
        });
        let Some(version) = version else {
            return wrong(format!("key {} is not the signing key of this provider", key.key));
        };
        let algorithm = input.algorithm();
        if !self.capabilities.signing.contains(&algorithm) {
            return wrong(format!("the signing key is not used with {algorithm}"));
        }
        let Some(digest) = input.digest() else {
            return wrong(format!("{algorithm} signs no digest, and Key Vault nothing else"));
        };
        let Some((pair, _)) = public(vault, bound, &version).await? else {
            return wrong(format!("that version of {} does not sign here", key.key));
        };
        if !pair.algorithms().contains(&algorithm) {
            return wrong(format!("that version of {} is not used with {algorithm}", key.key));
        }
        let made = vault.sign(bound, &version, algorithm.as_str(), digest).await?;
        match made.len() == pair.signature_len() {
            true => Ok(Signature::new(made)),
            false => {
                let message = format!("Key Vault returned no signature of {algorithm}");
                Err(Error::new(ErrorKind::Unavailable, message))
            }
        }
    }
}

/// The public half of a version, asked for once.
async fn public(
    vault: &KeyVault,
    bound: &Bound,
    version: &KeyVersion,
) -> Result<Option<(Pair, Vec<u8>)>> {
    if let Some(known) = bound.public(version) {
        return Ok(Some(known));
    }
    let public = vault.describe(&bound.id, Some(version)).await?.public;
    if let Some(public) = &public {
        bound.keep_public(version, public.clone());
    }
    Ok(public)
}

fn is_gone(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::PendingDeletion)
}

#[async_trait]
impl Sign for AzureKeyVault {
    async fn public_keys(&self) -> Result<Vec<PublicKey>> {
        self.tell(Operation::PublicKeys, self.all_public_keys().await)
    }

    async fn sign(&self, key: &PublicKey, input: &SigningInput<'_>) -> Result<Signature> {
        self.tell(Operation::Sign, self.make(key, input).await)
    }
}
