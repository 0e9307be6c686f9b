//! Which keys of a store a provider uses, and for what.

use std::sync::Arc;

use bulla::{
    Error, ErrorKind, KeyName, Operation, Result,
    provider::{Capabilities, ContextBinding, SOFTWARE_WRAP_OVERHEAD},
};

use super::{
    Local, MAX_DIRECT_LEN,
    bound::Bound,
    ring::{Keys, Ring, add_all},
};
use crate::{
    passphrase::Passphrase,
    store::{Entry, Store},
};

/// Binds keys of a [`Store`] to a [`Local`] provider.
#[derive(Debug)]
#[must_use]
pub struct LocalBuilder {
    store: Store,
    label: String,
    sealing_key: Option<String>,
    signing_key: Option<String>,
    also_open: Vec<String>,
    open_all: bool,
    passphrases: Vec<Passphrase>,
}

impl LocalBuilder {
    pub(super) fn new(store: Store) -> Self {
        Self {
            store,
            label: "local".to_owned(),
            sealing_key: None,
            signing_key: None,
            also_open: Vec::new(),
            open_all: false,
            passphrases: Vec::new(),
        }
    }

    /// The name in errors, logs and metrics. `local` if none is given.
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = label.into();
        self
    }

    /// The AES key that new data is sealed to, by name or id. Its versions may be opened too.
    pub fn sealing_key(mut self, name_or_id: impl Into<String>) -> Self {
        self.sealing_key = Some(name_or_id.into());
        self
    }

    /// The asymmetric key that signs, by name or id.
    pub fn signing_key(mut self, name_or_id: impl Into<String>) -> Self {
        self.signing_key = Some(name_or_id.into());
        self
    }

    /// One more key: an AES key to open with, or an asymmetric key to verify with.
    pub fn also_open(mut self, name_or_id: impl Into<String>) -> Self {
        self.also_open.push(name_or_id.into());
        self
    }

    /// Every AES key of the store may be opened. Keys made later are taken up by
    /// [`Local::reload`].
    ///
    /// A key that needs a passphrase which is not given fails when it is used, not before.
    pub fn open_all(mut self) -> Self {
        self.open_all = true;
        self
    }

    /// The passphrase of protected keys. Where there are several, give each: all are tried, and
    /// each try costs an Argon2id, of which one runs at a time in a process. A version that none of
    /// them opens is not tried again until its file changes, or [`Local::reload`] is called.
    ///
    /// # Security
    /// It stays in memory until the provider is closed, for versions that are loaded later.
    pub fn passphrase(mut self, passphrase: Passphrase) -> Self {
        self.passphrases.push(passphrase);
        self
    }

    /// Reads the keys. Blocks on files, and about a tenth of a second for a protected key: in
    /// async code, call it where blocking is allowed.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] if no key is bound, if a key is of the wrong type for its use,
    /// if a passphrase is missing, or if a file is damaged; [`ErrorKind::NotAuthentic`] for a wrong
    /// passphrase; [`ErrorKind::NotFound`] for a key that does not exist; [`ErrorKind::Disabled`]
    /// or [`ErrorKind::Destroyed`] if the current version of the sealing or signing key is not
    /// active; [`ErrorKind::Denied`] if others have access to the store.
    pub fn build(self) -> Result<Local> {
        let label: Arc<str> = self.label.as_str().into();
        self.bind(Arc::clone(&label))
            .map_err(|e| e.with_provider(label).with_operation(Operation::Build))
    }

    fn bind(self, label: Arc<str>) -> Result<Local> {
        let mut ring = Ring { passphrases: self.passphrases, ..Ring::default() };
        let add = |ring: &mut Ring, entry: Entry, alias: &str| -> Result<Arc<Bound>> {
            let alias = (alias != entry.id().to_string()).then(|| alias.to_owned());
            let bound = Arc::new(Bound::new(entry, alias)?);
            bound.load_early(&ring.passphrases)?;
            Ok(Arc::clone(ring.keys.entry(bound.name().clone()).or_insert(bound)))
        };
        let mut sealing: Option<KeyName> = None;
        if let Some(name) = &self.sealing_key {
            let entry = self.store.entry(name)?;
            if !entry.key_type().seals() {
                return Err(wrong_use(name, &entry, "signs; bind it with `signing_key`"));
            }
            let bound = add(&mut ring, entry, name)?;
            bound.check_active(bound.entry().state.current)?;
            sealing = Some(bound.name().clone());
        }
        let mut signing = None;
        let mut algorithms = Vec::new();
        if let Some(name) = &self.signing_key {
            let entry = self.store.entry(name)?;
            if entry.key_type().seals() {
                return Err(wrong_use(name, &entry, "seals; bind it with `sealing_key`"));
            }
            algorithms.extend(entry.key_type().signing_algorithms());
            let bound = add(&mut ring, entry, name)?;
            bound.check_active(bound.entry().state.current)?;
            signing = Some(bound.name().clone());
        }
        for name in &self.also_open {
            add(&mut ring, self.store.entry(name)?, name)?;
        }
        if self.open_all {
            add_all(&self.store, &mut ring.keys)?;
        }
        if ring.keys.is_empty() && !self.open_all {
            return Err(Error::new(
                ErrorKind::InvalidInput,
                "no key is bound; give a sealing key, a signing key, or keys to open",
            ));
        }
        let opens = self.open_all || ring.keys.values().any(|b| b.entry().key_type().seals());
        let mut capabilities = Capabilities::none();
        capabilities.signing = algorithms;
        if opens {
            capabilities.direct = ContextBinding::Bound;
            capabilities.max_direct_len = MAX_DIRECT_LEN;
            capabilities.data_keys = ContextBinding::Bound;
            capabilities.max_wrapped_len = bulla::key::DATA_KEY_LEN + SOFTWARE_WRAP_OVERHEAD;
            capabilities.wrap_authenticates = true;
        }
        let keys = Arc::new(Keys::new(self.store, self.open_all, ring));
        Ok(Local { label, capabilities, sealing, signing, keys })
    }
}

fn wrong_use(name: &str, entry: &Entry, why: &str) -> Error {
    Error::new(ErrorKind::InvalidInput, format!("key {name:?} is {} and {why}", entry.key_type()))
}
