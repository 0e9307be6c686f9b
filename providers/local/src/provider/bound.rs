//! One key of the provider: its state as last read, and the secrets loaded so far.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, OnceLock, PoisonError},
};

use bulla::{Error, ErrorKind, KeyName, KeyVersion, Result, provider::SoftwareKek};
use zeroize::Zeroizing;

use super::freshness::Freshness;
use crate::{
    material::Material,
    pair::Pair,
    passphrase::Passphrase,
    store::{Entry, StateFile, StoredState},
};

/// The scheme of this provider's key names.
const SCHEME: &str = "local";

pub(super) struct Bound {
    name: KeyName,
    alias: Option<String>,
    entry: Entry,
    /// A slot for each version that may be used, filled on first use.
    secrets: BTreeMap<u32, Arc<Slot>>,
    /// Public keys read so far.
    publics: Arc<Mutex<BTreeMap<u32, Vec<u8>>>>,
    freshness: Arc<Freshness>,
}

/// The secret of a version, once it is loaded.
#[derive(Default)]
struct Slot {
    secret: OnceLock<Arc<Secret>>,
    /// What the file held when no passphrase opened it. Held while the secret is loaded, so that
    /// many who need it load it once.
    refused: Mutex<Option<Refused>>,
}

struct Refused {
    content: Zeroizing<Vec<u8>>,
    error: Error,
}

pub(super) enum Secret {
    Aes(SoftwareKek),
    Pair(Pair),
}

/// A version that is about to be used.
#[derive(Clone)]
pub(super) struct Chosen {
    pub(super) bound: Arc<Bound>,
    pub(super) version: u32,
}

impl Bound {
    pub(super) fn new(entry: Entry, alias: Option<String>) -> Result<Self> {
        let name = KeyName::new(SCHEME, entry.id().to_string())?;
        let secrets = slots(&entry.state).collect();
        Ok(Self { name, alias, entry, secrets, publics: Arc::default(), freshness: Arc::default() })
    }

    /// The same key in another state. Secrets that may still be used are taken along; those that
    /// may not are wiped with the old ring.
    pub(super) fn with_state(&self, state: StateFile) -> Self {
        let secrets = slots(&state).map(|(version, new)| {
            let known = self.secrets.get(&version).map(Arc::clone);
            (version, known.unwrap_or(new))
        });
        let secrets = secrets.collect();
        Self {
            name: self.name.clone(),
            alias: self.alias.clone(),
            entry: self.entry.with_state(state),
            secrets,
            publics: Arc::clone(&self.publics),
            freshness: Arc::clone(&self.freshness),
        }
    }

    pub(super) fn name(&self) -> &KeyName {
        &self.name
    }

    pub(super) fn alias(&self) -> Option<&str> {
        self.alias.as_deref()
    }

    pub(super) fn entry(&self) -> &Entry {
        &self.entry
    }

    pub(super) fn lists(&self, version: u32) -> bool {
        self.entry.state.version(version).is_some()
    }

    pub(super) fn freshness(&self) -> &Freshness {
        &self.freshness
    }

    /// The version that new data is sealed to.
    ///
    /// # Errors
    /// [`ErrorKind::Disabled`] or [`ErrorKind::Destroyed`] if it isn't active.
    pub(super) fn current(self: Arc<Self>) -> Result<Chosen> {
        let version = self.entry.state.current;
        self.check_active(version)?;
        Ok(Chosen { bound: self, version })
    }

    /// The version that a recipient record names.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`], [`ErrorKind::Disabled`] or [`ErrorKind::Destroyed`].
    pub(super) fn opening(self: Arc<Self>, version: u32) -> Result<Chosen> {
        match self.entry.listed(version)?.state {
            StoredState::Active | StoredState::Deprecated => Ok(Chosen { bound: self, version }),
            StoredState::Disabled => Err(self.unusable(ErrorKind::Disabled, version, "disabled")),
            StoredState::Destroyed => Err(self.destroyed(version)),
        }
    }

    /// Checks that a version may seal or sign.
    pub(super) fn check_active(&self, version: u32) -> Result<()> {
        match self.entry.listed(version)?.state {
            StoredState::Active => Ok(()),
            StoredState::Deprecated => Err(self.unusable(
                ErrorKind::Disabled,
                version,
                "deprecated: it opens and verifies, but neither seals nor signs; rotate the key",
            )),
            StoredState::Disabled => Err(self.unusable(ErrorKind::Disabled, version, "disabled")),
            StoredState::Destroyed => Err(self.destroyed(version)),
        }
    }

