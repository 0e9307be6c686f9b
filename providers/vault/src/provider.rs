//! The provider.

use std::{fmt, sync::Arc, time::Instant};

use async_trait::async_trait;
use bulla::{
    CryptoProvider, KeyName, KeyVersion, Operation, Result, Wrapped,
    key::WrapAlgorithm,
    provider::{Availability, Capabilities, Health, KeyInfo, UnwrapPolicy},
};

use crate::{
    bound::{Bound, Keys},
    capabilities, ciphertext,
    client::Transit,
};

/// Keys in the transit engine of HashiCorp Vault or OpenBao.
///
/// A data key, a payload or a signature takes one request. It keeps its token alive by a task, and so needs
/// a tokio runtime; dropping or closing it ends the task. It does not retry: put a
/// [`Resilient`](bulla::resilience::Resilient) around it for timeouts, retries and a circuit breaker.
pub struct Vault {
    pub(crate) label: Arc<str>,
    pub(crate) capabilities: Capabilities,
    pub(crate) keys: Keys,
    pub(crate) transit: Transit,
    /// Whether the server makes data keys.
    pub(crate) server_data_keys: bool,
}

impl Vault {
    /// What keys of transit can do, all kinds taken together. What the keys of one provider can do is in
    /// its [`capabilities`](CryptoProvider::capabilities).
    #[must_use]
    pub fn capabilities_of_all_keys() -> Capabilities {
        capabilities::of_all_keys()
    }

    /// The client, unless the provider was closed.
    pub(crate) fn transit(&self) -> Result<&Transit> {
        self.transit.check_open()?;
        Ok(&self.transit)
    }

    /// Names this provider and the operation in an error.
    pub(crate) fn tell<T>(&self, operation: Operation, result: Result<T>) -> Result<T> {
        result.map_err(|e| e.with_provider(Arc::clone(&self.label)).with_operation(operation))
    }

    async fn info(&self, bound: &Bound) -> Result<KeyInfo> {
        let described = self.transit()?.describe(&bound.places).await?;
        bound.told(&described);
        let state = described.state();
        let mut info = KeyInfo::new(bound.name.clone(), state, described.kind);
        info.version = Some(KeyVersion::parse(&described.latest.to_string())?);
        Ok(info)
    }

    /// Looks at a key, which takes a server that is not sealed and a token that is good.
    async fn ask(&self) -> Result<Health> {
        let start = Instant::now();
        if let Some(bound) = self.keys.main() {
            let described = self.transit()?.describe(&bound.places).await?;
            bound.told(&described);
            described.check_usable(&bound.places.key)?;
        }
        Ok(Health::new(start.elapsed()))
    }
}

#[async_trait]
impl CryptoProvider for Vault {
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
        self.sealing_key() == Some(key)
    }

    /// By the version that the ciphertext names, and the latest one that was seen: a rotation is noticed
    /// when the server wraps or unwraps by the new version, or is asked about the key.
    fn is_current(&self, wrapped: &Wrapped) -> bool {
        let sealing = self.keys.sealing_key().filter(|bound| bound.name == wrapped.key);
        let version = ciphertext::parse(&wrapped.blob).map(|(version, _)| version);
        wrapped.version.is_none()
            && sealing.is_some_and(|bound| version.is_some_and(|own| own >= bound.latest()))
    }

    fn availability(&self) -> Availability {
        match (self.transit.check_open(), self.transit.session().is_failing()) {
            (Err(_), _) => Availability::Unavailable,
            (Ok(()), true) => Availability::Degraded,
            (Ok(()), false) => Availability::Available,
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

    /// Ends the token too, if it was logged in for and no other provider of the same scheme has it.
    async fn close(&self) -> Result<()> {
        self.tell(Operation::Close, self.transit.close().await)
    }
}

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Vault")
            .field("label", &self.label)
            .field("keys", &self.keys)
            .field("session", self.transit.session())
            .finish_non_exhaustive()
    }
}
