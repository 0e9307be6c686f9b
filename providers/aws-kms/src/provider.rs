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
    key::WrapAlgorithm,
    provider::{Availability, Capabilities, Health, KeyInfo, UnwrapPolicy},
};

use crate::{
    bound::{Bound, Keys},
    capabilities,
    client::Kms,
};

/// Keys in AWS KMS.
///
/// A data key, a payload or a signature takes one request; what looks at keys takes one or two for each
/// (see the [crate's](crate#limits-quotas-cost) documentation). It does not retry: put a
/// [`Resilient`](bulla::resilience::Resilient) around it for timeouts, retries and a circuit breaker.
pub struct AwsKms {
    pub(crate) label: Arc<str>,
    pub(crate) capabilities: Capabilities,
    pub(crate) keys: Keys,
    pub(crate) kms: Kms,
    closed: AtomicBool,
}

impl AwsKms {
    /// What keys of AWS KMS can do, all kinds taken together. What the keys of one provider can do
    /// is in its [`capabilities`](CryptoProvider::capabilities).
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

    async fn describe(&self, bound: &Bound) -> Result<KeyInfo> {
        let described = self.kms()?.describe(bound.arn.as_str()).await?;
        let mut info = KeyInfo::new(bound.name.clone(), described.state(), described.spec);
        info.aliases.clone_from(&bound.aliases);
        Ok(info)
    }

    async fn ask(&self) -> Result<Health> {
        let start = Instant::now();
        if let Some(bound) = self.keys.main() {
            self.kms()?.describe(bound.arn.as_str()).await?.check_usable()?;
        }
        Ok(Health::new(start.elapsed()))
    }
}

#[async_trait]
impl CryptoProvider for AwsKms {
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

    /// KMS rotates key material behind one ARN and doesn't tell in the ciphertext: a wrap by the
    /// sealing key, or by a replica of it, is current.
    fn is_sealing_key(&self, key: &KeyName) -> bool {
        self.keys.is_sealing_key(key)
    }

    fn is_current(&self, wrapped: &Wrapped) -> bool {
        wrapped.version.is_none() && self.is_sealing_key(&wrapped.key)
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
            let info = self.tell(Operation::DescribeKeys, self.describe(bound).await);
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

impl fmt::Debug for AwsKms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AwsKms")
            .field("label", &self.label)
            .field("keys", &self.keys)
            .finish_non_exhaustive()
    }
}