    fn destroyed(&self, version: u32) -> Error {
        self.unusable(ErrorKind::Destroyed, version, "destroyed")
    }

    fn unusable(&self, kind: ErrorKind, version: u32, state: &str) -> Error {
        Error::new(kind, format!("version {version} of key {} is {state}", self.name))
    }

    /// Loads what a listed key should have at hand: the current version, so that a wrong
    /// passphrase shows at once, and every version whose loading costs no Argon2.
    pub(super) fn load_early(&self, passphrases: &[Passphrase]) -> Result<()> {
        for version in self.secrets.keys().copied() {
            let protected = self.entry.is_protected(version);
            if version == self.entry.state.current || !protected {
                self.load(version, passphrases)?;
            }
        }
        Ok(())
    }

    /// The public key of a version: of the pair in memory, or else from its file unless it was
    /// read before.
    pub(super) fn public(&self, version: u32) -> Result<Vec<u8>> {
        if let Some(secret) = self.secrets.get(&version).and_then(|slot| slot.secret.get()) {
            return secret.pair()?.spki();
        }
        let mut publics = self.publics.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(public) = publics.get(&version) {
            return Ok(public.clone());
        }
        let public = self.entry.public(version)?;
        publics.insert(version, public.clone());
        Ok(public)
    }

    pub(super) fn load(&self, version: u32, passphrases: &[Passphrase]) -> Result<Arc<Secret>> {
        let slot = self.secrets.get(&version).ok_or_else(|| self.destroyed(version))?;
        if let Some(secret) = slot.secret.get() {
            return Ok(Arc::clone(secret));
        }
        let mut refused = slot.refused.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(secret) = slot.secret.get() {
            return Ok(Arc::clone(secret));
        }
        let content = self.entry.read_version(version)?;
        // Whoever sends records that name this version must not have Argon2 run for each.
        if let Some(known) = &*refused
            && known.content == content
        {
            return Err(known.error.clone());
        }
        match self.entry.material_in(&content, version, passphrases).and_then(Secret::new) {
            Ok(secret) => {
                *refused = None;
                Ok(Arc::clone(slot.secret.get_or_init(|| Arc::new(secret))))
            }
            Err(error) => {
                let remembered = error.kind() == ErrorKind::NotAuthentic;
                *refused = remembered.then(|| Refused { content, error: error.clone() });
                Err(error)
            }
        }
    }

    /// Lets versions that no passphrase opened be tried again.
    pub(super) fn forget_refused(&self) {
        for slot in self.secrets.values() {
            *slot.refused.lock().unwrap_or_else(PoisonError::into_inner) = None;
        }
    }
}

fn slots(state: &StateFile) -> impl Iterator<Item = (u32, Arc<Slot>)> {
    let usable = state
        .versions
        .iter()
        .filter(|v| matches!(v.state, StoredState::Active | StoredState::Deprecated));
    usable.map(|v| (v.version, Arc::default()))
}

impl Chosen {
    /// The secret, if it is in memory.
    pub(super) fn loaded(&self) -> Option<Arc<Secret>> {
        self.bound.secrets.get(&self.version)?.secret.get().cloned()
    }

    pub(super) fn key_version(&self) -> Result<KeyVersion> {
        KeyVersion::parse(&self.version.to_string())
    }
}

impl Secret {
    fn new(material: Material) -> Result<Self> {
        if material.key_type().seals() {
            let key = material.secret().try_into().map_err(|_| wrong_use())?;
            return Ok(Self::Aes(SoftwareKek::from_bytes(key)));
        }
        material.into_pair().map(Self::Pair).ok_or_else(wrong_use)
    }

    pub(super) fn kek(&self) -> Result<&SoftwareKek> {
        match self {
            Self::Aes(kek) => Ok(kek),
            Self::Pair(_) => Err(wrong_use()),
        }
    }

    pub(super) fn pair(&self) -> Result<&Pair> {
        match self {
            Self::Aes(_) => Err(wrong_use()),
            Self::Pair(pair) => Ok(pair),
        }
    }
}

fn wrong_use() -> Error {
    Error::new(ErrorKind::InvalidInput, "AES keys seal and open, the others sign")
}

impl fmt::Debug for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Bound").field(&self.name).finish()
    }
}
