//! One key of the provider.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Mutex, PoisonError},
};

use arc_swap::ArcSwap;
use bulla::{
    KeyName, KeyVersion, Result,
    provider::{BoundKey, Role},
};

use crate::{
    id::KeyId,
    metadata::{Described, Purpose, Wrapping},
    public::Pair,
};

/// A key as the service described it when the provider was built.
pub(crate) struct Bound {
    pub(crate) id: KeyId,
    pub(crate) name: KeyName,
    pub(crate) kty: String,
    pub(crate) purpose: Purpose,
    /// The version that new data is sealed by, as far as is known.
    current: ArcSwap<KeyVersion>,
    /// Public halves that were asked for: a version's never changes.
    publics: Mutex<BTreeMap<String, (Pair, Vec<u8>)>>,
}

impl Bound {
    pub(crate) fn new(id: KeyId, described: Described, role: Role) -> Result<Self> {
        let name = id.name()?;
        let purpose = described.purpose(name.id(), role)?;
        let opens_only = role == Role::Opening;
        described.check_usable(name.id(), opens_only)?;
        let publics = described.public.map(|p| (described.version.as_str().to_owned(), p));
        Ok(Self {
            id,
            name,
            kty: described.kty,
            purpose,
            current: ArcSwap::from_pointee(described.version),
            publics: Mutex::new(publics.into_iter().collect()),
        })
    }

    pub(crate) fn wrapping(&self) -> Option<Wrapping> {
        match self.purpose {
            Purpose::Seal { wrapping, .. } => Some(wrapping),
            Purpose::Sign(_) => None,
        }
    }

    pub(crate) fn pair(&self) -> Option<Pair> {
        match self.purpose {
            Purpose::Sign(pair) => Some(pair),
            Purpose::Seal { .. } => None,
        }
    }

    /// For people.
    pub(crate) fn kind(&self) -> String {
        match self.purpose {
            Purpose::Sign(pair) => pair.describe(),
            Purpose::Seal { wrapping: Wrapping::Oaep(modulus), .. } => {
                Pair::Rsa(modulus).describe()
            }
            Purpose::Seal { wrapping: Wrapping::KeyWrap, .. } => self.kty.clone(),
        }
    }

    pub(crate) fn is_current(&self, version: &KeyVersion) -> bool {
        **self.current.load() == *version
    }

    /// Takes note of what the service says is the latest version.
    pub(crate) fn saw(&self, latest: &KeyVersion) {
        if self.id.pinned.is_none() && !self.is_current(latest) {
            self.current.store(latest.clone().into());
        }
    }

    pub(crate) fn public(&self, version: &KeyVersion) -> Option<(Pair, Vec<u8>)> {
        let publics = self.publics.lock().unwrap_or_else(PoisonError::into_inner);
        publics.get(version.as_str()).cloned()
    }

    pub(crate) fn keep_public(&self, version: &KeyVersion, public: (Pair, Vec<u8>)) {
        let mut publics = self.publics.lock().unwrap_or_else(PoisonError::into_inner);
        publics.insert(version.as_str().to_owned(), public);
    }
}

impl BoundKey for Bound {
    fn name(&self) -> &KeyName {
        &self.name
    }

    fn seals(&self) -> bool {
        self.wrapping().is_some()
    }

    fn answers_to(&self, name: &KeyName) -> bool {
        self.name == *name
    }

    fn refuses(&self, role: Role) -> Option<&'static str> {
        match (role, &self.purpose) {
            (Role::Sealing | Role::Either, Purpose::Seal { seals: false, .. }) => {
                Some("may unwrapKey and not wrapKey; bind it with `also_open`")
            }
            _ => None,
        }
    }

    fn mentioned_again(&mut self, _again: Self) {}
}

impl fmt::Debug for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bound")
            .field("name", &self.name)
            .field("pinned", &self.id.pinned)
            .field("purpose", &self.purpose)
            .field("current", &**self.current.load())
            .finish_non_exhaustive()
    }
}
