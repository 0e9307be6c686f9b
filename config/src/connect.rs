//! From keys to providers in a registry.

use bulla::{Error, Registry, Result, SharedProvider, registry::RegistryBuilder};
use futures_util::{StreamExt as _, stream};

use crate::config::{Config, Key};

/// How many keys are connected to at the same time: a configuration may name a thousand, and their cloud
/// would take that for an attack.
const AT_ONCE: usize = 16;

/// A registry with the keys that could be connected to.
#[derive(Debug)]
#[non_exhaustive]
#[must_use = "keys may be missing"]
pub struct Connected {
    /// The providers, under the names of their keys.
    pub registry: Registry,
    /// The keys that it lacks, by name, and why.
    pub failed: Vec<(String, Error)>,
}

impl Config {
    /// Connects to all keys at once, each behind its own policy, and takes what it gets: a service starts
    /// while one of its clouds is down. If the default is a key and not a group, it is the registry's
    /// default as well.
    ///
    /// It connects now and not when a key is first used, so that a key that is disabled, or a permission
    /// that is missing, is found when the service is rolled out and not at the first customer's call.
    /// Whether it then goes on is the caller's to decide, who knows what each key is for: log what failed,
    /// and call [`connect_missing`](Self::connect_missing) from time to time. A service that needs all of
    /// them calls [`connect_all`](Self::connect_all).
    pub async fn connect(&self, schemes: RegistryBuilder) -> Connected {
        let registry = schemes.build();
        let failed = self.connect_missing(&registry).await;
        Connected { registry, failed }
    }

    /// Connects to all keys, or to none.
    ///
    /// # Errors
    /// What the one that failed says; if several did, one that waiting does not mend is first.
    pub async fn connect_all(&self, schemes: RegistryBuilder) -> Result<Registry> {
        let Connected { registry, failed } = self.connect(schemes).await;
        let Some((_, worst)) = failed.iter().min_by_key(|(_, error)| error.is_retryable()) else {
            return Ok(registry);
        };
        // Nobody will use them, and what closing says is of no interest then.
        let _ = registry.close_all().await;
        if failed.len() == 1 {
            return Err(worst.clone());
        }
        let others =
            failed.iter().map(|(_, error)| error).filter(|error| !std::ptr::eq(*error, worst));
        let all: Vec<_> = [worst].into_iter().chain(others).map(Error::to_string).collect();
        Err(Error::new(worst.kind(), all.join("; ")))
    }

    /// Connects to those keys that the registry has no provider for, and says which it lacks still. What
    /// is there stays as it is.
    pub async fn connect_missing(&self, registry: &Registry) -> Vec<(String, Error)> {
        let missing = self.keys().filter(|key| registry.get(&key.name).is_err());
        let missing: Vec<Key> = missing.cloned().collect();
        let connected = connect_each(registry, &missing).await;
        if registry.default_name().is_none()
            && let Some(name) = self.default_name()
        {
            // It may be a group, or not be there yet.
            let _ = registry.set_default(name);
        }
        let failed = missing.into_iter().zip(connected);
        let failed = failed.filter_map(|(key, result)| Some((key.name, result.err()?)));
        // Another caller may have been faster.
        failed.filter(|(name, _)| registry.get(name).is_err()).collect()
    }
}

/// Connects to these keys at once, each behind its own policy, and adds their providers to the registry.
/// One result for each, in their order; errors name the key.
pub async fn connect_each(registry: &Registry, keys: &[Key]) -> Vec<Result<SharedProvider>> {
    let connect = |key: Key| async move {
        let connected = key.connect(registry).await;
        connected.map_err(|error| match error.provider() {
            Some(_) => error,
            None => error.with_provider(key.name),
        })
    };
    stream::iter(keys.iter().cloned()).map(connect).buffered(AT_ONCE).collect().await
}
