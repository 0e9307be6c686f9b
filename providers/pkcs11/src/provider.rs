//! The provider.

use std::{fmt, sync::Arc, time::Instant};

use async_trait::async_trait;
use bulla::{
    CryptoProvider, KeyName, Operation, Result, Wrapped,
    key::{KeyState, WrapAlgorithm},
    provider::{Availability, Capabilities, Health, KeyInfo, UnwrapPolicy},
};

use crate::{
    bound::{Bound, Keys},
    capabilities,
    object::{Purpose, Wrapping},
    token::Token,
};

/// Keys on a PKCS #11 token.
///
/// Calls are made on threads that may block, and need a tokio runtime. A session or a login that is lost
/// is opened anew within the call; beyond that it does not retry: put a
/// [`Resilient`](bulla::resilience::Resilient) around it.
pub struct Pkcs11 {
    pub(crate) label: Arc<str>,
    pub(crate) capabilities: Capabilities,
    pub(crate) keys: Keys,
    pub(crate) token: Arc<Token>,
    pub(crate) accepts_public_key_wraps: bool,
}

impl Pkcs11 {
    /// What keys on a token can do, all kinds taken together, where the token has the mechanisms. What
    /// the keys of one provider can do is in its [`capabilities`](CryptoProvider::capabilities).
    #[must_use]
    pub fn capabilities_of_all_keys() -> Capabilities {
        capabilities::of_all_keys()
    }

    /// Names this provider and the operation in an error.
    pub(crate) fn tell<T>(&self, operation: Operation, result: Result<T>) -> Result<T> {
        result.map_err(|e| e.with_provider(Arc::clone(&self.label)).with_operation(operation))
    }

    async fn look(&self, bound: &Bound) -> Result<()> {
        let key = bound.object.clone();
        self.token.run(move |work| work.look(&key)).await
    }

    async fn ask(&self) -> Result<Health> {
        let start = Instant::now();
        if let Some(bound) = self.keys.main() {
            self.look(bound).await?;
        }
        Ok(Health::new(start.elapsed()))
    }

    async fn info(&self, bound: &Bound) -> Result<KeyInfo> {
        self.look(bound).await?;
        let mut info = KeyInfo::new(bound.name.clone(), KeyState::Active, bound.kind());
        info.aliases.extend(Some(bound.label.clone()).filter(|label| !label.is_empty()));
        Ok(info)
    }
}

#[async_trait]
impl CryptoProvider for Pkcs11 {
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
        match self.keys.find(key)?.purpose {
            Purpose::Seal { wrapping: wrapping @ Wrapping::Oaep { .. }, .. } => {
                Some(UnwrapPolicy::public_key(wrapping.into(), self.accepts_public_key_wraps))
            }
            Purpose::Seal { wrapping, .. } => Some(UnwrapPolicy::authenticated(wrapping.into())),
            Purpose::Sign { .. } => None,
        }
    }

    fn is_sealing_key(&self, key: &KeyName) -> bool {
        self.sealing_key() == Some(key)
    }

    fn is_current(&self, wrapped: &Wrapped) -> bool {
        wrapped.version.is_none() && self.is_sealing_key(&wrapped.key)
    }

    fn availability(&self) -> Availability {
        match self.token.is_closed() {
            true => Availability::Unavailable,
            false => Availability::Available,
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
        let token = Arc::clone(&self.token);
        // It waits for calls that are under way.
        drop(tokio::task::spawn_blocking(move || token.close()).await);
        Ok(())
    }
}

impl From<Wrapping> for WrapAlgorithm {
    fn from(wrapping: Wrapping) -> Self {
        match wrapping {
            Wrapping::Gcm => Self::Native,
            Wrapping::KeyWrap => Self::AesKw,
            Wrapping::Oaep { .. } => Self::RsaOaep256,
        }
    }
}

impl fmt::Debug for Pkcs11 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pkcs11")
            .field("label", &self.label)
            .field("keys", &self.keys)
            .finish_non_exhaustive()
    }
}
