//! One key of the provider.

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use bulla::{
    KeyName, Result,
    provider::{Bindings, BoundKey, Role},
};
use url::Url;

use crate::{
    address::Address,
    metadata::{Described, Purpose},
};

/// The scheme of key names, whichever scheme the URI had.
pub(crate) const SCHEME: &str = "transit";

/// An API path and its URL.
#[derive(Debug)]
pub(crate) struct Endpoint {
    pub(crate) path: String,
    pub(crate) url: Url,
}

/// Where one key is used.
#[derive(Debug)]
pub(crate) struct Places {
    pub(crate) key: String,
    pub(crate) read: Endpoint,
    pub(crate) encrypt: Endpoint,
    pub(crate) decrypt: Endpoint,
    pub(crate) sign: Endpoint,
    pub(crate) verify: Endpoint,
    pub(crate) data_key: Endpoint,
}

impl Places {
    pub(crate) fn new(address: &Address, mount: &str, key: &str) -> Result<Self> {
        let endpoint = |what: &str| {
            let path = format!("{mount}/{what}/{key}");
            let url = address.api(&path)?;
            Ok(Endpoint { path, url })
        };
        Ok(Self {
            key: key.to_owned(),
            read: endpoint("keys")?,
            encrypt: endpoint("encrypt")?,
            decrypt: endpoint("decrypt")?,
            sign: endpoint("sign")?,
            verify: endpoint("verify")?,
            data_key: endpoint("datakey/plaintext")?,
        })
    }
}

/// A key as the server described it when the provider was built.
#[derive(Debug)]
pub(crate) struct Bound {
    pub(crate) name: KeyName,
    pub(crate) places: Places,
    pub(crate) purpose: Purpose,
    /// The latest version that was seen.
    latest: AtomicU32,
}

impl Bound {
    /// The name has what tells one key from all others: the cluster, the namespace, the mount and the
    /// key. The address is not in it: it may change. None of the four has a colon.
    pub(crate) fn new(
        realm: &str,
        namespace: &str,
        mount: &str,
        places: Places,
        described: &Described,
    ) -> Result<Self> {
        described.check_usable(&places.key)?;
        let name = KeyName::new(SCHEME, format!("{realm}:{namespace}:{mount}:{}", places.key))?;
        let (purpose, latest) = (described.purpose, AtomicU32::new(described.latest));
        Ok(Self { name, places, purpose, latest })
    }

    pub(crate) fn latest(&self) -> u32 {
        self.latest.load(Relaxed)
    }

    /// Takes note of a version that the server has used.
    pub(crate) fn saw(&self, version: u32) {
        self.latest.fetch_max(version, Relaxed);
    }

    /// Takes note of what the server says is the latest: less than before, if it was restored.
    pub(crate) fn told(&self, described: &Described) {
        self.latest.store(described.latest, Relaxed);
    }
}

/// The keys of one provider.
pub(crate) type Keys = Bindings<Bound>;

impl BoundKey for Bound {
    fn name(&self) -> &KeyName {
        &self.name
    }

    fn seals(&self) -> bool {
        matches!(self.purpose, Purpose::Seal(_))
    }

    fn answers_to(&self, name: &KeyName) -> bool {
        self.name == *name
    }

    fn refuses(&self, _: Role) -> Option<&'static str> {
        None
    }

    fn mentioned_again(&mut self, _: Self) {}
}
