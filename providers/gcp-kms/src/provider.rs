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
    CryptoProvider, Error, ErrorKind, KeyName, KeyVersion, Operation, Result, Wrapped,
    key::{KeyState, WrapAlgorithm},
    provider::{Availability, BoundKey as _, Capabilities, Health, KeyInfo, UnwrapPolicy},
};

use crate::{
    bound::{Bound, Keys},
    capabilities,
    client::Kms,
    metadata::{Described, Use, current},
    resource::version_of,
};

/// Keys in Google Cloud KMS.
///
/// A data key, a payload or a signature takes one request. The SDK renews its token by a task, so it needs the
/// tokio runtime on which it was built. It does not retry: put a
/// [`Resilient`](bulla::resilience::Resilient) around it for timeouts, retries and a circuit breaker.
pub struct GcpKms {
    pub(crate) label: Arc<str>,
    pub(crate) capabilities: Capabilities,
    pub(crate) keys: Keys,
    kms: Kms,
    closed: AtomicBool,
}

impl GcpKms {
    /// What keys of Cloud KMS can do, all kinds taken together. What the keys of one provider can do is in its
    /// [`capabilities`](CryptoProvider::capabilities).
    #[must_use]
    pub fn capabilities_of_all_keys() -> Capabilities {
        capabilities::of_all_keys()
    }

    pub(crate) fn new(label: Arc<str>, capabilities: Capabilities, keys: Keys, kms: Kms) -> Self {
        Self { label, capabilities, keys, kms, closed: AtomicBool::new(false) }
    }

    /// The client, unless the provider was closed.
    pub(crate) fn kms(&self) -> Result<&Kms> {
        if self.closed.load(SeqCst) {
            let message = "the provider was closed; build another one";
            return Err(Error::new(ErrorKind::Closed, message));
        }
        Ok(&self.kms)
    }

    /// Names this provider and the operation in an error.
    pub(crate) fn tell<T>(&self, operation: Operation, result: Result<T>) -> Result<T> {
        result.map_err(|e| e.with_provider(Arc::clone(&self.label)).with_operation(operation))
    }

    /// The version that a key seals or signs with, in whatever state.
    async fn look_at(&self, bound: &Bound) -> Result<Option<Described>> {
        let kms = self.kms()?;
        match (bound.used_to, bound.pinned) {
            (Use::Seal, None) => {
                let described = kms.key(&bound.key).await?;
                let primary = described.primary;
                bound.saw(primary.as_ref().map(|primary| primary.number));
                Ok(primary)
            }
            (Use::Seal, Some(version)) => kms.version(&bound.key, version).await.map(Some),
            (Use::Sign, pinned) => {
                let versions = kms.versions(&bound.key).await?;
                let algorithm = bound.signing.map(|signing| signing.algorithm);
                let found = current(&versions, pinned, algorithm);
                Ok(found.or(versions.last().filter(|_| pinned.is_none())).cloned())
            }
        }
    }

    async fn info(&self, bound: &Bound) -> Result<KeyInfo> {
        let found = self.look_at(bound).await?;
        let (state, kind) = match &found {
            Some(version) => (version.state(), version.algorithm.clone()),
            None => (KeyState::Disabled, "without a version".to_owned()),
        };
        let mut info = KeyInfo::new(bound.name.clone(), state, kind);
        if let Some(version) = found {
            info.version = Some(KeyVersion::parse(&version.number.to_string())?);
        }
        Ok(info)
    }

    async fn ask(&self) -> Result<Health> {
        let start = Instant::now();
        self.kms()?;
        if let Some(bound) = self.keys.main() {
            let found = self.look_at(bound).await?.ok_or_else(|| {
                let message = format!("key {} has no version that is in use", bound.key);
                Error::new(ErrorKind::Disabled, message)
            })?;
            found.check_usable(&bound.key)?;
        }
        Ok(Health::new(start.elapsed()))
    }
}

#[async_trait]
impl CryptoProvider for GcpKms {
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
        let bound = self.keys.opening(key);
        bound.map(|_| UnwrapPolicy::authenticated(WrapAlgorithm::Native))
    }

    fn is_sealing_key(&self, key: &KeyName) -> bool {
        self.keys.is_sealing_key(key)
    }

    /// By the version in the record, and the one that KMS was last seen to seal with: a rotation is noticed when
    /// something is sealed by the new version, opened by an older one, or the key is looked at.
    fn is_current(&self, wrapped: &Wrapped) -> bool {
        let sealing = self.keys.sealing_key().filter(|bound| bound.answers_to(&wrapped.key));
        let version = wrapped.version.as_ref().and_then(|version| version_of(version.as_str()));
        sealing.is_some_and(|bound| version.is_some() && version == bound.primary())
    }

    fn availability(&self) -> Availability {
        match self.kms() {
            Ok(_) => Availability::Available,
            Err(_) => Availability::Unavailable,
        }
    }

    async fn describe_keys(&self) -> Vec<(KeyName, Result<KeyInfo>)> {
        let mut described = Vec::new();
        for bound in self.keys.iter() {
            let info = self.tell(Operation::DescribeKeys, self.info(bound).await);
            described.push((bound.name.clone(), info));
        }
        described
    }

    async fn health(&self) -> Result<Health> {
        self.tell(Operation::Health, self.ask().await)
    }

    async fn close(&self) -> Result<()> {
        self.closed.store(true, SeqCst);
        Ok(())
    }
}

impl fmt::Debug for GcpKms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GcpKms")
            .field("label", &self.label)
            .field("keys", &self.keys)
            .finish_non_exhaustive()
    }
}
