//! How a provider's keys are kept and named.

use std::{fmt, ops::Deref, sync::Arc, time::Duration};

use super::{Options, ProviderKeys};
use crate::{crypto::SigningAlgorithm, jwt::Ed25519Name, provider::Sign, signing::PublicKey};

/// Says how [`ProviderKeys`] are kept and named.
#[must_use]
pub struct ProviderKeysBuilder<P> {
    provider: P,
    options: Options,
}

impl<P> ProviderKeysBuilder<P>
where
    P: Deref + Send + Sync + 'static,
    P::Target: Sign,
{
    pub(super) fn new(provider: P) -> Self {
        Self { provider, options: Options::default() }
    }

    /// Signs and verifies with this algorithm, where a key has several: RSA keys have six, and one
    /// key should have one use (RFC 8725, section 3.1).
    pub fn algorithm(mut self, algorithm: SigningAlgorithm) -> Self {
        self.options.algorithm = Some(algorithm);
        self
    }

    /// Calls Ed25519 this, in the tokens that are signed with these keys and in the set that is
    /// published: `EdDSA` by default.
    pub fn ed25519_name(mut self, name: Ed25519Name) -> Self {
        self.options.ed25519 = name;
        self
    }

    /// Names versions like this instead of by thumbprint. No two may get the same name.
    pub fn kid(mut self, name: impl Fn(&PublicKey) -> String + Send + Sync + 'static) -> Self {
        self.options.naming = Some(Arc::new(name));
        self
    }

    /// Keeps keys for so long: an hour by default. A version that was disabled goes on verifying
    /// here until then, unless [`invalidate`](ProviderKeys::invalidate) is called.
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.options.ttl = ttl;
        self
    }

    /// Asks for keys that are not known at most once in this time: 30 seconds by default.
    pub fn cooldown(mut self, cooldown: Duration) -> Self {
        self.options.cooldown = cooldown;
        self
    }

    /// The keys. They are fetched when they are first needed.
    #[must_use]
    pub fn build(self) -> ProviderKeys<P> {
        ProviderKeys::with_options(self.provider, self.options)
    }
}

impl<P> fmt::Debug for ProviderKeysBuilder<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProviderKeysBuilder")
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}
