//! Signatures, and checking them.

use std::sync::Arc;

use async_trait::async_trait;
use bulla::{
    Error, ErrorKind, KeyVersion, Operation, PublicKey, Result, Sign, Signature, SigningAlgorithm,
    SigningInput,
};
use bytes::Bytes;
use google_cloud_kms_v1::model::{Digest, digest::Digest as Kind};

use crate::{
    bound::{Bound, Public},
    client::{Kms, ToSign},
    metadata::{Described, Use, current},
    provider::GcpKms,
    resource::version_of,
    signature,
};

/// The most bytes of a message that goes to KMS as it is, for Ed25519: the limit that other services have.
const MAX_MESSAGE_LEN: usize = 4096;

impl GcpKms {
    /// Checks a signature by one of the keys bound here, on this machine and under the public key that was
    /// given: no request is made. KMS itself has no call for it.
    ///
    /// # Errors
    /// [`ErrorKind::NotAuthentic`] if it isn't that key's signature of that input;
    /// [`ErrorKind::InvalidInput`] if the key is not bound, or the algorithm not the key's.
    pub fn verify(
        &self,
        key: &PublicKey,
        input: &SigningInput<'_>,
        signature: &Signature,
    ) -> Result<()> {
        let wrong = |message: String| {
            Err(Error::new(ErrorKind::InvalidInput, message).with_provider(self.label.as_ref()))
        };
        let bound = self.keys.find(&key.key).filter(|bound| bound.used_to == Use::Sign);
        let Some(bound) = bound else {
            return wrong(format!("key {} is not one that this provider verifies with", key.key));
        };
        let algorithm = input.algorithm();
        let known = version_of(key.version.as_str()).and_then(|version| bound.known(version));
        let is_its_own = known.is_none_or(|public| public.signing.algorithm == algorithm);
        if !(is_its_own && key.algorithms.contains(&algorithm)) {
            return wrong(format!("key {} is not used with {algorithm}", key.key));
        }
        bulla::signing::verify(key, input, signature)
            .map_err(|e| e.with_provider(self.label.as_ref()))
    }

    async fn all_public_keys(&self) -> Result<Vec<PublicKey>> {
        let kms = self.kms()?;
        let signing = self.keys.to_sign()?;
        let mut found = Vec::new();
        for bound in self.keys.iter().filter(|bound| bound.used_to == Use::Sign) {
            let signs = bound.name == signing.name;
            match public_keys_of(kms, bound, signs).await {
                Ok(keys) => found.extend(keys),
                // A key that only verifies, and is gone, does not keep the others from signing.
                Err(error) if !signs && error.kind() == ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        Ok(found)
    }

    async fn make(&self, key: &PublicKey, input: &SigningInput<'_>) -> Result<Signature> {
        let kms = self.kms()?;
        let signing = self.keys.to_sign()?;
        let wrong = |message| Err(Error::new(ErrorKind::InvalidInput, message));
        let version = version_of(key.version.as_str()).filter(|_| signing.name == key.key);
        let Some(version) = version else {
            return wrong(format!("key {} is not the signing key of this provider", key.key));
        };
        // Its algorithm is KMS's word, not the caller's: KMS signs a digest by whatever the version does.
        let Public { signing: own, .. } = *signing.public(kms, version).await?;
        let algorithm = input.algorithm();
        if own.algorithm != algorithm {
            return wrong(format!(
                "version {version} of the signing key is not used with {algorithm}"
            ));
        }
        let made = kms.sign(&signing.key, version, to_sign(input)?).await?;
        signature::from_kms(own.pair, &made).map(Signature::new).ok_or_else(|| {
            let message = format!("KMS returned no signature of {algorithm}");
            Error::new(ErrorKind::Unavailable, message)
        })
    }
}

/// Those of all versions that are enabled, and of others whose public half is known from before.
async fn public_keys_of(kms: &Kms, bound: &Bound, signs: bool) -> Result<Vec<PublicKey>> {
    let versions = kms.versions(&bound.key).await?;
    let algorithm = bound.signing.map(|signing| signing.algorithm);
    let current = current(&versions, bound.pinned, algorithm).map(|version| version.number);
    let mut found = Vec::new();
    for version in versions.iter().filter(|version| version.signing.is_some()) {
        let Some(public) = public_of(kms, bound, version).await? else { continue };
        let number = KeyVersion::parse(&version.number.to_string())?;
        let mut key = PublicKey::new(bound.name.clone(), number, public.spki.clone());
        key.state = version.state();
        key.current = signs && current == Some(version.number);
        key.algorithms = vec![public.signing.algorithm];
        found.push(key);
    }
    Ok(found)
}

async fn public_of(kms: &Kms, bound: &Bound, version: &Described) -> Result<Option<Arc<Public>>> {
    match (version.is_enabled(), bound.known(version.number)) {
        (_, Some(known)) => Ok(Some(known)),
        (false, None) => Ok(None),
        (true, None) => match bound.public(kms, version.number).await {
            Ok(public) => Ok(Some(public)),
            // Disabled a moment ago.
            Err(error) if is_gone(&error) => Ok(None),
            Err(error) => Err(error),
        },
    }
}

fn is_gone(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Disabled | ErrorKind::PendingDeletion | ErrorKind::Destroyed)
}

#[async_trait]
impl Sign for GcpKms {
    async fn public_keys(&self) -> Result<Vec<PublicKey>> {
        self.tell(Operation::PublicKeys, self.all_public_keys().await)
    }

    async fn sign(&self, key: &PublicKey, input: &SigningInput<'_>) -> Result<Signature> {
        self.tell(Operation::Sign, self.make(key, input).await)
    }
}

/// The input as KMS takes it.
fn to_sign(input: &SigningInput<'_>) -> Result<ToSign> {
    use SigningAlgorithm::*;
    let Some(digest) = input.digest() else {
        let message = input.message().unwrap_or_default();
        if !(1..=MAX_MESSAGE_LEN).contains(&message.len()) {
            return Err(Error::new(
                ErrorKind::InvalidInput,
                format!(
                    "Ed25519 messages have 1 to {MAX_MESSAGE_LEN} bytes here, not {}; for longer ones use an \
                     algorithm that signs a digest",
                    message.len()
                ),
            ));
        }
        return Ok(ToSign::Message(Bytes::copy_from_slice(message)));
    };
    let bytes = Bytes::copy_from_slice(digest);
    let kind = match input.algorithm() {
        Rs256 | Ps256 | Es256 => Kind::Sha256(bytes),
        Es384 => Kind::Sha384(bytes),
        Rs512 | Ps512 => Kind::Sha512(bytes),
        other => {
            return Err(Error::new(ErrorKind::Unsupported, format!("KMS has no {other}")));
        }
    };
    Ok(ToSign::Digest(Digest::new().set_digest(kind)))
}
