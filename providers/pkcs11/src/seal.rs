//! Data keys and direct mode.

use async_trait::async_trait;
use bulla::{
    DataKey, DataKeys, Encrypt, EncryptionContext, Error, ErrorKind, Operation, Plaintext, Result,
    Wrapped,
    provider::{KeyUse, decrypt_and_encrypt},
};
use zeroize::Zeroizing;

use crate::{
    bound::Bound,
    capabilities::{GCM_LEN, KEY_WRAP_LEN, MAX_DIRECT_LEN},
    client::{NONCE_LEN, TAG_LEN},
    object::{Purpose, Wrapping},
    provider::Pkcs11,
};

impl Pkcs11 {
    fn sealing(&self) -> Result<(&Bound, Wrapping)> {
        let bound = self.keys.to_seal()?;
        Ok((bound, wrapping(bound)?))
    }

    /// The key that a record names, on the list and by the algorithm that it has.
    fn to_open(&self, sealed: &Wrapped) -> Result<(&Bound, Wrapping)> {
        let bound = self.keys.to_open(&sealed.key)?;
        let wrapping = wrapping(bound)?;
        match sealed.algorithm == wrapping.into() && sealed.version.is_none() {
            true => Ok((bound, wrapping)),
            false => Err(Error::not_authentic()),
        }
    }

    async fn wrap(&self, key: &DataKey, context: &EncryptionContext) -> Result<Wrapped> {
        let (bound, wrapping) = self.sealing()?;
        let (object, key) = (bound.object.clone(), key.share());
        let aad = KeyUse::DataKey.aad(context);
        let wrap = self.token.run(move |work| match wrapping {
            Wrapping::Gcm => work.encrypt(&object, key.expose(), &aad),
            Wrapping::KeyWrap => work.wrap(&object, key.expose()),
            Wrapping::Oaep { modulus } => work.oaep_encrypt(&object, key.expose(), modulus),
        });
        Ok(wrapped(bound, wrapping, wrap.await?))
    }

    async fn generate(&self, context: &EncryptionContext) -> Result<(DataKey, Wrapped)> {
        let key = DataKey::generate()?;
        let wrapped = self.wrap(&key, context).await?;
        Ok((key, wrapped))
    }

    async fn unwrap(&self, sealed: &Wrapped, context: &EncryptionContext) -> Result<DataKey> {
        let (bound, wrapping) = self.to_open(sealed)?;
        let len = match wrapping {
            Wrapping::Gcm => GCM_LEN,
            Wrapping::KeyWrap => KEY_WRAP_LEN,
            Wrapping::Oaep { modulus } => modulus,
        };
        if sealed.blob.len() != len {
            return Err(Error::not_authentic());
        }
        let (object, blob) = (bound.object.clone(), sealed.blob.clone());
        let aad = KeyUse::DataKey.aad(context);
        let unwrap = self.token.run(move |work| match wrapping {
            Wrapping::Gcm => work.decrypt(&object, &blob, &aad),
            Wrapping::KeyWrap => work.unwrap(&object, &blob),
            Wrapping::Oaep { .. } => work.oaep_decrypt(&object, &blob),
        });
        DataKey::from_slice(&unwrap.await?)
    }

    async fn seal_direct(&self, plaintext: &[u8], context: &EncryptionContext) -> Result<Wrapped> {
        let (bound, wrapping) = self.sealing()?;
        if wrapping != Wrapping::Gcm {
            return Err(no_direct(bound));
        }
        if plaintext.len() > MAX_DIRECT_LEN {
            let message =
                format!("direct mode takes up to {MAX_DIRECT_LEN} bytes; use `seal` for others");
            return Err(Error::new(ErrorKind::InvalidInput, message));
        }
        let (object, plaintext) = (bound.object.clone(), Zeroizing::new(plaintext.to_vec()));
        let aad = KeyUse::Direct.aad(context);
        let sealed = self.token.run(move |work| work.encrypt(&object, &plaintext, &aad)).await?;
        Ok(wrapped(bound, wrapping, sealed))
    }

    async fn open_direct(
        &self,
        sealed: &Wrapped,
        context: &EncryptionContext,
    ) -> Result<Plaintext> {
        let (bound, wrapping) = self.to_open(sealed)?;
        if wrapping != Wrapping::Gcm {
            return Err(no_direct(bound));
        }
        if sealed.blob.len() > NONCE_LEN + MAX_DIRECT_LEN + TAG_LEN {
            return Err(Error::not_authentic());
        }
        let (object, blob) = (bound.object.clone(), sealed.blob.clone());
        let aad = KeyUse::Direct.aad(context);
        let mut plain = self.token.run(move |work| work.decrypt(&object, &blob, &aad)).await?;
        Ok(Plaintext::new(std::mem::take(&mut *plain)))
    }
}

fn wrapping(bound: &Bound) -> Result<Wrapping> {
    match bound.purpose {
        Purpose::Seal { wrapping, .. } => Ok(wrapping),
        Purpose::Sign { .. } => {
            let message = format!("key {} signs and does not seal", bound.name);
            Err(Error::new(ErrorKind::Unsupported, message))
        }
    }
}

fn wrapped(bound: &Bound, wrapping: Wrapping, blob: Vec<u8>) -> Wrapped {
    Wrapped { key: bound.name.clone(), version: None, algorithm: wrapping.into(), blob }
}

fn no_direct(bound: &Bound) -> Error {
    let message = format!("key {} has no AES-GCM, and nothing else binds the context", bound.name);
    Error::new(ErrorKind::Unsupported, message)
}

#[async_trait]
impl DataKeys for Pkcs11 {
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
impl Encrypt for Pkcs11 {
    async fn encrypt(&self, plaintext: &[u8], context: &EncryptionContext) -> Result<Wrapped> {
        self.tell(Operation::Encrypt, self.seal_direct(plaintext, context).await)
    }

    async fn decrypt(&self, sealed: &Wrapped, context: &EncryptionContext) -> Result<Plaintext> {
        self.tell(Operation::Decrypt, self.open_direct(sealed, context).await)
    }

    async fn reencrypt(
        &self,
        sealed: &Wrapped,
        from: &EncryptionContext,
        to: &EncryptionContext,
    ) -> Result<Wrapped> {
        self.tell(Operation::Reencrypt, decrypt_and_encrypt(self, sealed, from, to).await)
    }
}
