//! Data keys and direct mode.

use std::sync::Arc;

use async_trait::async_trait;
use bulla::{
    DataKey, DataKeys, Encrypt, EncryptionContext, Error, ErrorKind, Operation, Plaintext, Result,
    WrapAlgorithm, Wrapped,
    aead::{KeyUse, SOFTWARE_WRAP_OVERHEAD},
};

use super::{
    Local, MAX_DIRECT_LEN,
    bound::{Chosen, Secret},
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
        // An unknown version may be newer than what is in memory.
        if bound.freshness().claim() || bound.entry().state.version(version).is_none() {
            // A store that can't be read is no reason to refuse what memory can open.
            bound = self.refresh(&wrapped.key).await.unwrap_or(bound);
        }
        let chosen = bound.opening(version)?;
        self.secret(&chosen).await
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
}
