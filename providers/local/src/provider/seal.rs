//! Data keys and direct mode.

use std::sync::Arc;

use async_trait::async_trait;
use bulla::{
    DataKey, DataKeys, Encrypt, EncryptionContext, Error, ErrorKind, KeyName, Operation, Plaintext,
    Result, Wrapped,
    key::WrapAlgorithm,
    provider::{self, KeyUse, SOFTWARE_WRAP_OVERHEAD},
};

use super::{
    Local, MAX_DIRECT_LEN, blocking,
    bound::{Bound, Chosen, Secret},
    no_sealing_key, parse_version,
};

impl Local {
    /// The current version of the sealing key, with its secret.
    async fn to_seal(&self) -> Result<(Chosen, Arc<Secret>)> {
        let _not_closed = self.keys.ring()?;
        let key = self.sealing.as_ref().ok_or_else(no_sealing_key)?;
        let chosen = self.fresh(key).await?.current()?;
        let secret = self.secret(&chosen).await?;
        Ok((chosen, secret))
    }

    /// The secret that opens what a record names.
    async fn to_open(&self, wrapped: &Wrapped) -> Result<Arc<Secret>> {
        let mut bound = self.keys.bound(&wrapped.key)?;
        let version = wrapped.version.as_ref().and_then(|v| parse_version(v.as_str()));
        let version = version.filter(|_| wrapped.algorithm == WrapAlgorithm::Native);
        let version = version.ok_or_else(Error::not_authentic)?;
        if bound.freshness().claim() {
            bound = match self.refresh(&wrapped.key).await {
                Err(error) if goes_on(&bound, &error) => bound,
                other => other?,
            };
        }
        if !bound.lists(version) {
            bound = self.look_for(&wrapped.key, version).await?;
        }
        let chosen = bound.opening(version)?;
        self.secret(&chosen).await
    }

    /// A key whose state may list a version that it did not before.
    async fn look_for(&self, key: &KeyName, version: u32) -> Result<Arc<Bound>> {
        if !self.keys.bound(key)?.freshness().is_unknown_due() {
            // Asked again: somebody else may just have found it.
            return self.keys.bound(key);
        }
        let (keys, key) = (Arc::clone(&self.keys), key.clone());
        blocking(move || keys.look_for(&key, version)).await
    }

    async fn wrap(&self, plaintext: &[u8], aad: Vec<u8>) -> Result<Wrapped> {
        let (chosen, secret) = self.to_seal().await?;
        Ok(Wrapped {
            key: chosen.bound.name().clone(),
            version: Some(chosen.key_version()?),
            algorithm: WrapAlgorithm::Native,
            blob: secret.kek()?.wrap(plaintext, &aad)?,
        })
    }
}

/// Whether opening goes on with what is in memory, though its state could not be read: for a while,
/// if the store is out of reach. A store that is damaged or open to others is another matter.
fn goes_on(bound: &Bound, error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Io | ErrorKind::NotFound) && bound.freshness().is_trusted()
}

#[async_trait]
impl DataKeys for Local {
    async fn generate_data_key(&self, context: &EncryptionContext) -> Result<(DataKey, Wrapped)> {
        let made = async {
            let key = DataKey::generate()?;
            let wrapped = self.wrap(key.expose(), KeyUse::DataKey.aad(context)).await?;
            Ok((key, wrapped))
        };
        self.tell(Operation::GenerateDataKey, made.await)
    }

    async fn wrap_data_key(&self, key: &DataKey, context: &EncryptionContext) -> Result<Wrapped> {
        let wrapped = self.wrap(key.expose(), KeyUse::DataKey.aad(context)).await;
        self.tell(Operation::WrapDataKey, wrapped)
    }

    async fn unwrap_data_key(
        &self,
        wrapped: &Wrapped,
        context: &EncryptionContext,
    ) -> Result<DataKey> {
        let secret = self.to_open(wrapped).await;
        let key = secret.and_then(|s| s.kek()?.unwrap_data_key(&wrapped.blob, context));
        self.tell(Operation::UnwrapDataKey, key)
    }
}

#[async_trait]
impl Encrypt for Local {
    async fn encrypt(&self, plaintext: &[u8], context: &EncryptionContext) -> Result<Wrapped> {
        let sealed = if plaintext.len() > MAX_DIRECT_LEN {
            let message = format!("direct mode takes {MAX_DIRECT_LEN} bytes at most; use `seal`");
            Err(Error::new(ErrorKind::InvalidInput, message))
        } else {
            self.wrap(plaintext, KeyUse::Direct.aad(context)).await
        };
        self.tell(Operation::Encrypt, sealed)
    }

    async fn decrypt(&self, sealed: &Wrapped, context: &EncryptionContext) -> Result<Plaintext> {
        let opened = async {
            if sealed.blob.len() > MAX_DIRECT_LEN + SOFTWARE_WRAP_OVERHEAD {
                return Err(Error::not_authentic());
            }
            let secret = self.to_open(sealed).await?;
            let mut plain = secret.kek()?.unwrap(&sealed.blob, &KeyUse::Direct.aad(context))?;
            Ok(Plaintext::new(std::mem::take(&mut *plain)))
        };
        self.tell(Operation::Decrypt, opened.await)
    }

    async fn reencrypt(
        &self,
        sealed: &Wrapped,
        from: &EncryptionContext,
        to: &EncryptionContext,
    ) -> Result<Wrapped> {
        provider::decrypt_and_encrypt(self, sealed, from, to).await
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use bulla::{CryptoProvider, KeyVersion, provider::Availability};

    use super::*;
    use crate::{KeyType, Protection, Store};

    #[tokio::test]
    async fn opening_goes_on_for_a_minute_without_the_store() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::at(dir.path().join("bulla"));
        store.create_key("k", KeyType::Aes256, &Protection::None).unwrap();
        let local = Local::builder(store.clone()).sealing_key("k").build().unwrap();
        let context = EncryptionContext::from_pairs([("a", "b")]).unwrap();
        let (_, wrapped) = local.generate_data_key(&context).await.unwrap();
        let open = async |wrapped: &Wrapped| {
            local.unwrap_data_key(wrapped, &context).await.map(drop).map_err(|e| e.kind())
        };
        let advance = |by| local.keys.bound(&wrapped.key).unwrap().freshness().advance(by);
        let away = dir.path().join("away");

        fs::rename(store.path(), &away).unwrap();
        advance(59_000);
        assert_eq!(open(&wrapped).await, Ok(()));
        assert_eq!(local.availability(), Availability::Degraded);
        let unknown = Wrapped { version: Some(KeyVersion::parse("2").unwrap()), ..wrapped.clone() };
        assert_eq!(open(&unknown).await, Err(ErrorKind::NotFound));
        advance(2_000);
        for _ in 0..3 {
            assert_eq!(open(&wrapped).await, Err(ErrorKind::NotFound));
        }
        fs::rename(&away, store.path()).unwrap();
        assert_eq!(open(&wrapped).await, Ok(()));
        assert_eq!(local.availability(), Availability::Available);

        // After a pause, nobody opens by what was known before it.
        store.set_state("k", None, bulla::key::KeyState::Disabled).unwrap();
        advance(61_000);
        assert_eq!(open(&wrapped).await, Err(ErrorKind::Disabled));
    }
}
