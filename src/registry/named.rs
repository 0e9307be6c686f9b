//! Providers by name.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use arc_swap::ArcSwap;
use futures_util::future::join_all;

use super::{Connect, RegistryBuilder};
use crate::{
    error::{Error, ErrorKind, Result},
    key::{KeyName, KeyUri},
    provider::{CryptoProvider, Health},
    resilience::{Policy, Resilient},
};

/// A provider that many share.
pub type SharedProvider = Arc<dyn CryptoProvider>;

/// Named providers, one of which may be the default. One registry serves values, streams and
/// tokens.
///
/// All methods take `&self` and may be called from many threads. What was taken out of the registry
/// stays as it is: calls under way end on the provider that they began with, also when another one
/// takes its name.
///
/// ```
/// use std::sync::Arc;
/// use bulla::{CryptoProvider, Registry, provider::Disabled};
///
/// let registry = Registry::builder().build();
/// registry.register("primary", Arc::new(Disabled))?;
/// assert_eq!(registry.get("primary")?.label(), "disabled");
/// assert!(registry.default_provider().is_err()); // nobody has named one
/// # Ok::<(), bulla::Error>(())
/// ```
pub struct Registry {
    pub(super) schemes: BTreeMap<&'static str, Arc<dyn Connect>>,
    pub(super) policy: Policy,
    pub(super) current: ArcSwap<Named>,
    /// Held while `current` is changed, so that no change gets lost. Readers don't need it.
    pub(super) changing: Mutex<()>,
}

#[derive(Clone, Default)]
pub(super) struct Named {
    providers: BTreeMap<Arc<str>, SharedProvider>,
    default: Option<Arc<str>>,
}

impl Registry {
    /// A registry to give schemes to.
    #[must_use]
    pub fn builder() -> RegistryBuilder {
        RegistryBuilder { schemes: BTreeMap::new(), policy: Policy::default() }
    }

    /// Adds a provider under a new name, as it is: wrap it in a [`Resilient`] first.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] for an empty name; [`ErrorKind::AlreadyExists`] for one that is
    /// taken: see [`replace`](Self::replace).
    pub fn register(&self, name: &str, provider: SharedProvider) -> Result<()> {
        check_name(name)?;
        self.change(|named| {
            if named.providers.contains_key(name) {
                return Err(Error::new(
                    ErrorKind::AlreadyExists,
                    format!("there is a provider named {name:?} already"),
                ));
            }
            named.providers.insert(Arc::from(name), provider);
            Ok(())
        })
    }

    /// Puts a provider in the place of another and hands that one back. Calls under way end on it;
    /// close it when they have.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] if there is none of that name.
    pub fn replace(&self, name: &str, provider: SharedProvider) -> Result<SharedProvider> {
        self.change(|named| {
            let place = named.providers.get_mut(name).ok_or_else(|| not_found(name))?;
            Ok(std::mem::replace(place, provider))
        })
    }

    /// Takes a provider out. If it was the default, there is none from then on.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] if there is none of that name.
    pub fn remove(&self, name: &str) -> Result<SharedProvider> {
        self.change(|named| {
            let taken = named.providers.remove(name).ok_or_else(|| not_found(name))?;
            named.default.take_if(|default| **default == *name);
            Ok(taken)
        })
    }

    /// Makes a provider the default.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] if there is none of that name.
    pub fn set_default(&self, name: &str) -> Result<()> {
        self.change(|named| {
            let (name, _) = named.providers.get_key_value(name).ok_or_else(|| not_found(name))?;
            named.default = Some(Arc::clone(name));
            Ok(())
        })
    }

    /// The provider of that name.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] if there is none.
    pub fn get(&self, name: &str) -> Result<SharedProvider> {
        self.current.load().providers.get(name).cloned().ok_or_else(|| not_found(name))
    }

    /// The default provider. There is none until one is named: the library never picks one.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] if no default was set.
    pub fn default_provider(&self) -> Result<SharedProvider> {
        let named = self.current.load();
        let name = named.default.as_ref().ok_or_else(|| {
            Error::new(ErrorKind::NotFound, "no default provider is set; name one, or set it")
        })?;
        named.providers.get(name).cloned().ok_or_else(|| not_found(name))
    }

    /// The name of the default provider, if one was set.
    #[must_use]
    pub fn default_name(&self) -> Option<Arc<str>> {
        self.current.load().default.clone()
    }

    /// All names, sorted.
    #[must_use]
    pub fn names(&self) -> Vec<Arc<str>> {
        self.current.load().providers.keys().cloned().collect()
    }

