//! Faults of a provider.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering::SeqCst},
};

use async_trait::async_trait;
use bulla::{
    CryptoProvider, DataKey, DataKeys, Encrypt, EncryptionContext, Error, ErrorKind, KeyName,
    Plaintext, PublicKey, Result, Sign, Signature, SigningAlgorithm, SigningInput, Wrapped,
    provider::{
        self, Availability, Capabilities, Health, KeyInfo, KeyUse, SoftwareKek, UnwrapPolicy,
    },
};

use super::Fault;
use crate::Memory;

/// A provider in memory with one fault, or with none.
#[derive(Debug)]
pub(super) struct Faulty {
    memory: Memory,
    capabilities: Capabilities,
    fault: Option<Fault>,
    busy: AtomicBool,
}

impl Faulty {
    pub(super) fn new(id: &str, fault: Option<Fault>) -> Self {
        let mut memory = Memory::new(id);
        if fault == Some(Fault::TakesAnyKey) {
            memory.kek = SoftwareKek::from_bytes(&[7; 32]);
        }
        let mut capabilities = memory.capabilities.clone();
        if fault == Some(Fault::Overstates) {
            capabilities.max_wrapped_len = 90;
            capabilities.signing.push(SigningAlgorithm::Es256);
        }
        Self { memory, capabilities, fault, busy: AtomicBool::new(false) }
    }

    pub(super) fn clone_dyn(self: &Arc<Self>) -> Arc<dyn CryptoProvider> {
        Arc::<Self>::clone(self)
    }

    fn has(&self, fault: Fault) -> bool {
        self.fault == Some(fault)
    }

    fn bound<'a>(&self, context: &'a EncryptionContext) -> &'a EncryptionContext {
        static EMPTY: EncryptionContext = EncryptionContext::new();
        if self.has(Fault::IgnoresContext) { &EMPTY } else { context }
    }

    /// The record as this provider reads it.
    fn read(&self, wrapped: &Wrapped) -> Wrapped {
        let key = if self.has(Fault::TakesAnyKey) { &self.memory.name } else { &wrapped.key };
        Wrapped { key: key.clone(), ..wrapped.clone() }
    }

    fn name<T>(&self, result: Result<T>) -> Result<T> {
        if self.has(Fault::MisnamesErrors) {
            return result.map_err(|_| Error::new(ErrorKind::Unavailable, "something went wrong"));
        }
        result
    }

    /// Takes the only place there is, and gives it back only if the call is not dropped.
    async fn enter(&self) -> Result<()> {
        if !self.has(Fault::OneAtATime) {
            return Ok(());
        }
        if self.busy.swap(true, SeqCst) {
            return Err(Error::new(ErrorKind::Internal, "busy"));
        }
        tokio::task::yield_now().await;
        self.busy.store(false, SeqCst);
        Ok(())
    }
}

#[async_trait]
impl Encrypt for Faulty {
    async fn encrypt(&self, plaintext: &[u8], context: &EncryptionContext) -> Result<Wrapped> {
        if self.has(Fault::KnowsNoLimit) {
            let aad = KeyUse::Direct.aad(context);
            return Ok(self.memory.wrapped(self.memory.kek.wrap(plaintext, &aad)?));
        }
        self.name(self.memory.encrypt(plaintext, self.bound(context)).await)
    }

    async fn decrypt(&self, sealed: &Wrapped, context: &EncryptionContext) -> Result<Plaintext> {
        if self.has(Fault::ConfusesUses)
            && let Ok(key) = self.memory.unwrap_data_key(sealed, context).await
        {
            return Ok(key.expose().to_vec().into());
        }
        let opened = self.memory.decrypt(&self.read(sealed), self.bound(context)).await;
        if self.has(Fault::DecryptsAnything) {
            return Ok(opened.unwrap_or_default());
        }
        self.name(opened)
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

#[async_trait]
impl DataKeys for Faulty {
    async fn generate_data_key(&self, context: &EncryptionContext) -> Result<(DataKey, Wrapped)> {
        self.enter().await?;
        if self.has(Fault::RepeatsDataKeys) {
            let key = DataKey::from_bytes(&[1; 32]);
            let wrapped = self.memory.wrap_data_key(&key, context).await?;
            return Ok((key, wrapped));
        }
        self.name(self.memory.generate_data_key(self.bound(context)).await)
    }

    async fn wrap_data_key(&self, key: &DataKey, context: &EncryptionContext) -> Result<Wrapped> {
        self.enter().await?;
        self.name(self.memory.wrap_data_key(key, self.bound(context)).await)
    }

    async fn unwrap_data_key(
        &self,
        wrapped: &Wrapped,
        context: &EncryptionContext,
    ) -> Result<DataKey> {
        self.enter().await?;
        if self.has(Fault::ConfusesUses)
            && let Ok(payload) = self.memory.decrypt(wrapped, context).await
        {
            return DataKey::from_slice(&payload);
        }
        self.name(self.memory.unwrap_data_key(&self.read(wrapped), self.bound(context)).await)
    }
}

#[async_trait]
impl Sign for Faulty {
    async fn public_keys(&self) -> Result<Vec<PublicKey>> {
        self.name(self.memory.public_keys().await)
    }

    async fn sign(&self, key: &PublicKey, input: &SigningInput<'_>) -> Result<Signature> {
        self.name(self.memory.sign(key, input).await)
    }
}

#[async_trait]
impl CryptoProvider for Faulty {
    fn label(&self) -> &str {
        self.memory.label()
    }

    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    fn sealing_key(&self) -> Option<&KeyName> {
        self.memory.sealing_key()
    }

    fn opens(&self, key: &KeyName) -> Option<UnwrapPolicy> {
        let asked = if self.has(Fault::TakesAnyKey) { &self.memory.name } else { key };
        self.memory.opens(asked)
    }

    fn is_sealing_key(&self, key: &KeyName) -> bool {
        match self.fault {
            Some(Fault::ClaimsEveryKey) => true,
            Some(Fault::DisownsItsKey) => false,
            _ => self.memory.is_sealing_key(key),
        }
    }

    fn is_current(&self, wrapped: &Wrapped) -> bool {
        self.memory.is_current(wrapped)
    }

    fn availability(&self) -> Availability {
        self.memory.availability()
    }

    async fn describe_keys(&self) -> Vec<(KeyName, Result<KeyInfo>)> {
        if self.has(Fault::SaysNothing) {
            return Vec::new();
        }
        self.memory.describe_keys().await
    }

    async fn health(&self) -> Result<Health> {
        self.name(self.memory.health().await)
    }

    async fn close(&self) -> Result<()> {
        if self.has(Fault::NeverCloses) {
            return Ok(());
        }
        self.memory.close().await
    }
}
