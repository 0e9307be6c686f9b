//! What a configuration says.

use std::collections::BTreeMap;

use bulla::{KeyUri, Registry, Result, SharedProvider, envelope::WritePolicy, resilience::Policy};

/// A configuration in which every name that is used is also defined.
#[derive(Clone, Debug)]
pub struct Config {
    pub(crate) origin: String,
    pub(crate) default: Option<String>,
    pub(crate) keys: BTreeMap<String, Key>,
    pub(crate) groups: BTreeMap<String, Group>,
    pub(crate) policies: BTreeMap<String, Policy>,
}

/// A key, and how its provider is called.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Key {
    /// Its name: the provider's in the registry, in errors, logs and metrics.
    pub name: String,
    /// Where it is.
    pub uri: KeyUri,
    /// Timeouts, retries and breaker of its provider.
    pub policy: Policy,
    /// Whether its owner accepts wraps that anybody with the public key can have made.
    pub accept_public_key_wraps: bool,
}

/// Several keys that are sealed to together, each of which opens alone.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Group {
    /// Its name.
    pub name: String,
    /// Names of keys: 1 to 8. The first one generates the data keys.
    pub recipients: Vec<String>,
    /// How many of them must take part when data is sealed.
    pub write: WritePolicy,
    /// The length to which headers of streams are padded, in bytes, if it was given.
    pub header_len: Option<u16>,
}

impl Config {
    /// What was read: the file's name, or that of the environment variable, fit to be shown.
    #[must_use]
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// The key or group that data is sealed to where none is named, if there is one. Nothing is guessed.
    #[must_use]
    pub fn default_name(&self) -> Option<&str> {
        self.default.as_deref()
    }

    /// All keys, by name.
    pub fn keys(&self) -> impl ExactSizeIterator<Item = &Key> {
        self.keys.values()
    }

    /// The key of that name.
    #[must_use]
    pub fn key(&self, name: &str) -> Option<&Key> {
        self.keys.get(name)
    }

    /// All groups, by name. No group has the name of a key.
    pub fn groups(&self) -> impl ExactSizeIterator<Item = &Group> {
        self.groups.values()
    }

    /// The group of that name.
    #[must_use]
    pub fn group(&self, name: &str) -> Option<&Group> {
        self.groups.get(name)
    }

    /// The names of all keys, and then of all groups.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.keys.keys().chain(self.groups.keys()).map(String::as_str)
    }

    /// All policies, by name, whether a key uses them or not.
    pub fn policies(&self) -> impl ExactSizeIterator<Item = (&str, &Policy)> {
        self.policies.iter().map(|(name, policy)| (name.as_str(), policy))
    }
}

impl Key {
    /// A key under the default policy.
    #[must_use]
    pub fn new(name: impl Into<String>, uri: KeyUri) -> Self {
        let policy = Policy::default();
        Self { name: name.into(), uri, policy, accept_public_key_wraps: false }
    }

    /// Connects to it behind its policy, and adds its provider to the registry under its name.
    ///
    /// # Errors
    /// As for [`Registry::connect`]; [`Unsupported`](bulla::ErrorKind::Unsupported) if public-key wraps are
    /// accepted of a key that has none.
    pub async fn connect(&self, registry: &Registry) -> Result<SharedProvider> {
        let Self { name, uri, policy, accept_public_key_wraps } = self;
        match accept_public_key_wraps {
            true => registry.connect_accepting_public_key_wraps(name, uri, policy.clone()).await,
            false => registry.connect_with(name, uri, policy.clone()).await,
        }
    }
}

/// Whether this can be the name of a key, a group or a policy.
pub(crate) fn is_name(text: &str) -> bool {
    let fit = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
    (1..=64).contains(&text.len()) && text.bytes().all(fit) && !text.starts_with(['.', '-'])
}
