//! A region that could not be asked for its keys yet.

use std::{
    sync::{Mutex, OnceLock, PoisonError},
    time::{Duration, Instant},
};

use async_trait::async_trait;
use bulla::{
    CryptoProvider, DataKey, DataKeys, Encrypt, EncryptionContext, Error, ErrorKind, KeyName,
    Plaintext, PublicKey, Result, Sign, Signature, SigningInput, Wrapped,
    provider::{Availability, Capabilities, Health, KeyInfo, UnwrapPolicy},
};

use crate::{bound::same_names, connecting::Prepared, provider::AwsKms};

/// How long the region is left alone after it was asked in vain.
const COOLDOWN: Duration = Duration::from_secs(5);

/// Asks for the keys when it is called, one call at a time, and does nothing with keys that it was
/// not told of: until they are described, every call is `Unavailable`.
#[derive(Debug)]
pub(crate) struct Unreached {
    prepared: Prepared,
    /// Replicas of what another region has. For names and capabilities; it makes no call.
    expected: AwsKms,
    connected: OnceLock<AwsKms>,
    asking: tokio::sync::Mutex<()>,
    /// When it was asked last, and what came of it.
    failed: Mutex<(Instant, Error)>,
}

impl Unreached {
    pub(crate) fn new(prepared: Prepared, expected: AwsKms, error: Error) -> Self {
        Self {
            prepared,
            expected,
            connected: OnceLock::new(),
            asking: tokio::sync::Mutex::default(),
            failed: Mutex::new((Instant::now(), error)),
        }
    }

    async fn connected(&self) -> Result<&AwsKms> {
        // Closed while it was being asked, it stays closed.
        self.expected.kms()?;
        if let Some(connected) = self.connected.get() {
            return Ok(connected);
        }
        if let Some(error) = self.cooling() {
            return Err(error);
        }
        let Ok(_asking) = self.asking.try_lock() else { return Err(self.last().1) };
        // A call that is dropped half-way has asked too.
        self.failed.lock().unwrap_or_else(PoisonError::into_inner).0 = Instant::now();
        match self.prepared.connect().await.and_then(|connected| self.check(connected)) {
            Ok(connected) => {
                self.expected.kms()?;
                Ok(self.connected.get_or_init(|| connected))
            }
            Err(error) => {
                let error = left_out(error);
                *self.failed.lock().unwrap_or_else(PoisonError::into_inner) =
                    (Instant::now(), error.clone());
                Err(error)
            }
        }
    }

    fn last(&self) -> (Instant, Error) {
        self.failed.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn cooling(&self) -> Option<Error> {
        let (asked, error) = self.last();
        (asked.elapsed() < COOLDOWN).then_some(error)
    }

    /// Whether the keys are those that everybody was told of.
    fn check(&self, connected: AwsKms) -> Result<AwsKms> {
        let same = connected.capabilities == self.expected.capabilities
            && same_names(&connected.keys, &self.expected.keys);
        if same {
            return Ok(connected);
        }
        let message = "its keys are not the replicas of those in the other region";
        Err(Error::new(ErrorKind::Unsupported, message).with_provider(self.prepared.label.as_ref()))
    }
}

/// What one region refuses is no answer while another one serves.
fn left_out(error: Error) -> Error {
    if error.is_retryable() {
        return error;
    }
    let message = format!("this region is left out: {}", error.message());
    error.told_as(ErrorKind::Unavailable, message)
}

#[async_trait]
impl Encrypt for Unreached {
    async fn encrypt(&self, plaintext: &[u8], context: &EncryptionContext) -> Result<Wrapped> {
        self.connected().await?.encrypt(plaintext, context).await
    }

    async fn decrypt(&self, sealed: &Wrapped, context: &EncryptionContext) -> Result<Plaintext> {
        self.connected().await?.decrypt(sealed, context).await
    }

    async fn reencrypt(
        &self,
        sealed: &Wrapped,
        from: &EncryptionContext,
        to: &EncryptionContext,
    ) -> Result<Wrapped> {
        self.connected().await?.reencrypt(sealed, from, to).await
    }
}

#[async_trait]
impl DataKeys for Unreached {
    async fn generate_data_key(&self, context: &EncryptionContext) -> Result<(DataKey, Wrapped)> {
        self.connected().await?.generate_data_key(context).await
    }

    async fn wrap_data_key(&self, key: &DataKey, context: &EncryptionContext) -> Result<Wrapped> {
        self.connected().await?.wrap_data_key(key, context).await
    }

    async fn unwrap_data_key(
        &self,
        wrapped: &Wrapped,
        context: &EncryptionContext,
    ) -> Result<DataKey> {
        self.connected().await?.unwrap_data_key(wrapped, context).await
    }
}

#[async_trait]
impl Sign for Unreached {
    async fn public_keys(&self) -> Result<Vec<PublicKey>> {
        self.connected().await?.public_keys().await
    }

    async fn sign(&self, key: &PublicKey, input: &SigningInput<'_>) -> Result<Signature> {
        self.connected().await?.sign(key, input).await
    }
}

#[async_trait]
impl CryptoProvider for Unreached {
    fn label(&self) -> &str {
        &self.prepared.label
    }

    fn capabilities(&self) -> &Capabilities {
        self.expected.capabilities()
    }

    fn sealing_key(&self) -> Option<&KeyName> {
        self.expected.sealing_key()
    }

    fn opens(&self, key: &KeyName) -> Option<UnwrapPolicy> {
        self.expected.opens(key)
    }

    fn is_sealing_key(&self, key: &KeyName) -> bool {
        self.expected.is_sealing_key(key)
    }

    fn is_current(&self, wrapped: &Wrapped) -> bool {
        self.expected.is_current(wrapped)
    }

    fn availability(&self) -> Availability {
        match self.connected.get() {
            Some(connected) => connected.availability(),
            None if self.cooling().is_some() => Availability::Unavailable,
            None => self.expected.availability().max(Availability::Degraded),
        }
    }

    async fn describe_keys(&self) -> Vec<(KeyName, Result<KeyInfo>)> {
        match self.connected().await {
            Ok(connected) => connected.describe_keys().await,
            Err(error) => {
                let names = self.expected.keys.iter().map(|bound| bound.name.clone());
                names.map(|name| (name, Err(error.clone()))).collect()
            }
        }
    }

    async fn health(&self) -> Result<Health> {
        self.connected().await?.health().await
    }

    async fn close(&self) -> Result<()> {
        self.expected.close().await?;
        match self.connected.get() {
            Some(connected) => connected.close().await,
            None => Ok(()),
        }
    }
}
