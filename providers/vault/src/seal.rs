//! Data keys and direct mode.

use async_trait::async_trait;
use bulla::{
    DataKey, DataKeys, Encrypt, EncryptionContext, Error, ErrorKind, Operation, Plaintext, Result,
    Wrapped,
    key::WrapAlgorithm,
    provider::{KeyUse, decrypt_and_encrypt},
};
use zeroize::Zeroizing;

use crate::{
    bound::Bound,
    capabilities::{MAX_DIRECT_LEN, MAX_WRAPPED_LEN},
    ciphertext::{self, MAX_PREFIX_LEN, base64_len},
    client::Transit,
    metadata::{Cipher, Purpose},
    provider::Vault,
};

/// Bytes of a data key.
const DATA_KEY_LEN: usize = 32;

/// The most bytes of a direct ciphertext.
const MAX_DIRECT_SEALED: usize =
    MAX_PREFIX_LEN + base64_len(MAX_DIRECT_LEN + Cipher::XChaCha20Poly1305.overhead());

impl Vault {
    fn to_seal(&self) -> Result<(&Transit, &Bound, Cipher)> {
        let transit = self.transit()?;
        let sealing = self.keys.to_seal()?;
        Ok((transit, sealing, cipher(sealing)?))
    }

    /// The key that a record names, on the list and in this realm.
    fn to_open(&self, sealed: &Wrapped) -> Result<(&Transit, &Bound, Cipher)> {
        let transit = self.transit()?;
        let bound = self.keys.to_open(&sealed.key)?;
        match sealed.algorithm == WrapAlgorithm::Native && sealed.version.is_none() {
            true => Ok((transit, bound, cipher(bound)?)),
            false => Err(Error::not_authentic()),
        }
    }

    async fn wrap(&self, key: &DataKey, context: &EncryptionContext) -> Result<Wrapped> {
        let (transit, sealing, cipher) = self.to_seal()?;
        let aad = KeyUse::DataKey.aad(context);
        let blob = transit.encrypt(sealing, key.expose(), &aad, cipher.overhead()).await?;
        Ok(wrapped(sealing, blob))
    }

    /// A key of this machine's, wrapped, for which the right to encrypt is all that it takes; or one of the
    /// server's, if that was asked for.
    async fn generate(&self, context: &EncryptionContext) -> Result<(DataKey, Wrapped)> {
        if self.server_data_keys {
            let (transit, sealing, cipher) = self.to_seal()?;
            let aad = KeyUse::DataKey.aad(context);
            let made = transit.data_key(sealing, &aad, DATA_KEY_LEN, cipher.overhead()).await?;
            return Ok((DataKey::from_slice(&made.0)?, wrapped(sealing, made.1)));
        }
        let key = DataKey::generate()?;
        let wrapped = self.wrap(&key, context).await?;
        Ok((key, wrapped))
    }

    async fn unwrap(&self, sealed: &Wrapped, context: &EncryptionContext) -> Result<DataKey> {
        let (transit, bound, cipher) = self.to_open(sealed)?;
        if sealed.blob.len() > MAX_WRAPPED_LEN {
            return Err(Error::not_authentic());
        }
        let (version, len) = ciphertext::parse(&sealed.blob).ok_or_else(Error::not_authentic)?;
        if len != DATA_KEY_LEN + cipher.overhead() {
            return Err(Error::not_authentic());
        }
        let aad = KeyUse::DataKey.aad(context);
        let key = transit.decrypt(bound, &sealed.blob, version, &aad, DATA_KEY_LEN).await?;
        DataKey::from_slice(&key)
    }

    async fn seal_direct(&self, plaintext: &[u8], context: &EncryptionContext) -> Result<Wrapped> {
        let (transit, sealing, cipher) = self.to_seal()?;
        if plaintext.len() > MAX_DIRECT_LEN {
            let message =
                format!("direct mode takes up to {MAX_DIRECT_LEN} bytes; use `seal` for others");
            return Err(Error::new(ErrorKind::InvalidInput, message));
        }
        let aad = KeyUse::Direct.aad(context);
        let blob = transit.encrypt(sealing, plaintext, &aad, cipher.overhead()).await?;
        Ok(wrapped(sealing, blob))
    }

    async fn open_direct(
        &self,
        sealed: &Wrapped,
        context: &EncryptionContext,
    ) -> Result<Zeroizing<Vec<u8>>> {
        let (transit, bound, cipher) = self.to_open(sealed)?;
        if sealed.blob.len() > MAX_DIRECT_SEALED {
            return Err(Error::not_authentic());
        }
        let (version, len) = ciphertext::parse(&sealed.blob).ok_or_else(Error::not_authentic)?;
        let len = len.checked_sub(cipher.overhead()).ok_or_else(Error::not_authentic)?;
        let aad = KeyUse::Direct.aad(context);
        transit.decrypt(bound, &sealed.blob, version, &aad, len).await
    }
}

fn cipher(bound: &Bound) -> Result<Cipher> {
    match bound.purpose {
        Purpose::Seal(cipher) => Ok(cipher),
        Purpose::Sign(_) => {
            let message = format!("key {} signs and does not seal", bound.name);
            Err(Error::new(ErrorKind::Unsupported, message))
        }
    }
}

/// The ciphertext names its version, so the record does not.
fn wrapped(bound: &Bound, blob: Vec<u8>) -> Wrapped {
    Wrapped { key: bound.name.clone(), version: None, algorithm: WrapAlgorithm::Native, blob }
}

#[async_trait]
impl DataKeys for Vault {
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
impl Encrypt for Vault {
    async fn encrypt(&self, plaintext: &[u8], context: &EncryptionContext) -> Result<Wrapped> {
        self.tell(Operation::Encrypt, self.seal_direct(plaintext, context).await)
    }

    async fn decrypt(&self, sealed: &Wrapped, context: &EncryptionContext) -> Result<Plaintext> {
        let plaintext = self.open_direct(sealed, context).await;
        let plaintext = plaintext.map(|mut plain| Plaintext::new(std::mem::take(&mut *plain)));
        self.tell(Operation::Decrypt, plaintext)
    }

    /// The server's `rewrap` knows no associated data, so the plaintext passes through this process.
    async fn reencrypt(
        &self,
        sealed: &Wrapped,
        from: &EncryptionContext,
        to: &EncryptionContext,
    ) -> Result<Wrapped> {
        self.tell(Operation::Reencrypt, decrypt_and_encrypt(self, sealed, from, to).await)
    }
}
