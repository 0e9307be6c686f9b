//! Changes to a key: new versions, states, destruction.

use bulla::{Error, ErrorKind, Result, key::KeyState};

use super::{Entry, Store, layout::StoredState};
use crate::{
    material::Material,
    passphrase::{Passphrase, Protection},
    record::KeyRecord,
};

impl Store {
    /// Adds a version and makes it the current one. The others stay as they are.
    ///
    /// A key does not lose its protection that way: where the current version has a passphrase,
    /// the new one needs one too, the same or another.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] for [`Protection::None`] if the current version is protected;
    /// [`ErrorKind::NotFound`] if there is no such key; [`ErrorKind::Unsupported`] for an
    /// asymmetric key in a build without the feature `aws-lc-rs`; otherwise as for
    /// [`create_key`](Self::create_key).
    pub fn rotate(&self, name_or_id: &str, protection: &Protection) -> Result<KeyRecord> {
        // Outside of the lock: making an RSA key takes a while, and the type never changes.
        let material = Material::generate(self.entry(name_or_id)?.key_type())?;
        self.change(name_or_id, |entry| {
            let current = entry.state.current;
            if entry.is_protected(current) && matches!(protection, Protection::None) {
                let message = format!(
                    "version {current} of key {} has a passphrase; give one for the new version \
                     too, the same or another",
                    entry.id()
                );
                return Err(Error::new(ErrorKind::InvalidInput, message));
            }
            entry.add_version(&material, protection)
        })
    }

    /// The same, with the protection of the version that is current when the lock is taken.
    pub(crate) fn rotate_as_before(
        &self,
        name_or_id: &str,
        passphrases: &[Passphrase],
    ) -> Result<KeyRecord> {
        let material = Material::generate(self.entry(name_or_id)?.key_type())?;
        self.change(name_or_id, |entry| {
            let protection = entry.current_protection(passphrases)?;
            entry.add_version(&material, &protection)
        })
    }

    /// Makes a version the current one, be it older or newer.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] if there is no such version; [`ErrorKind::Disabled`] if it is not
    /// active: activate it first with [`set_state`](Self::set_state); [`ErrorKind::Destroyed`] if
    /// it is gone; [`ErrorKind::Timeout`] if another program keeps the store's lock.
    pub fn set_current(&self, name_or_id: &str, version: u32) -> Result<KeyRecord> {
        self.change(name_or_id, |entry| {
            match entry.listed(version)?.state {
                StoredState::Active => {}
                StoredState::Destroyed => return Err(destroyed(entry, version)),
                state @ (StoredState::Deprecated | StoredState::Disabled) => {
                    let message = format!(
                        "version {version} of key {} is {}; activate it first",
                        entry.id(),
                        KeyState::from(state)
                    );
                    return Err(Error::new(ErrorKind::Disabled, message));
                }
            }
            entry.state.current = version;
            Ok(())
        })
    }

    /// Sets the state of a version, or with `None` of all that are not destroyed.
    ///
    /// The current version may be deprecated or disabled too: then the key seals no more until a
    /// version is activated, made current or added.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] for other states than active, deprecated and disabled (see
    /// [`destroy`](Self::destroy)); [`ErrorKind::NotFound`] if there is no such key or version;
    /// [`ErrorKind::Destroyed`] if it is gone; [`ErrorKind::Timeout`] if another program keeps the
    /// store's lock.
    pub fn set_state(
        &self,
        name_or_id: &str,
        version: Option<u32>,
        state: KeyState,
    ) -> Result<KeyRecord> {
        let state = match state {
            KeyState::Active => StoredState::Active,
            KeyState::Deprecated => StoredState::Deprecated,
            KeyState::Disabled => StoredState::Disabled,
            other => {
                let message =
                    format!("a version can't be set to {other}; destroying is its own step");
                return Err(Error::new(ErrorKind::InvalidInput, message));
            }
        };
        self.change(name_or_id, |entry| set_states(entry, version, state))
    }

    /// Destroys the material of a version, or with `None` of all. What was sealed to it is lost.
    /// Destroying twice is no error.
    ///
    /// # Security
    /// The file is removed, not overwritten: on SSDs and copy-on-write file systems the old blocks
    /// live on out of reach of a program, and so do backups and snapshots. A key that was
    /// protected by a passphrase stays protected there.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] if there is no such key or version; [`ErrorKind::Timeout`] if another
    /// program keeps the store's lock; [`ErrorKind::Io`] or [`ErrorKind::Denied`] if the file can't be
    /// removed: the version is marked as destroyed, and its material is still there.
    pub fn destroy(&self, name_or_id: &str, version: Option<u32>) -> Result<KeyRecord> {
        // The state goes first: after a crash in between, the next change removes the file.
        let (record, swept) = self.change_and_sweep(name_or_id, |entry| {
            if let Some(version) = version {
                entry.listed(version)?;
            }
            for listed in &mut entry.state.versions {
                if version.is_none_or(|v| v == listed.version) {
                    listed.state = StoredState::Destroyed;
                }
            }
            Ok(())
        })?;
        swept.map(|()| record)
    }

    fn change(
        &self,
        name_or_id: &str,
        apply: impl FnOnce(&mut Entry) -> Result<()>,
    ) -> Result<KeyRecord> {
        // What this change can't sweep away, the next one may; the change itself is done.
        self.change_and_sweep(name_or_id, apply).map(|(record, _swept)| record)
    }

    /// Changes a key. An error means that it was not done, or not durably; one in the second
    /// result, that something is left to remove.
    fn change_and_sweep(
        &self,
        name_or_id: &str,
        apply: impl FnOnce(&mut Entry) -> Result<()>,
    ) -> Result<(KeyRecord, Result<()>)> {
        // Asked first, so that a wrong name in a directory without a store makes no lock file.
        self.entry(name_or_id)?;
        let _lock = self.lock()?;
        let mut entry = self.entry(name_or_id)?;
        let name = self.name_of(name_or_id, entry.id())?;
        let before = entry.state.clone();
        apply(&mut entry)?;
        if entry.state != before {
            entry.write_state()?;
        }
        let swept = entry.sweep();
        Ok((entry.record(name), swept))
    }
}

fn set_states(entry: &mut Entry, version: Option<u32>, state: StoredState) -> Result<()> {
    if let Some(version) = version
        && entry.listed(version)?.state == StoredState::Destroyed
    {
        return Err(destroyed(entry, version));
    }
    let mut any = false;
    for listed in &mut entry.state.versions {
        let meant = version.is_none_or(|v| v == listed.version);
        if meant && listed.state != StoredState::Destroyed {
            listed.state = state;
            any = true;
        }
    }
    if any { Ok(()) } else { Err(destroyed(entry, entry.state.current)) }
}

fn destroyed(entry: &Entry, version: u32) -> Error {
    Error::new(
        ErrorKind::Destroyed,
        format!("version {version} of key {} was destroyed", entry.id()),
    )
}
