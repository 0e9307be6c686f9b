//! Data keys and direct mode.

use async_trait::async_trait;
use bulla::{
    DataKey, DataKeys, Encrypt, EncryptionContext, Error, ErrorKind, Operation, Plaintext, Result,
    Wrapped, key::WrapAlgorithm, provider::KeyUse,
};
use zeroize::Zeroizing;

use crate::{
    arn::KeyArn,
    bound::Bound,
    capabilities::{MAX_DIRECT_LEN, MAX_WRAPPED_LEN},
    client::Kms,
    provider::AwsKms,
};

/// The most bytes that Decrypt takes.
const MAX_CIPHERTEXT_LEN: usize = 6144;

// KMS takes a context of 8,192 bytes: the core's limit and the library's own pair are within.
const _: () = assert!(EncryptionContext::MAX_ENCODED_LEN + "bulla1:data-key".len() <= 8192);

impl AwsKms {
    /// By KMS's ReEncrypt: the plaintext does not leave it.
    async fn move_direct(
        &self,
        sealed: &Wrapped,
        from: &EncryptionContext,
        to: &EncryptionContext,
    ) -> Result<Wrapped> {
        let (kms, source) = self.to_open(sealed)?;
        let sealing = self.keys.to_seal()?;
        let from = (&source.arn, KeyUse::Direct.pairs(from));
        let to = (&sealing.arn, KeyUse::Direct.pairs(to));
        Ok(wrapped(sealing, kms.reencrypt(from, to, &sealed.blob).await?))
    }

    /// The key that a record names: on the list, and by the ARN of this region.
    fn to_open(&self, sealed: &Wrapped) -> Result<(&Kms, &Bound)> {
        let kms = self.kms()?;
        let bound = self.keys.to_open(&sealed.key)?;
        let native = sealed.algorithm == WrapAlgorithm::Native && sealed.version.is_none();
        if !native || !(1..=MAX_CIPHERTEXT_LEN).contains(&sealed.blob.len()) {
            return Err(Error::not_authentic());
        }
        Ok((kms, bound))
    }

    async fn open(
        &self,
        sealed: &Wrapped,
        key_use: KeyUse,
        context: &EncryptionContext,
    ) -> Result<Zeroizing<Vec<u8>>> {
        let (kms, bound) = self.to_open(sealed)?;
        kms.decrypt(&bound.arn, &sealed.blob, key_use.pairs(context)).await
    }

    async fn wrap(&self, key: &DataKey, context: &EncryptionContext) -> Result<Wrapped> {
        let kms = self.kms()?;
        let sealing = self.keys.to_seal()?;
        let pairs = KeyUse::DataKey.pairs(context);
        let blob = kms.encrypt(&sealing.arn, key.expose(), pairs).await?;
        check_wrap(&sealing.arn, &blob)?;
        Ok(wrapped(sealing, blob))
    }

    async fn generate(&self, context: &EncryptionContext) -> Result<(DataKey, Wrapped)> {
        let kms = self.kms()?;
        let sealing = self.keys.to_seal()?;
        let pairs = KeyUse::DataKey.pairs(context);
        let (plaintext, blob) = kms.generate(&sealing.arn, pairs).await?;
        check_wrap(&sealing.arn, &blob)?;
        Ok((DataKey::from_slice(&plaintext)?, wrapped(sealing, blob)))
    }

    async fn seal_direct(&self, plaintext: &[u8], context: &EncryptionContext) -> Result<Wrapped> {
        let kms = self.kms()?;
        let sealing = self.keys.to_seal()?;
        if !(1..=MAX_DIRECT_LEN).contains(&plaintext.len()) {
            let message =
                format!("direct mode takes 1 to {MAX_DIRECT_LEN} bytes; use `seal` for others");
            return Err(Error::new(ErrorKind::InvalidInput, message));
        }
        let pairs = KeyUse::Direct.pairs(context);
        Ok(wrapped(sealing, kms.encrypt(&sealing.arn, plaintext, pairs).await?))
    }
}

fn wrapped(sealing: &Bound, blob: Vec<u8>) -> Wrapped {
    Wrapped { key: sealing.name.clone(), version: None, algorithm: WrapAlgorithm::Native, blob }
}

/// Headers are laid out for wraps of the length that the capabilities tell.
fn check_wrap(key: &KeyArn, blob: &[u8]) -> Result<()> {
    if blob.len() <= MAX_WRAPPED_LEN {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::Unsupported,
        format!(
            "key {} wraps a data key into {} bytes; this provider takes {MAX_WRAPPED_LEN}",
            key.as_str(),
            blob.len()
        ),
    ))
}

#[async_trait]
impl DataKeys for AwsKms {
    async fn generate_data_key(&self, context: &EncryptionContext) -> Result<(DataKey, Wrapped)> {
        self.tell(Operation::GenerateDataKey, self.generate(context).await)
    }

    async fn wrap_data_key(&self, key: &DataKey, context: &EncryptionContext) -> Result<Wrapped> {
        self.tell(Operation::WrapDataKey, self.wrap(key, context).await)
    }

    async fn unwrap_data_key(
        &self,
        wrapped: &Wrapped,
        context: &EncryptionContext,
    ) -> Result<DataKey> {
        let key = self.open(wrapped, KeyUse::DataKey, context).await;
        let key = key.and_then(|key| DataKey::from_slice(&key));
        self.tell(Operation::UnwrapDataKey, key)
    }
}

#[async_trait]
impl Encrypt for AwsKms {
    async fn encrypt(&self, plaintext: &[u8], context: &EncryptionContext) -> Result<Wrapped> {
        self.tell(Operation::Encrypt, self.seal_direct(plaintext, context).await)
    }

    async fn decrypt(&self, sealed: &Wrapped, context: &EncryptionContext) -> Result<Plaintext> {
        let plaintext = self.open(sealed, KeyUse::Direct, context).await;
        let plaintext = plaintext.map(|mut plain| Plaintext::new(std::mem::take(&mut *plain)));
        self.tell(Operation::Decrypt, plaintext)
    }

    async fn reencrypt(
        &self,
        sealed: &Wrapped,
        from: &EncryptionContext,
        to: &EncryptionContext,
    ) -> Result<Wrapped> {
        self.tell(Operation::Reencrypt, self.move_direct(sealed, from, to).await)
    }
}
