//! A provider with something in front of it that is told of each call.

use std::{fmt::Debug, ops::Deref, sync::Arc};

use async_trait::async_trait;
use bulla::{
    CryptoProvider, DataKey, DataKeys, Encrypt, EncryptionContext, KeyName, Operation, Plaintext,
    PublicKey, Result, Sign, Signature, SigningInput, Wrapped,
    provider::{Availability, Capabilities, Health, KeyInfo, UnwrapPolicy},
};

/// What stands in front of a provider: it may count calls, delay them, and refuse them.
#[async_trait]
pub trait Hook: Debug + Send + Sync + 'static {
    /// Is told of a call that a KMS would get, and of its context if it has one: of encryption, data keys, public keys
    /// and signatures.
    ///
    /// # Errors
    /// What the caller gets in the place of an answer.
    async fn before(&self, operation: Operation, context: Option<&EncryptionContext>)
    -> Result<()>;

    /// Unwraps a data key; by default the provider does.
    ///
    /// # Errors
    /// What the caller gets.
    async fn unwrap_data_key(
        &self,
        provider: &dyn CryptoProvider,
        wrapped: &Wrapped,
        context: &EncryptionContext,
    ) -> Result<DataKey> {
        provider.unwrap_data_key(wrapped, context).await
    }
}

/// A provider, with a hook in front of it. It dereferences to the hook.
#[derive(Debug)]
pub struct Hooked<H> {
    provider: Arc<dyn CryptoProvider>,
    hook: H,
}

impl<H: Hook> Hooked<H> {
    /// `hook` in front of `provider`.
    #[must_use]
    pub fn new(provider: Arc<dyn CryptoProvider>, hook: H) -> Self {
        Self { provider, hook }
    }
}

impl<H> Deref for Hooked<H> {
    type Target = H;

    fn deref(&self) -> &H {
        &self.hook
    }
}

#[async_trait]
impl<H: Hook> Encrypt for Hooked<H> {
    async fn encrypt(&self, plaintext: &[u8], context: &EncryptionContext) -> Result<Wrapped> {
        self.hook.before(Operation::Encrypt, Some(context)).await?;
        self.provider.encrypt(plaintext, context).await
    }

    async fn decrypt(&self, sealed: &Wrapped, context: &EncryptionContext) -> Result<Plaintext> {
        self.hook.before(Operation::Decrypt, Some(context)).await?;
        self.provider.decrypt(sealed, context).await
    }

    async fn reencrypt(
        &self,
        sealed: &Wrapped,
        from: &EncryptionContext,
        to: &EncryptionContext,
    ) -> Result<Wrapped> {
        self.hook.before(Operation::Reencrypt, Some(from)).await?;
        self.provider.reencrypt(sealed, from, to).await
    }
}

#[async_trait]
impl<H: Hook> DataKeys for Hooked<H> {
    async fn generate_data_key(&self, context: &EncryptionContext) -> Result<(DataKey, Wrapped)> {
        self.hook.before(Operation::GenerateDataKey, Some(context)).await?;
        self.provider.generate_data_key(context).await
    }

    async fn wrap_data_key(&self, key: &DataKey, context: &EncryptionContext) -> Result<Wrapped> {
        self.hook.before(Operation::WrapDataKey, Some(context)).await?;
        self.provider.wrap_data_key(key, context).await
    }

    async fn unwrap_data_key(
        &self,
        wrapped: &Wrapped,
        context: &EncryptionContext,
    ) -> Result<DataKey> {
        self.hook.before(Operation::UnwrapDataKey, Some(context)).await?;
        self.hook.unwrap_data_key(&*self.provider, wrapped, context).await
    }
}

#[async_trait]
impl<H: Hook> Sign for Hooked<H> {
    async fn public_keys(&self) -> Result<Vec<PublicKey>> {
        self.hook.before(Operation::PublicKeys, None).await?;
        self.provider.public_keys().await
    }

    async fn sign(&self, key: &PublicKey, input: &SigningInput<'_>) -> Result<Signature> {
        self.hook.before(Operation::Sign, None).await?;
        self.provider.sign(key, input).await
    }
}

#[async_trait]
impl<H: Hook> CryptoProvider for Hooked<H> {
    fn label(&self) -> &str {
        self.provider.label()
    }

    fn capabilities(&self) -> &Capabilities {
        self.provider.capabilities()
    }

    fn sealing_key(&self) -> Option<&KeyName> {
        self.provider.sealing_key()
    }

    fn opens(&self, key: &KeyName) -> Option<UnwrapPolicy> {
        self.provider.opens(key)
    }

    fn is_sealing_key(&self, key: &KeyName) -> bool {
        self.provider.is_sealing_key(key)
    }

    fn is_current(&self, wrapped: &Wrapped) -> bool {
        self.provider.is_current(wrapped)
    }

    fn availability(&self) -> Availability {
        self.provider.availability()
    }

    async fn describe_keys(&self) -> Vec<(KeyName, Result<KeyInfo>)> {
        self.provider.describe_keys().await
    }

    async fn health(&self) -> Result<Health> {
        self.provider.health().await
    }

    async fn close(&self) -> Result<()> {
        self.provider.close().await
    }
}
