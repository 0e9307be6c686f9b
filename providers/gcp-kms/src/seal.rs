//! Data keys and direct mode.

use async_trait::async_trait;
use bulla::{
    DataKey, DataKeys, Encrypt, EncryptionContext, Error, ErrorKind, KeyVersion, Operation,
    Plaintext, Result, Wrapped,
    key::WrapAlgorithm,
    provider::{KeyUse, decrypt_and_encrypt},
};
use zeroize::Zeroizing;

use crate::{
    bound::Bound,
    capabilities::{MAX_DIRECT_LEN, MAX_WRAPPED_LEN},
    provider::GcpKms,
    resource::{Version, version_of},
};

/// The most bytes of a direct ciphertext: what a key in software makes of the longest payload, with room for
/// what external key managers add.
const MAX_DIRECT_SEALED: usize = MAX_DIRECT_LEN + 4096;

impl GcpKms {
    /// The key that a record names, on the list.
    fn to_open(&self, sealed: &Wrapped) -> Result<&Bound> {
        self.kms()?;
        let bound = self.keys.to_open(&sealed.key)?;
        match sealed.algorithm {
            WrapAlgorithm::Native => Ok(bound),
            _ => Err(Error::not_authentic()),
        }
    }

    /// The version is recorded so that a rotation shows; KMS finds it by the ciphertext.
    async fn wrap(&self, key: &DataKey, context: &EncryptionContext) -> Result<Wrapped> {
        let kms = self.kms()?;
        let sealing = self.keys.to_seal()?;
        let aad = KeyUse::DataKey.aad(context);
        let (version, blob) = kms.encrypt(&sealing.key, sealing.pinned, key.expose(), aad).await?;
        sealing.saw(Some(version));
        if blob.len() > MAX_WRAPPED_LEN {
            return Err(Error::new(
                ErrorKind::Unsupported,
                format!(
                    "key {} wraps a data key into {} bytes; this provider takes {MAX_WRAPPED_LEN}",
                    sealing.key,
                    blob.len()
                ),
            ));
        }
        let version = Some(KeyVersion::parse(&version.to_string())?);
        Ok(Wrapped { key: sealing.name.clone(), version, algorithm: WrapAlgorithm::Native, blob })
    }

    async fn generate(&self, context: &EncryptionContext) -> Result<(DataKey, Wrapped)> {
        let key = DataKey::generate()?;
        let wrapped = self.wrap(&key, context).await?;
        Ok((key, wrapped))
    }

    async fn unwrap(&self, sealed: &Wrapped, context: &EncryptionContext) -> Result<DataKey> {
        let bound = self.to_open(sealed)?;
        let version = sealed.version.as_ref().and_then(|version| version_of(version.as_str()));
        let version = version.ok_or_else(Error::not_authentic)?;
        if !(1..=MAX_WRAPPED_LEN).contains(&sealed.blob.len()) {
            return Err(Error::not_authentic());
        }
        let aad = KeyUse::DataKey.aad(context);
        let (key, by_primary) = self.kms()?.decrypt(&bound.key, &sealed.blob, aad).await?;
        notice(bound, version, by_primary);
        DataKey::from_slice(&key)
    }

    async fn seal_direct(&self, plaintext: &[u8], context: &EncryptionContext) -> Result<Wrapped> {
        let kms = self.kms()?;
        let sealing = self.keys.to_seal()?;
        let max = self.capabilities.max_direct_len;
        if !(1..=max).contains(&plaintext.len()) {
            let message = format!("direct mode takes 1 to {max} bytes; use `seal` for others");
            return Err(Error::new(ErrorKind::InvalidInput, message));
        }
        let aad = KeyUse::Direct.aad(context);
        let (version, blob) = kms.encrypt(&sealing.key, sealing.pinned, plaintext, aad).await?;
        sealing.saw(Some(version));
        // Without the version: nothing would tell if somebody changed it.
        let (key, algorithm) = (sealing.name.clone(), WrapAlgorithm::Native);
        Ok(Wrapped { key, version: None, algorithm, blob })
    }

    async fn open_direct(
        &self,
        sealed: &Wrapped,
        context: &EncryptionContext,
    ) -> Result<Zeroizing<Vec<u8>>> {
        let bound = self.to_open(sealed)?;
        if sealed.version.is_some() || !(1..=MAX_DIRECT_SEALED).contains(&sealed.blob.len()) {
            return Err(Error::not_authentic());
        }
        let aad = KeyUse::Direct.aad(context);
        let (plaintext, _) = self.kms()?.decrypt(&bound.key, &sealed.blob, aad).await?;
        Ok(plaintext)
    }
}

/// What was the primary version and is not any more leaves nothing known of which one is, until something is
/// sealed. That another version is primary now can't be taken from a record, which nobody has checked yet.
fn notice(bound: &Bound, version: Version, by_primary: bool) {
    if !by_primary && bound.primary() == Some(version) {
        bound.saw(None);
    }
}

#[async_trait]
impl DataKeys for GcpKms {
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
        self.tell(Operation::UnwrapDataKey, self.unwrap(wrapped, context).await)
    }
}

#[async_trait]
impl Encrypt for GcpKms {
    async fn encrypt(&self, plaintext: &[u8], context: &EncryptionContext) -> Result<Wrapped> {
        self.tell(Operation::Encrypt, self.seal_direct(plaintext, context).await)
    }

    async fn decrypt(&self, sealed: &Wrapped, context: &EncryptionContext) -> Result<Plaintext> {
        let plaintext = self.open_direct(sealed, context).await;
        let plaintext = plaintext.map(|mut plain| Plaintext::new(std::mem::take(&mut *plain)));
        self.tell(Operation::Decrypt, plaintext)
    }

    /// KMS has no such call, so the plaintext passes through this process.
    async fn reencrypt(
        &self,
        sealed: &Wrapped,
        from: &EncryptionContext,
        to: &EncryptionContext,
    ) -> Result<Wrapped> {
        self.tell(Operation::Reencrypt, decrypt_and_encrypt(self, sealed, from, to).await)
    }
}
