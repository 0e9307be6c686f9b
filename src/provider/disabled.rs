//! A deployment without keys: every call fails.

use async_trait::async_trait;

use super::{
    Availability, Capabilities, CryptoProvider, DataKeys, Encrypt, Health, KeyInfo, Sign,
    UnwrapPolicy,
};
use crate::{
    context::EncryptionContext,
    error::{Error, ErrorKind, Result},
    key::{DataKey, KeyName, Plaintext, Wrapped},
    signing::{PublicKey, Signature, SigningInput},
};

/// Stands where a deployment has no keys, and fails closed: every call is
/// [`Disabled`](ErrorKind::Disabled), none passes plaintext through.
#[derive(Clone, Copy, Debug, Default)]
pub struct Disabled;

impl Disabled {
    const CAPABILITIES: &'static Capabilities = &Capabilities::none();

    fn refuse<T>(self) -> Result<T> {
        Err(Error::new(
            ErrorKind::Disabled,
            "encryption is disabled in this deployment; configure a key to seal, open or sign",
        )
        .with_provider("disabled"))
    }
}

#[async_trait]
impl Encrypt for Disabled {
    async fn encrypt(&self, _: &[u8], _: &EncryptionContext) -> Result<Wrapped> {
        self.refuse()
    }

    async fn decrypt(&self, _: &Wrapped, _: &EncryptionContext) -> Result<Plaintext> {
        self.refuse()
    }

    async fn reencrypt(
        &self,
        _: &Wrapped,
        _: &EncryptionContext,
        _: &EncryptionContext,
    ) -> Result<Wrapped> {
        self.refuse()
    }
}

#[async_trait]
impl DataKeys for Disabled {
    async fn generate_data_key(&self, _: &EncryptionContext) -> Result<(DataKey, Wrapped)> {
        self.refuse()
    }

    async fn wrap_data_key(&self, _: &DataKey, _: &EncryptionContext) -> Result<Wrapped> {
        self.refuse()
    }

    async fn unwrap_data_key(&self, _: &Wrapped, _: &EncryptionContext) -> Result<DataKey> {
        self.refuse()
    }
}

#[async_trait]
impl Sign for Disabled {
    async fn public_keys(&self) -> Result<Vec<PublicKey>> {
        self.refuse()
    }

    async fn sign(&self, _: &PublicKey, _: &SigningInput<'_>) -> Result<Signature> {
        self.refuse()
    }
}

#[async_trait]
impl CryptoProvider for Disabled {
    fn label(&self) -> &str {
        "disabled"
    }

    fn capabilities(&self) -> &Capabilities {
        Self::CAPABILITIES
    }

    fn sealing_key(&self) -> Option<&KeyName> {
        None
    }

    fn opens(&self, _: &KeyName) -> Option<UnwrapPolicy> {
        None
    }

    fn is_sealing_key(&self, _: &KeyName) -> bool {
        false
    }

    fn is_current(&self, _: &Wrapped) -> bool {
        false
    }

    fn availability(&self) -> Availability {
        Availability::Unavailable
    }

    async fn describe_keys(&self) -> Vec<(KeyName, Result<KeyInfo>)> {
        Vec::new()
    }

    async fn health(&self) -> Result<Health> {
        self.refuse()
    }

    async fn close(&self) -> Result<()> {
        Ok(())
    }
}
