//! A provider that remembers its answers, so that a case which opens one message a hundred thousand
//! times calls a live server once.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
};

use async_trait::async_trait;
use bulla::{
    CryptoProvider, DataKey, DataKeys, Encrypt, EncryptionContext, KeyName, Plaintext, PublicKey,
    Result, Sign, Signature, SigningInput, Wrapped,
    provider::{Availability, Capabilities, Health, KeyInfo, UnwrapPolicy},
};

#[derive(Debug)]
pub(crate) struct Remember {
    inner: Arc<dyn CryptoProvider>,
    /// Only answers that came back well: a changed request is a new one and goes to the server.
    unwrapped: Mutex<HashMap<(Wrapped, EncryptionContext), DataKey>>,
    pub(crate) generate_calls: AtomicUsize,
    pub(crate) wrap_calls: AtomicUsize,
    pub(crate) unwrap_calls: AtomicUsize,
}

impl Remember {
    pub(crate) fn new(inner: Arc<dyn CryptoProvider>) -> Self {
        Self {
            inner,
            unwrapped: Mutex::default(),
            generate_calls: AtomicUsize::new(0),
            wrap_calls: AtomicUsize::new(0),
            unwrap_calls: AtomicUsize::new(0),
        }
    }
}

#[async_trait]
impl Encrypt for Remember {
    async fn encrypt(&self, plaintext: &[u8], context: &EncryptionContext) -> Result<Wrapped> {
        self.inner.encrypt(plaintext, context).await
    }

    async fn decrypt(&self, sealed: &Wrapped, context: &EncryptionContext) -> Result<Plaintext> {
        self.inner.decrypt(sealed, context).await
    }

    async fn reencrypt(
        &self,
        sealed: &Wrapped,
        from: &EncryptionContext,
        to: &EncryptionContext,
    ) -> Result<Wrapped> {
        self.inner.reencrypt(sealed, from, to).await
    }
}

#[async_trait]
impl DataKeys for Remember {
    async fn generate_data_key(&self, context: &EncryptionContext) -> Result<(DataKey, Wrapped)> {
        self.generate_calls.fetch_add(1, SeqCst);
        self.inner.generate_data_key(context).await
    }

    async fn wrap_data_key(&self, key: &DataKey, context: &EncryptionContext) -> Result<Wrapped> {
        self.wrap_calls.fetch_add(1, SeqCst);
        self.inner.wrap_data_key(key, context).await
    }

    async fn unwrap_data_key(
        &self,
        wrapped: &Wrapped,
        context: &EncryptionContext,
    ) -> Result<DataKey> {
        self.unwrap_calls.fetch_add(1, SeqCst);
        let request = (wrapped.clone(), context.clone());
        let known = self
            .unwrapped
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&request)
            .map(DataKey::share);
        if let Some(key) = known {
            return Ok(key);
        }
        let key = self.inner.unwrap_data_key(wrapped, context).await?;
        let mut unwrapped = self.unwrapped.lock().unwrap_or_else(PoisonError::into_inner);
        unwrapped.insert(request, key.share());
        Ok(key)
    }
}

#[async_trait]
impl Sign for Remember {
    async fn public_keys(&self) -> Result<Vec<PublicKey>> {
        self.inner.public_keys().await
    }

    async fn sign(&self, key: &PublicKey, input: &SigningInput<'_>) -> Result<Signature> {
        self.inner.sign(key, input).await
    }
}

#[async_trait]
impl CryptoProvider for Remember {
    fn label(&self) -> &str {
        self.inner.label()
    }

    fn capabilities(&self) -> &Capabilities {
        self.inner.capabilities()
    }

    fn sealing_key(&self) -> Option<&KeyName> {
        self.inner.sealing_key()
    }

    fn opens(&self, key: &KeyName) -> Option<UnwrapPolicy> {
        self.inner.opens(key)
    }

    fn is_sealing_key(&self, key: &KeyName) -> bool {
        self.inner.is_sealing_key(key)
    }

    fn is_current(&self, wrapped: &Wrapped) -> bool {
        self.inner.is_current(wrapped)
    }

    fn availability(&self) -> Availability {
        self.inner.availability()
    }

    async fn describe_keys(&self) -> Vec<(KeyName, Result<KeyInfo>)> {
        self.inner.describe_keys().await
    }

    async fn health(&self) -> Result<Health> {
        self.inner.health().await
    }

    async fn close(&self) -> Result<()> {
        self.inner.close().await
    }
}
