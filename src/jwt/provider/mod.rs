//! The signing keys of a provider, kept for a while.

mod builder;
mod cache;
mod snapshot;

use std::{fmt, ops::Deref, sync::Arc, time::Duration};

use async_trait::async_trait;
use metrics::Counter;

pub use builder::ProviderKeysBuilder;
pub(super) use snapshot::Current;

use self::{
    cache::{Cache, Wanted},
    snapshot::Snapshot,
};
use super::{Ed25519Name, JwkSet, KeySource};
use crate::{crypto::SigningAlgorithm, error::Result, provider::Sign, signing::PublicKey};

/// Versions are rotated in days and disabled in an emergency, for which there is `invalidate`.
const DEFAULT_TTL: Duration = Duration::from_secs(3600);

/// After an unknown `kid` made it ask the provider, how long it does not do so again.
const DEFAULT_COOLDOWN: Duration = Duration::from_secs(30);

/// The public keys of a provider, fetched once and kept: for signers, for verifiers, and to publish.
///
/// `P` is anything that owns a [`Sign`]: `Arc<dyn CryptoProvider>`, `Arc<Local>`, `Box<dyn Sign>`.
/// What is kept belongs to this value and to no other, whatever the keys are called.
///
/// Calls that come while the keys are being fetched wait for that one answer. Fetches are tasks, so it
/// needs tokio, and a caller who gives up neither ends a fetch nor makes the next caller pay for
/// another. Keys older than the time to live are never used, so a provider that is down stops
/// verification when that has passed, and not before.
pub struct ProviderKeys<P> {
    provider: Arc<P>,
    options: Arc<Options>,
    cache: Arc<Cache>,
    hits: Counter,
    misses: Counter,
}

/// Names a version of a key, for tokens and sets.
type Naming = Arc<dyn Fn(&PublicKey) -> String + Send + Sync>;

struct Options {
    ttl: Duration,
    cooldown: Duration,
    algorithm: Option<SigningAlgorithm>,
    ed25519: Ed25519Name,
    naming: Option<Naming>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            ttl: DEFAULT_TTL,
            cooldown: DEFAULT_COOLDOWN,
            algorithm: None,
            ed25519: Ed25519Name::default(),
            naming: None,
        }
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("ttl", &self.ttl)
            .field("cooldown", &self.cooldown)
            .field("algorithm", &self.algorithm)
            .field("ed25519", &self.ed25519)
            .finish_non_exhaustive()
    }
}

impl<P> ProviderKeys<P>
where
    P: Deref + Send + Sync + 'static,
    P::Target: Sign,
{
    /// The keys of `provider`, kept for an hour, each named by its thumbprint (RFC 7638).
    pub fn new(provider: P) -> Self {
        Self::builder(provider).build()
    }

    /// The keys of `provider`, to say of how they are kept and named.
    pub fn builder(provider: P) -> ProviderKeysBuilder<P> {
        ProviderKeysBuilder::new(provider)
    }

    fn with_options(provider: P, options: Options) -> Self {
        let counter = |result| metrics::counter!("bulla_key_cache_total", "result" => result);
        Self {
            provider: Arc::new(provider),
            options: Arc::new(options),
            cache: Arc::default(),
            hits: counter("hit"),
            misses: counter("miss"),
        }
    }

    /// Forgets the keys: the next call fetches them. An answer that is under way is not kept.
    pub fn invalidate(&self) {
        self.cache.invalidate();
    }

    /// Every version that may verify, for publishing as a JWK set.
    ///
    /// Active and deprecated versions are in it; disabled, destroyed and dying ones are not.
    ///
    /// # Errors
    /// What the provider said; [`InvalidInput`](crate::ErrorKind::InvalidInput) if two versions
    /// have the same name.
    pub async fn jwk_set(&self) -> Result<Arc<JwkSet>> {
        Ok(Arc::clone(&self.snapshot(Wanted::Any).await?.set))
    }

    /// The version to sign with.
    pub(super) async fn current(&self) -> Result<Current> {
        self.snapshot(Wanted::Current).await?.current.clone()
    }

    /// Forgets the keys, if `current` is still the version to sign with.
    pub(super) fn forget(&self, current: &Current) {
        self.cache.invalidate_if(|kept| {
            kept.current.as_ref().is_ok_and(|kept| Arc::ptr_eq(&kept.key, &current.key))
        });
    }

    pub(super) fn provider(&self) -> &P::Target {
        &self.provider
    }

    async fn snapshot(&self, wanted: Wanted<'_>) -> Result<Arc<Snapshot>> {
        if let Some(known) = self.cache.known(self.options.ttl, wanted) {
            self.hits.increment(1);
            return Ok(known);
        }
        self.misses.increment(1);
        let fetch = || {
            let (provider, options) = (Arc::clone(&self.provider), Arc::clone(&self.options));
            async move { Snapshot::new(&provider.public_keys().await?, &options) }
        };
        self.cache.fetch(&self.options, wanted, fetch).await
    }
}

/// The version that a provider signs with, asked for and not kept.
pub(super) async fn current(provider: &(impl Sign + ?Sized)) -> Result<Current> {
    Snapshot::new(&provider.public_keys().await?, &Options::default())?.current
}

#[async_trait]
impl<P> KeySource for ProviderKeys<P>
where
    P: Deref + Send + Sync + 'static,
    P::Target: Sign,
{
    async fn keys(&self, kid: Option<&str>) -> Result<Arc<JwkSet>> {
        let wanted = kid.map_or(Wanted::Any, Wanted::Kid);
        Ok(Arc::clone(&self.snapshot(wanted).await?.set))
    }
}

impl<P> fmt::Debug for ProviderKeys<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProviderKeys").field("options", &self.options).finish_non_exhaustive()
    }
}