    /// All providers, by their names' order: what an [`Opener`](crate::Opener) takes. A snapshot.
    #[must_use]
    pub fn providers(&self) -> Vec<SharedProvider> {
        self.current.load().providers.values().cloned().collect()
    }

    /// The providers that may open with a key, which two of one scheme can be told apart by. No I/O.
    #[must_use]
    pub fn route(&self, key: &KeyName) -> Vec<SharedProvider> {
        let named = self.current.load();
        named.providers.values().filter(|p| p.opens(key).is_some()).cloned().collect()
    }

    /// Connects to the provider that a URI names, and adds it under `name`. It stands behind timeouts,
    /// retries and a circuit breaker, by the policy of [`RegistryBuilder::policy`].
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] for a scheme that nothing here connects to; as for
    /// [`register`](Self::register); what the provider says.
    pub async fn connect(&self, name: &str, uri: &KeyUri) -> Result<SharedProvider> {
        self.connect_with(name, uri, self.policy.clone()).await
    }

    /// The same by a policy of its own. The policy holds for connecting already, unless that is
    /// [work of this machine](Connect::connects_locally).
    ///
    /// # Errors
    /// As for [`connect`](Self::connect).
    pub async fn connect_with(
        &self,
        name: &str,
        uri: &KeyUri,
        policy: Policy,
    ) -> Result<SharedProvider> {
        self.connect_by(name, uri, policy, false).await
    }

    /// The same for an owner who accepts wraps that anybody with the public key can have made: what opens
    /// may then be from anybody.
    ///
    /// # Errors
    /// As for [`connect`](Self::connect); [`ErrorKind::Unsupported`] for a scheme without such wraps.
    pub async fn connect_accepting_public_key_wraps(
        &self,
        name: &str,
        uri: &KeyUri,
        policy: Policy,
    ) -> Result<SharedProvider> {
        self.connect_by(name, uri, policy, true).await
    }

    async fn connect_by(
        &self,
        name: &str,
        uri: &KeyUri,
        policy: Policy,
        accepting: bool,
    ) -> Result<SharedProvider> {
        check_name(name)?;
        let scheme = self.schemes.get(uri.scheme()).ok_or_else(|| {
            let known: Vec<_> = self.schemes.keys().copied().collect();
            let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
            Error::new(
                ErrorKind::Unsupported,
                format!("no provider for `{}` keys is registered; there is: {known}", uri.scheme()),
            )
        })?;
        let connect = || match accepting {
            true => scheme.connect_accepting(uri, name),
            false => scheme.connect(uri, name),
        };
        let resilient = match scheme.connects_locally() {
            true => Resilient::new(connect().await?, policy),
            false => Resilient::connect(name, policy, connect).await?,
        };
        let provider: SharedProvider = Arc::new(resilient);
        match self.register(name, Arc::clone(&provider)) {
            Ok(()) => Ok(provider),
            Err(taken) => {
                // Nobody will use it, and what closing says is of no interest then.
                let _ = provider.close().await;
                Err(taken)
            }
        }
    }

    /// Asks all providers at once whether they can serve.
    pub async fn health(&self) -> Vec<(Arc<str>, Result<Health>)> {
        let named = self.current.load_full();
        let ask = |(name, provider): (&Arc<str>, &SharedProvider)| {
            let (name, provider) = (Arc::clone(name), Arc::clone(provider));
            async move { (name, provider.health().await) }
        };
        join_all(named.providers.iter().map(ask)).await
    }

    /// Takes all providers out and closes them, all of them, whatever one says. The errors, by
    /// name; none means that all went well.
    pub async fn close_all(&self) -> Vec<(Arc<str>, Error)> {
        let taken = self.change(|named| Ok(std::mem::take(named))).unwrap_or_default();
        let close = |(name, provider): (Arc<str>, SharedProvider)| async move {
            provider.close().await.err().map(|error| (name, error))
        };
        join_all(taken.providers.into_iter().map(close)).await.into_iter().flatten().collect()
    }

    fn change<T>(&self, change: impl FnOnce(&mut Named) -> Result<T>) -> Result<T> {
        let _changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut named = Named::clone(&self.current.load());
        let done = change(&mut named)?;
        self.current.store(Arc::new(named));
        Ok(done)
    }
}

fn check_name(name: &str) -> Result<()> {
    if name.is_empty() {
        return Err(Error::invalid("a provider's name is empty"));
    }
    Ok(())
}

fn not_found(name: &str) -> Error {
    Error::new(ErrorKind::NotFound, format!("there is no provider named {name:?}"))
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named = self.current.load();
        f.debug_struct("Registry")
            .field("schemes", &self.schemes.keys())
            .field("providers", &named.providers.keys())
            .field("default", &named.default)
            .finish_non_exhaustive()
    }
}
