//! Signatures, and checking them.

use async_trait::async_trait;
use bulla::{
    Error, ErrorKind, KeyVersion, Operation, PublicKey, Result, Sign, Signature, SigningAlgorithm,
    SigningInput,
};

use crate::{
    bound::Bound,
    ciphertext::version_of,
    client::ToSign,
    metadata::{Pair, Purpose},
    provider::Vault,
};

/// The most bytes of a message that goes to the server as it is, for Ed25519: the limit that other services
/// have.
const MAX_MESSAGE_LEN: usize = 4096;

impl Vault {
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
        self.verifying(key, input.algorithm())?;
        bulla::signing::verify(key, input, signature)
            .map_err(|e| e.with_provider(self.label.as_ref()))
    }

    /// Has the server check a signature, which takes `update` on `verify/KEY` and leaves a trace in its
    /// audit log.
    ///
    /// # Errors
    /// As for [`verify`](Self::verify); otherwise what the server said. That it could not be asked is
    /// never [`ErrorKind::NotAuthentic`].
    pub async fn verify_remotely(
        &self,
        key: &PublicKey,
        input: &SigningInput<'_>,
        signature: &Signature,
    ) -> Result<()> {
        let (bound, version, pair) = self.verifying(key, input.algorithm())?;
        let checked = async {
            if signature.as_bytes().len() != pair.signature_len() {
                return Err(Error::not_authentic());
            }
            let transit = self.transit()?;
            transit.verify(bound, version, to_sign(input)?, signature.as_bytes()).await
        };
        checked.await.map_err(|e| e.with_provider(self.label.as_ref()))
    }

    fn verifying(
        &self,
        key: &PublicKey,
        algorithm: SigningAlgorithm,
    ) -> Result<(&Bound, u32, Pair)> {
        let wrong = |message: String| {
            Error::new(ErrorKind::InvalidInput, message).with_provider(self.label.as_ref())
        };
        let (bound, version, pair) = self.version_of(key).ok_or_else(|| {
            wrong(format!("key {} is not one that this provider verifies with", key.key))
        })?;
        let own = self.keys.is_signing_key(bound);
        // The signing key may be pinned to one of them, here or where the public key was read.
        let algorithms = if own { &*self.capabilities.signing } else { pair.algorithms() };
        if !(algorithms.contains(&algorithm) && key.algorithms.contains(&algorithm)) {
            return Err(wrong(format!("key {} is not used with {algorithm}", key.key)));
        }
        Ok((bound, version, pair))
    }

    /// The pair that a public key belongs to, and its version.
    fn version_of(&self, key: &PublicKey) -> Option<(&Bound, u32, Pair)> {
        let bound = self.keys.find(&key.key)?;
        match bound.purpose {
            Purpose::Sign(pair) => Some((bound, version_of(key.version.as_str())?, pair)),
            Purpose::Seal(_) => None,
        }
    }

    /// Every version that is in use: so a rotation shows here, and with it in sets of keys.
    async fn all_public_keys(&self) -> Result<Vec<PublicKey>> {
        let transit = self.transit()?;
        let signing = self.keys.to_sign()?;
        let mut found = Vec::new();
        for bound in self.keys.iter() {
            let Purpose::Sign(pair) = bound.purpose else { continue };
            let signs = bound.name == signing.name;
            let described = match transit.describe(&bound.places).await {
                Ok(described) => described,
                // A key that only verifies, and is gone, does not keep the others from signing.
                Err(error) if !signs && error.kind() == ErrorKind::NotFound => continue,
                Err(error) => return Err(error),
            };
            if described.purpose != bound.purpose {
                let message =
                    format!("key {} is of another type than when this was built", bound.name);
                return Err(Error::new(ErrorKind::Unsupported, message));
            }
            bound.told(&described);
            for (version, spki) in &described.publics {
                let number = KeyVersion::parse(&version.to_string())?;
                let mut key = PublicKey::new(bound.name.clone(), number, spki.clone());
                key.state = described.state_of(*version);
                key.current = signs && *version == described.latest;
                key.algorithms = match signs {
                    true => self.capabilities.signing.clone(),
                    false => pair.algorithms().to_vec(),
                };
                found.push(key);
            }
        }
        Ok(found)
    }

    async fn make(&self, key: &PublicKey, input: &SigningInput<'_>) -> Result<Signature> {
        let transit = self.transit()?;
        let signing = self.keys.to_sign()?;
        let wrong = |message| Err(Error::new(ErrorKind::InvalidInput, message));
        let Some((bound, version, pair)) =
            self.version_of(key).filter(|(bound, ..)| bound.name == signing.name)
        else {
            return wrong(format!("key {} is not the signing key of this provider", key.key));
        };
        let algorithm = input.algorithm();
        if !self.capabilities.signing.contains(&algorithm) {
            return wrong(format!("the signing key is not used with {algorithm}"));
        }
        let made = transit.sign(bound, version, to_sign(input)?).await?;
        match made.len() == pair.signature_len() {
            true => Ok(Signature::new(made)),
            false => {
                let message = format!("the server returned no signature of {algorithm}");
                Err(Error::new(ErrorKind::Unavailable, message))
            }
        }
    }
}

#[async_trait]
impl Sign for Vault {
    async fn public_keys(&self) -> Result<Vec<PublicKey>> {
        self.tell(Operation::PublicKeys, self.all_public_keys().await)
    }

    async fn sign(&self, key: &PublicKey, input: &SigningInput<'_>) -> Result<Signature> {
        self.tell(Operation::Sign, self.make(key, input).await)
    }
}

fn to_sign<'a>(input: &'a SigningInput<'_>) -> Result<ToSign<'a>> {
    let (bytes, is_digest) = match (input.digest(), input.message()) {
        (Some(digest), _) => (digest, true),
        (None, message) => (message.unwrap_or_default(), false),
    };
    if bytes.len() > MAX_MESSAGE_LEN {
        return Err(Error::new(
            ErrorKind::InvalidInput,
            format!(
                "Ed25519 signs messages of up to {MAX_MESSAGE_LEN} bytes here, not {}; for longer ones \
                 use an algorithm that signs a digest",
                bytes.len()
            ),
        ));
    }
    Ok(ToSign { algorithm: input.algorithm(), bytes, is_digest })
}
