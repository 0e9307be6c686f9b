//! The provider.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    time::Instant,
};

use async_trait::async_trait;
use bulla::{
    CryptoProvider, Error, ErrorKind, KeyName, Operation, Result, Wrapped,
    key::KeyState,
    provider::{Availability, Bindings, Capabilities, Health, KeyInfo, UnwrapPolicy},
};

use crate::{bound::Bound, capabilities, client::KeyVault, metadata::Wrapping};

/// Keys in a vault of Azure Key Vault, or in a Managed HSM.
///
/// A data key or a signature takes one request. It does not retry: put a
/// [`Resilient`](bulla::resilience::Resilient) around it for timeouts, retries and a circuit breaker.
/// Calls need a tokio runtime.
pub struct AzureKeyVault {
    pub(crate) label: Arc<str>,
    pub(crate) capabilities: Capabilities,
    pub(crate) keys: Bindings<Bound>,
    pub(crate) accepts_public_key_wraps: bool,
    vault: KeyVault,
    closed: AtomicBool,
}

impl AzureKeyVault {
    /// What keys of every vault can do, all kinds taken together. What the keys of one provider can do is
    /// in its [`capabilities`](CryptoProvider::capabilities).
    #[must_use]
    pub fn capabilities_of_all_keys() -> Capabilities {
        capabilities::of_all_keys()
    }

    pub(crate) fn new(
        label: Arc<str>,
        capabilities: Capabilities,
        keys: Bindings<Bound>,
        accepts_public_key_wraps: bool,
        vault: KeyVault,
    ) -> Self {
        let closed = AtomicBool::new(false);
        Self { label, capabilities, keys, accepts_public_key_wraps, vault, closed }
    }

    /// The client, unless the provider was closed.
    pub(crate) fn vault(&self) -> Result<&KeyVault> {
        if self.closed.load(SeqCst) {
            let message = "the provider was closed; build another one";
            return Err(Error::new(ErrorKind::Closed, message));
        }
        Ok(&self.vault)
    }

    /// Names this provider and the operation in an error.
    pub(crate) fn tell<T>(&self, operation: Operation, result: Result<T>) -> Result<T> {
        result.map_err(|e| e.with_provider(Arc::clone(&self.label)).with_operation(operation))
    }

    /// The version that is used, and its state.
    async fn info(&self, bound: &Bound) -> Result<KeyInfo> {
        let described = self.vault()?.describe(&bound.id, bound.id.pinned.as_ref()).await?;
        bound.saw(&described.version);
        let mut info = KeyInfo::new(bound.name.clone(), described.state(), bound.kind());
        info.version = Some(described.version);
        Ok(info)
    }

    async fn ask(&self) -> Result<Health> {
        let start = Instant::now();
        if let Some(bound) = self.keys.main() {
            let described = self.vault()?.describe(&bound.id, bound.id.pinned.as_ref()).await?;
            bound.saw(&described.version);
            let opens_only = self.keys.sealing_key().or(self.keys.signing_key()).is_none();
            described.check_usable(bound.name.id(), opens_only)?;
        }
        Ok(Health::new(start.elapsed()))
    }
}

#[async_trait]
impl CryptoProvider for AzureKeyVault {
    fn label(&self) -> &str {
        &self.label
    }

    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    fn sealing_key(&self) -> Option<&KeyName> {
        self.keys.sealing_key().map(|bound| &bound.name)
    }

    fn opens(&self, key: &KeyName) -> Option<UnwrapPolicy> {
        // A closed provider still claims its keys, so that the call that follows says `Closed`.
        let wrapping = self.keys.opening(key)?.wrapping()?;
        let algorithm = wrapping.algorithm();
        Some(match wrapping {
            Wrapping::Oaep(_) => UnwrapPolicy::public_key(algorithm, self.accepts_public_key_wraps),
            Wrapping::KeyWrap => UnwrapPolicy::authenticated(algorithm),
        })
    }

    fn is_sealing_key(&self, key: &KeyName) -> bool {
        self.keys.is_sealing_key(key)
    }

    /// By the version that the record names, and the latest one that was seen: a rotation is noticed when
    /// data is sealed, or the service is asked about the key.
    fn is_current(&self, wrapped: &Wrapped) -> bool {
        let sealing = self.keys.sealing_key().filter(|bound| bound.name == wrapped.key);
        let version = wrapped.version.as_ref();
        sealing.is_some_and(|bound| version.is_some_and(|version| bound.is_current(version)))
    }

    fn availability(&self) -> Availability {
        match self.vault() {
            Ok(_) => Availability::Available,
            Err(_) => Availability::Unavailable,
        }
    }

    async fn describe_keys(&self) -> Vec<(KeyName, Result<KeyInfo>)> {
        let mut described = Vec::new();
        for bound in self.keys.iter() {
            let info = match self.info(bound).await {
                Err(error) if error.kind() == ErrorKind::PendingDeletion => {
                    let state = KeyState::PendingDeletion;
                    Ok(KeyInfo::new(bound.name.clone(), state, bound.kind()))
                }
                info => info,
            };
            described.push((bound.name.clone(), self.tell(Operation::DescribeKeys, info)));
        }
        described
    }

    async fn health(&self) -> Result<Health> {
        self.tell(Operation::Health, self.ask().await)
    }

    /// Nothing is to be ended on the other side: a token expires by itself.
    async fn close(&self) -> Result<()> {
        self.closed.store(true, SeqCst);
        Ok(())
    }
}

impl fmt::Debug for AzureKeyVault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AzureKeyVault")
            .field("label", &self.label)
            .field("keys", &self.keys)
            .finish_non_exhaustive()
    }
}
