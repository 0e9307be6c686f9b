//! Signatures, and checking them.

use async_trait::async_trait;
use aws_sdk_kms::types::{MessageType, SigningAlgorithmSpec};
use bulla::{
    Error, ErrorKind, KeyVersion, Operation, PublicKey, Result, Sign, Signature, SigningAlgorithm,
    SigningInput,
};

use crate::{
    bound::{Bound, Keys},
    client::ToSign,
    metadata::{Pair, Purpose},
    provider::AwsKms,
    signature,
};

/// KMS rotates no asymmetric key, so each has one version for good.
const VERSION: &str = "1";

/// The most bytes of a message that KMS signs as it is.
const MAX_MESSAGE_LEN: usize = 4096;

impl AwsKms {
    /// Checks a signature by one of the keys bound here, on this machine and under the public key
    /// that was given: no request is made.
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

    /// Has KMS check a signature, which takes kms:Verify and leaves a trace in CloudTrail.
    ///
    /// # Errors
    /// As for [`verify`](Self::verify); otherwise what KMS said. That it could not be asked is
    /// never [`ErrorKind::NotAuthentic`].
    pub async fn verify_remotely(
        &self,
        key: &PublicKey,
        input: &SigningInput<'_>,
        signature: &Signature,
    ) -> Result<()> {
        let (bound, pair) = self.verifying(key, input.algorithm())?;
        let checked = async {
            let bytes = signature::to_kms(pair, signature.as_bytes())?;
            self.kms()?.verify(&bound.arn, to_sign(input)?, bytes).await
        };
        checked.await.map_err(|e| e.with_provider(self.label.as_ref()))
    }

    fn verifying(&self, key: &PublicKey, algorithm: SigningAlgorithm) -> Result<(&Bound, Pair)> {
        let wrong = |message: String| {
            Error::new(ErrorKind::InvalidInput, message).with_provider(self.label.as_ref())
        };
        let (bound, pair) = pair_of(&self.keys, key).ok_or_else(|| {
            wrong(format!("key {} is not one that this provider verifies with", key.key))
        })?;
        // The signing key may be pinned to one of them, here or where the public key was read.
        let own = self.keys.is_signing_key(bound);
        let algorithms = if own { &*self.capabilities.signing } else { pair.algorithms() };
        if !(algorithms.contains(&algorithm) && key.algorithms.contains(&algorithm)) {
            return Err(wrong(format!("key {} is not used with {algorithm}", key.key)));
        }
        Ok((bound, pair))
    }

    async fn all_public_keys(&self) -> Result<Vec<PublicKey>> {
        let kms = self.kms()?;
        let signing = self.keys.to_sign()?;
        let mut found = Vec::new();
        for bound in self.keys.iter() {
            let Purpose::Sign(pair) = bound.purpose else { continue };
            let current = bound.name == signing.name;
            let asked = async {
                let state = kms.describe(bound.arn.as_str()).await?.state();
                Ok((state, bound.public(kms).await?))
            };
            let (state, spki) = match asked.await {
                Ok(answers) => answers,
                // A key that only verifies, and is gone, does not keep the others from signing.
                Err(error) if !current && is_gone(&error) => continue,
                Err(error) => return Err(error),
            };
            let mut key = PublicKey::new(bound.name.clone(), KeyVersion::parse(VERSION)?, spki);
            key.state = state;
            key.current = current;
            key.algorithms = match key.current {
                true => self.capabilities.signing.clone(),
                false => pair.algorithms().to_vec(),
            };
            found.push(key);
        }
        Ok(found)
    }

    async fn make(&self, key: &PublicKey, input: &SigningInput<'_>) -> Result<Signature> {
        let kms = self.kms()?;
        let signing = self.keys.to_sign()?;
        let wrong = |message| Err(Error::new(ErrorKind::InvalidInput, message));
        let Some((_, pair)) =
            pair_of(&self.keys, key).filter(|(bound, _)| bound.name == signing.name)
        else {
            return wrong(format!("key {} is not the signing key of this provider", key.key));
        };
        let algorithm = input.algorithm();
        if !self.capabilities.signing.contains(&algorithm) {
            return wrong(format!("the signing key is not used with {algorithm}"));
        }
        let made = kms.sign(&signing.arn, to_sign(input)?).await?;
        signature::from_kms(pair, &made).map(Signature::new).ok_or_else(|| {
            let message = format!("KMS returned no signature of {algorithm}");
            Error::new(ErrorKind::Unavailable, message)
        })
    }
}

#[async_trait]
impl Sign for AwsKms {
    async fn public_keys(&self) -> Result<Vec<PublicKey>> {
        self.tell(Operation::PublicKeys, self.all_public_keys().await)
    }

    async fn sign(&self, key: &PublicKey, input: &SigningInput<'_>) -> Result<Signature> {
        self.tell(Operation::Sign, self.make(key, input).await)
    }
}

fn is_gone(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::Disabled | ErrorKind::PendingDeletion)
}

/// The pair that a public key belongs to. A replica's public key is that of the same pair.
fn pair_of<'a>(keys: &'a Keys, key: &PublicKey) -> Option<(&'a Bound, Pair)> {
    let bound = keys.find(&key.key).filter(|_| key.version.as_str() == VERSION)?;
    match bound.purpose {
        Purpose::Sign(pair) => Some((bound, pair)),
        Purpose::Seal => None,
    }
}

/// The input as KMS takes it.
fn to_sign<'a>(input: &'a SigningInput<'_>) -> Result<ToSign<'a>> {
    use SigningAlgorithmSpec as Spec;
    let algorithm = match input.algorithm() {
        SigningAlgorithm::Rs256 => Spec::RsassaPkcs1V15Sha256,
        SigningAlgorithm::Rs384 => Spec::RsassaPkcs1V15Sha384,
        SigningAlgorithm::Rs512 => Spec::RsassaPkcs1V15Sha512,
        SigningAlgorithm::Ps256 => Spec::RsassaPssSha256,
        SigningAlgorithm::Ps384 => Spec::RsassaPssSha384,
        SigningAlgorithm::Ps512 => Spec::RsassaPssSha512,
        SigningAlgorithm::Es256 => Spec::EcdsaSha256,
        SigningAlgorithm::Es384 => Spec::EcdsaSha384,
        SigningAlgorithm::Es512 => Spec::EcdsaSha512,
        SigningAlgorithm::Ed25519 => Spec::Ed25519Sha512,
        other => {
            let message = format!("KMS has no {other}");
            return Err(Error::new(ErrorKind::Unsupported, message));
        }
    };
    let (message_type, bytes) = match (input.digest(), input.message()) {
        (Some(digest), _) => (MessageType::Digest, digest),
        (None, message) => (MessageType::Raw, message.unwrap_or_default()),
    };
    if !(1..=MAX_MESSAGE_LEN).contains(&bytes.len()) {
        return Err(Error::new(
            ErrorKind::InvalidInput,
            format!(
                "KMS signs Ed25519 messages of 1 to {MAX_MESSAGE_LEN} bytes, not {}; for longer \
                 ones use an algorithm that signs a digest",
                bytes.len()
            ),
        ));
    }
    Ok(ToSign { algorithm, message_type, bytes })
}
