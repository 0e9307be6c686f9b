//! Which schemes there are, and what stands around their providers.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex},
};

use arc_swap::ArcSwap;

use super::{Connect, Registry};
use crate::resilience::Policy;

/// Builds a [`Registry`].
pub struct RegistryBuilder {
    pub(super) schemes: BTreeMap<&'static str, Arc<dyn Connect>>,
    pub(super) policy: Policy,
}

impl RegistryBuilder {
    /// Says how to connect to keys of a scheme. The last one given for a scheme counts.
    #[must_use]
    pub fn scheme(mut self, scheme: &'static str, connect: Arc<dyn Connect>) -> Self {
        self.schemes.insert(scheme, connect);
        self
    }

    /// Timeouts, retries and breaker of the providers that [`Registry::connect`] connects to:
    /// `Policy::default()` unless set.
    #[must_use]
    pub fn policy(mut self, policy: Policy) -> Self {
        self.policy = policy;
        self
    }

    /// A registry without providers.
    #[must_use]
    pub fn build(self) -> Registry {
        let Self { schemes, policy } = self;
        Registry { schemes, policy, current: ArcSwap::default(), changing: Mutex::default() }
    }
}

impl fmt::Debug for RegistryBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RegistryBuilder").field("schemes", &self.schemes.keys()).finish()
    }
}
