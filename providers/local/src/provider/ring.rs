//! All keys of the provider, swapped as a whole whenever one of them changes.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard},
};

use bulla::{Error, ErrorKind, KeyName, Result};

use super::bound::{Bound, Chosen, Secret};
use crate::{passphrase::Passphrase, store::Store};

/// A snapshot. Whoever holds one may go on with it: secrets are wiped when the last one lets go.
#[derive(Default)]
pub(super) struct Ring {
    pub(super) keys: BTreeMap<KeyName, Arc<Bound>>,
    pub(super) passphrases: Vec<Passphrase>,
}

enum Kept {
    Open(Arc<Ring>),
    /// The keys there were, so that a call after closing is told so rather than that its key is
    /// unknown. `true` for those that open.
    Closed(BTreeMap<KeyName, bool>),
}

/// The current snapshot.
pub(super) struct Keys {
    store: Store,
    open_all: bool,
    ring: RwLock<Kept>,
    /// Held while a new ring is made, so that no change gets lost.
    changing: Mutex<()>,
}

impl Keys {
    pub(super) fn new(store: Store, open_all: bool, ring: Ring) -> Self {
        let ring = RwLock::new(Kept::Open(Arc::new(ring)));
        Self { store, open_all, ring, changing: Mutex::default() }
    }

    pub(super) fn store(&self) -> &Store {
        &self.store
    }

    pub(super) fn ring(&self) -> Result<Arc<Ring>> {
        match &*self.kept() {
            Kept::Open(ring) => Ok(Arc::clone(ring)),
            Kept::Closed(_) => Err(closed()),
        }
    }

    pub(super) fn is_closed(&self) -> bool {
        matches!(&*self.kept(), Kept::Closed(_))
    }

    /// Wipes the secrets, as soon as nobody uses them.
    pub(super) fn close(&self) {
        let names = self.names();
        let mut kept = self.ring.write().unwrap_or_else(PoisonError::into_inner);
        if let Kept::Open(_) = &*kept {
            let ring = std::mem::replace(&mut *kept, Kept::Closed(names));
            drop(kept);
            // Outside of the lock: wiping takes a moment.
            drop(ring);
        }
    }

    /// Every key there is or was; `true` for those that open.
    pub(super) fn names(&self) -> BTreeMap<KeyName, bool> {
        match &*self.kept() {
            Kept::Open(ring) => ring.keys.iter().map(|(n, b)| (n.clone(), opens(b))).collect(),
            Kept::Closed(names) => names.clone(),
        }
    }

    /// Whether a key is or was on the list of those to open.
    pub(super) fn opens(&self, key: &KeyName) -> bool {
        match &*self.kept() {
            Kept::Open(ring) => ring.keys.get(key).is_some_and(|b| opens(b)),
            Kept::Closed(names) => names.get(key).copied().unwrap_or(false),
        }
    }

    /// Whether the last attempt to read the state of some key failed.
    pub(super) fn has_failed(&self) -> bool {
        match &*self.kept() {
            Kept::Open(ring) => ring.keys.values().any(|b| b.freshness().has_failed()),
            Kept::Closed(_) => false,
        }
    }

    /// A key of the list.
    pub(super) fn bound(&self, key: &KeyName) -> Result<Arc<Bound>> {
        self.ring()?.keys.get(key).cloned().ok_or_else(|| {
            Error::new(
                ErrorKind::NoRecipient,
                format!("key {key} is not among those that this provider may open"),
            )
        })
    }

    /// Reads a key's state again and takes it over if it changed. Blocks.
    pub(super) fn refresh(&self, key: &KeyName) -> Result<Arc<Bound>> {
        let _changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        self.reread(key)
    }

    /// The same for the sake of a version that is not listed, but only if it isn't by now, and
    /// once a second for each key: anybody can make up versions. Blocks.
    pub(super) fn look_for(&self, key: &KeyName, version: u32) -> Result<Arc<Bound>> {
        let _changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let bound = self.bound(key)?;
        if bound.lists(version) || !bound.freshness().is_unknown_due() {
            return Ok(bound);
        }
        let read = self.reread(key);
        bound.freshness().looked_for_unknown();
        read
    }

    /// Only under the lock on changes.
    fn reread(&self, key: &KeyName) -> Result<Arc<Bound>> {
        let old = self.bound(key)?;
        let freshness = old.freshness();
        let began = freshness.now();
        let state = old.entry().read_state().inspect_err(|_| freshness.fail())?;
        freshness.succeed(began);
        if state == old.entry().state {
            return Ok(old);
        }
        let new = Arc::new(old.with_state(state));
        let ring = self.ring()?;
        // Loaded before it is taken over, so that sealing goes on without a pause. If that fails,
        // whoever needs the secret is told.
        let _ = new.load(new.entry().state.current, &ring.passphrases);
        let mut keys = ring.keys.clone();
        keys.insert(key.clone(), Arc::clone(&new));
        self.replace(Ring { keys, passphrases: ring.passphrases.clone() })?;
        Ok(new)
    }

    /// Refreshes every key, and takes up new ones if all may be opened. Blocks.
    pub(super) fn reload(&self) -> Result<()> {
        let known: Vec<_> = self.ring()?.keys.keys().cloned().collect();
        for key in &known {
            self.refresh(key)?.forget_refused();
        }
        if !self.open_all {
            return Ok(());
        }
        let _changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let ring = self.ring()?;
        let mut keys = ring.keys.clone();
        add_all(&self.store, &mut keys)?;
        self.replace(Ring { keys, passphrases: ring.passphrases.clone() })
    }

    /// The secret of a version. Blocks if it is not in memory yet.
    pub(super) fn load(&self, chosen: &Chosen) -> Result<Arc<Secret>> {
        let loaded = chosen.bound.load(chosen.version, &self.ring()?.passphrases);
        match loaded {
            // Perhaps it was destroyed since the state was read: that is another error.
            Err(error) if error.kind() == ErrorKind::NotFound => {
                self.refresh(chosen.bound.name())?.opening(chosen.version)?;
                Err(error)
            }
            other => other,
        }
    }

    fn replace(&self, ring: Ring) -> Result<()> {
        let mut kept = self.ring.write().unwrap_or_else(PoisonError::into_inner);
        match &mut *kept {
            Kept::Open(place) => *place = Arc::new(ring),
            // What was closed in the meantime stays closed.
            Kept::Closed(_) => return Err(closed()),
        }
        Ok(())
    }

    fn kept(&self) -> RwLockReadGuard<'_, Kept> {
        self.ring.read().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Adds every AES key of the store that is not there yet. Secrets are loaded when needed.
pub(super) fn add_all(store: &Store, keys: &mut BTreeMap<KeyName, Arc<Bound>>) -> Result<()> {
    if !store.is_made()? {
        return Ok(());
    }
    let mut names = store.names()?;
    for entry in store.entries()?.into_iter().filter(|entry| entry.key_type().seals()) {
        let alias = names.remove(entry.id());
        let bound = Bound::new(entry, alias)?;
        keys.entry(bound.name().clone()).or_insert_with(|| Arc::new(bound));
    }
    Ok(())
}

fn opens(bound: &Bound) -> bool {
    bound.entry().key_type().seals()
}

fn closed() -> Error {
    Error::new(ErrorKind::Closed, "the provider was closed; build another one")
}
