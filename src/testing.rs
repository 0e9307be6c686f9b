//! A provider for this crate's own tests: one key in memory, and a count of every call.

#![allow(clippy::unwrap_used, reason = "for tests only")]

use std::sync::{
    Mutex,
    atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
};

use async_trait::async_trait;

use crate::key::KeyState;
use crate::{
    context::EncryptionContext,
    error::{Error, ErrorKind, Result},
    key::{DataKey, KeyName, Plaintext, WrapAlgorithm, Wrapped},
    provider::{KeyUse, SoftwareKek, *},
    signing::{PublicKey, Signature, SigningInput},
};

#[derive(Debug)]
pub(crate) struct Fake {
    pub(crate) name: KeyName,
    /// Other names of the same key.
    pub(crate) replicas: Vec<KeyName>,
    pub(crate) kek: SoftwareKek,
    pub(crate) capabilities: Capabilities,
    pub(crate) policy: UnwrapPolicy,
    pub(crate) availability: Availability,
    /// What the next calls fail with, if set.
    pub(crate) fails: Mutex<Option<ErrorKind>>,
    /// Whether `wrap_data_key` wraps another key than it was given.
    pub(crate) swaps: AtomicBool,
    /// How long it takes to generate or unwrap.
    pub(crate) takes: Mutex<std::time::Duration>,
    pub(crate) closed: AtomicUsize,
    pub(crate) generated: AtomicUsize,
    pub(crate) wrapped: AtomicUsize,
    pub(crate) unwrapped: AtomicUsize,
}

impl Fake {
    pub(crate) fn new(id: &str) -> Self {
        let mut capabilities = Capabilities::none();
        capabilities.data_keys = ContextBinding::Bound;
        capabilities.direct = ContextBinding::Bound;
        capabilities.max_direct_len = 4096;
        capabilities.max_wrapped_len = 104;
        capabilities.wrap_authenticates = true;
        let seed = id.bytes().next().unwrap_or(0);
        Self {
            name: KeyName::new("fake", id).unwrap(),
            replicas: Vec::new(),
            kek: SoftwareKek::from_bytes(&[seed; 32]),
            capabilities,
            policy: UnwrapPolicy::authenticated(WrapAlgorithm::Native),
            availability: Availability::Available,
            fails: Mutex::new(None),
            swaps: AtomicBool::new(false),
            takes: Mutex::default(),
            closed: AtomicUsize::new(0),
            generated: AtomicUsize::new(0),
            wrapped: AtomicUsize::new(0),
            unwrapped: AtomicUsize::new(0),
        }
    }

    pub(crate) fn local_only(mut self) -> Self {
        self.capabilities.data_keys = ContextBinding::LocalOnly;
        self
    }

    /// Lets the key go by another name too.
    pub(crate) fn replica(mut self, id: &str) -> Self {
        self.replicas.push(KeyName::new("fake", id).unwrap());
        self
    }

    pub(crate) fn fail(&self, kind: ErrorKind) {
        *self.fails.lock().unwrap() = Some(kind);
    }

    pub(crate) fn swap_on_wrap(&self) {
        self.swaps.store(true, Relaxed);
    }

    pub(crate) fn calls(&self) -> (usize, usize, usize) {
        (self.generated.load(Relaxed), self.wrapped.load(Relaxed), self.unwrapped.load(Relaxed))
    }

    async fn take_time(&self) {
        let takes = *self.takes.lock().unwrap();
        if !takes.is_zero() {
            tokio::time::sleep(takes).await;
        }
    }

    pub(crate) fn recover(&self) {
        *self.fails.lock().unwrap() = None;
    }

    fn check(&self) -> Result<()> {
        match *self.fails.lock().unwrap() {
            Some(kind) => {
                let error = Error::new(kind, "as the test asked");
                Err(error.with_request_id(format!("request to {}", self.name.id())))
            }
            None => Ok(()),
        }
    }

    fn wrap(&self, blob: Vec<u8>) -> Wrapped {
        Wrapped { key: self.name.clone(), version: None, algorithm: self.policy.algorithm, blob }
    }
}

#[async_trait]
impl Encrypt for Fake {
    async fn encrypt(&self, plaintext: &[u8], context: &EncryptionContext) -> Result<Wrapped> {
        self.check()?;
        Ok(self.wrap(self.kek.wrap(plaintext, &KeyUse::Direct.aad(context))?))
    }

    async fn decrypt(&self, sealed: &Wrapped, context: &EncryptionContext) -> Result<Plaintext> {
        self.check()?;
        let plain = self.kek.unwrap(&sealed.blob, &KeyUse::Direct.aad(context))?;
        Ok(Plaintext::new(plain.to_vec()))
    }

    async fn reencrypt(
        &self,
        sealed: &Wrapped,
        from: &EncryptionContext,
        to: &EncryptionContext,
    ) -> Result<Wrapped> {
        decrypt_and_encrypt(self, sealed, from, to).await
    }
}

#[async_trait]
impl DataKeys for Fake {
    async fn generate_data_key(&self, context: &EncryptionContext) -> Result<(DataKey, Wrapped)> {
        self.generated.fetch_add(1, Relaxed);
        self.take_time().await;
        self.check()?;
        let key = DataKey::generate()?;
        let blob = self.kek.wrap_data_key(&key, context)?;
        Ok((key, self.wrap(blob)))
    }

    async fn wrap_data_key(&self, key: &DataKey, context: &EncryptionContext) -> Result<Wrapped> {
        self.wrapped.fetch_add(1, Relaxed);
        self.check()?;
        let other = DataKey::generate()?;
        let key = if self.swaps.load(Relaxed) { &other } else { key };
        Ok(self.wrap(self.kek.wrap_data_key(key, context)?))
    }

    async fn unwrap_data_key(
        &self,
        wrapped: &Wrapped,
        context: &EncryptionContext,
    ) -> Result<DataKey> {
        self.unwrapped.fetch_add(1, Relaxed);
        self.take_time().await;
        self.check()?;
        self.kek.unwrap_data_key(&wrapped.blob, context)
    }
}

#[async_trait]
impl Sign for Fake {
    async fn public_keys(&self) -> Result<Vec<PublicKey>> {
        Err(Error::new(ErrorKind::Unsupported, "no signing key"))
    }

    async fn sign(&self, _: &PublicKey, _: &SigningInput<'_>) -> Result<Signature> {
        Err(Error::new(ErrorKind::Unsupported, "no signing key"))
    }
}

#[async_trait]
impl CryptoProvider for Fake {
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
        (*key == self.name || self.replicas.contains(key)).then_some(self.policy)
    }

    fn is_sealing_key(&self, key: &KeyName) -> bool {
        *key == self.name || self.replicas.contains(key)
    }

    fn is_current(&self, wrapped: &Wrapped) -> bool {
        self.opens(&wrapped.key).is_some()
    }

    fn availability(&self) -> Availability {
        self.availability
    }

    async fn describe_keys(&self) -> Vec<(KeyName, Result<KeyInfo>)> {
        let info = KeyInfo::new(self.name.clone(), KeyState::Active, "fake");
        vec![(self.name.clone(), Ok(info))]
    }

    async fn health(&self) -> Result<Health> {
        self.check().map(|()| Health::new(std::time::Duration::ZERO))
    }

    async fn close(&self) -> Result<()> {
        self.closed.fetch_add(1, Relaxed);
        self.check()
    }
}
