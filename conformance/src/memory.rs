//! A provider whose key is in memory: the reference, and the base of the faulty ones.

use std::{
    sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    time::Duration,
};

use async_trait::async_trait;
use bulla::{
    CryptoProvider, DataKey, DataKeys, Encrypt, EncryptionContext, Error, ErrorKind, KeyName,
    Plaintext, PublicKey, Result, Sign, Signature, SigningInput, Wrapped,
    key::{KeyState, WrapAlgorithm},
    provider::{
        self, Availability, Capabilities, ContextBinding, Health, KeyInfo, KeyUse,
        SOFTWARE_WRAP_OVERHEAD, SoftwareKek, UnwrapPolicy,
    },
};

/// A provider with one key, random unless given. For tests: what a random one wraps can't be opened
/// once the provider is gone.
#[derive(Debug)]
pub struct Memory {
    pub(crate) name: KeyName,
    pub(crate) kek: SoftwareKek,
    pub(crate) capabilities: Capabilities,
    closed: AtomicBool,
    wraps: AtomicUsize,
    unwraps: AtomicUsize,
}

const MAX_DIRECT_LEN: usize = 4096;

impl Memory {
    /// A provider with a fresh key of this id.
    ///
    /// # Panics
    /// If the id is empty or longer than 1,024 bytes, or if the system has no random numbers.
    #[must_use]
    #[allow(clippy::expect_used, reason = "for tests, and documented")]
    pub fn new(id: &str) -> Self {
        let key = DataKey::generate().expect("the system has random numbers");
        Self::with_key(id, key.expose())
    }

    /// A provider with this key, which opens what another of the same id and key wrapped.
    ///
    /// # Panics
    /// If the id is empty or longer than 1,024 bytes.
    #[must_use]
    #[allow(clippy::expect_used, reason = "for tests, and documented")]
    pub fn with_key(id: &str, key: &[u8; 32]) -> Self {
        let mut capabilities = Capabilities::none();
        capabilities.direct = ContextBinding::Bound;
        capabilities.max_direct_len = MAX_DIRECT_LEN;
        capabilities.data_keys = ContextBinding::Bound;
        capabilities.max_wrapped_len = 32 + SOFTWARE_WRAP_OVERHEAD;
        capabilities.wrap_authenticates = true;
        Self {
            name: KeyName::new("memory", id).expect("a key id"),
            kek: SoftwareKek::from_bytes(key),
            capabilities,
            closed: AtomicBool::new(false),
            wraps: AtomicUsize::new(0),
            unwraps: AtomicUsize::new(0),
        }
    }

    /// How often a data key was made or wrapped, and how often one was unwrapped, whatever came of it: what a KMS
    /// would count as calls.
    #[must_use]
    pub fn calls(&self) -> (usize, usize) {
        (self.wraps.load(SeqCst), self.unwraps.load(SeqCst))
    }

    pub(crate) fn check_open(&self) -> Result<()> {
        if self.closed.load(SeqCst) {
            return Err(Error::new(ErrorKind::Closed, "this provider was closed"));
        }
        Ok(())
    }

    fn check_key(&self, wrapped: &Wrapped) -> Result<()> {
        self.check_open()?;
        if wrapped.key != self.name {
            return Err(Error::new(ErrorKind::NoRecipient, "not the key of this provider"));
        }
        if wrapped.version.is_some() || wrapped.algorithm != WrapAlgorithm::Native {
            return Err(Error::not_authentic());
        }
        Ok(())
    }

    pub(crate) fn wrapped(&self, blob: Vec<u8>) -> Wrapped {
        let algorithm = WrapAlgorithm::Native;
        Wrapped { key: self.name.clone(), version: None, algorithm, blob }
    }
}

#[async_trait]
impl Encrypt for Memory {
    async fn encrypt(&self, plaintext: &[u8], context: &EncryptionContext) -> Result<Wrapped> {
        self.check_open()?;
        if plaintext.len() > MAX_DIRECT_LEN {
            return Err(Error::new(ErrorKind::InvalidInput, "over 4096 bytes; use `seal`"));
        }
        Ok(self.wrapped(self.kek.wrap(plaintext, &KeyUse::Direct.aad(context))?))
    }

    async fn decrypt(&self, sealed: &Wrapped, context: &EncryptionContext) -> Result<Plaintext> {
        self.check_key(sealed)?;
        let mut plaintext = self.kek.unwrap(&sealed.blob, &KeyUse::Direct.aad(context))?;
        Ok(Plaintext::new(std::mem::take(&mut *plaintext)))
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
impl DataKeys for Memory {
    async fn generate_data_key(&self, context: &EncryptionContext) -> Result<(DataKey, Wrapped)> {
        let key = DataKey::generate()?;
        let wrapped = self.wrap_data_key(&key, context).await?;
        Ok((key, wrapped))
    }

    async fn wrap_data_key(&self, key: &DataKey, context: &EncryptionContext) -> Result<Wrapped> {
        self.wraps.fetch_add(1, SeqCst);
        self.check_open()?;
        Ok(self.wrapped(self.kek.wrap_data_key(key, context)?))
    }

    async fn unwrap_data_key(
        &self,
        wrapped: &Wrapped,
        context: &EncryptionContext,
    ) -> Result<DataKey> {
        self.unwraps.fetch_add(1, SeqCst);
        self.check_key(wrapped)?;
        self.kek.unwrap_data_key(&wrapped.blob, context)
    }
}

#[async_trait]
impl Sign for Memory {
    async fn public_keys(&self) -> Result<Vec<PublicKey>> {
        self.check_open()?;
        Err(Error::new(ErrorKind::Unsupported, "no signing key is bound"))
    }

    async fn sign(&self, _: &PublicKey, _: &SigningInput<'_>) -> Result<Signature> {
        self.check_open()?;
        Err(Error::new(ErrorKind::Unsupported, "no signing key is bound"))
    }
}

#[async_trait]
impl CryptoProvider for Memory {
    fn label(&self) -> &str {
        self.name.id()
    }

    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    fn sealing_key(&self) -> Option<&KeyName> {
        Some(&self.name)
    }

    fn opens(&self, key: &KeyName) -> Option<UnwrapPolicy> {
        (*key == self.name).then_some(UnwrapPolicy::authenticated(WrapAlgorithm::Native))
    }

    fn is_sealing_key(&self, key: &KeyName) -> bool {
        *key == self.name
    }

    fn is_current(&self, wrapped: &Wrapped) -> bool {
        wrapped.key == self.name
    }

    fn availability(&self) -> Availability {
        Availability::Available
    }

    async fn describe_keys(&self) -> Vec<(KeyName, Result<KeyInfo>)> {
        let info = KeyInfo::new(self.name.clone(), KeyState::Active, "aes-256");
        vec![(self.name.clone(), self.check_open().map(|()| info))]
    }

    async fn health(&self) -> Result<Health> {
        self.check_open().map(|()| Health::new(Duration::ZERO))
    }

    async fn close(&self) -> Result<()> {
        self.closed.store(true, SeqCst);
        Ok(())
    }
}
