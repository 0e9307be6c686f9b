//! Passphrases of protected keys: from files, or asked for when one is needed.

use std::{cell::RefCell, collections::BTreeMap, fs::File, io::Read as _, path::PathBuf};

use bulla::{Wrapped, format::Header};
use bulla_local::{KeyRecord, LocalBuilder, Passphrase, Protection, Store};
use zeroize::Zeroizing;

use crate::{
    ask,
    cleanup::Cleanup,
    failure::{Failure, Outcome},
    shown,
};

/// More than anybody types.
const MAX_FILE_LEN: u64 = 4096;

pub(crate) struct Passphrases {
    given: Vec<Passphrase>,
    /// The protected keys that were used, by their ids, and what was asked for each: nobody is
    /// asked twice.
    asked: RefCell<BTreeMap<String, Option<Passphrase>>>,
    cleanup: Cleanup,
}

impl Passphrases {
    /// Reads the files.
    pub(crate) fn new(files: &[PathBuf], cleanup: &Cleanup) -> Outcome<Self> {
        let given = files.iter().map(read).collect::<Outcome<_>>()?;
        Ok(Self { given, asked: RefCell::default(), cleanup: cleanup.clone() })
    }

    /// Those of the files.
    pub(crate) fn given(&self) -> &[Passphrase] {
        &self.given
    }

    /// Whether a key needed one, so that it may have been the wrong one.
    pub(crate) fn used(&self) -> bool {
        !self.asked.borrow().is_empty()
    }

    /// What sealing to this key takes.
    pub(crate) fn for_sealing(&self, key: &KeyRecord) -> Outcome<Vec<Passphrase>> {
        let locked = key.version(key.current).is_some_and(|version| version.protected);
        self.for_key(key, locked)
    }

    /// Adds what opening this message takes. Nothing is asked if a key without a passphrase opens
    /// it, or if no key here does.
    pub(crate) fn unlock_for(
        &self,
        builder: LocalBuilder,
        store: &Store,
        header: &Header,
    ) -> Outcome<LocalBuilder> {
        let keys: Vec<_> =
            header.recipients().iter().filter_map(|wrapped| held(store, wrapped)).collect();
        let given = match keys.first() {
            Some((key, _)) if keys.iter().all(|(_, locked)| *locked) => self.for_key(key, true)?,
            _ => self.given.clone(),
        };
        Ok(given.into_iter().fold(builder, LocalBuilder::passphrase))
    }

    /// Adds what opening with these keys takes, if no message says which: they may be locked in any of their versions.
    pub(crate) fn unlock_all(
        &self,
        builder: LocalBuilder,
        keys: &[KeyRecord],
    ) -> Outcome<LocalBuilder> {
        let mut given = self.given.clone();
        for key in keys {
            let locked = key.versions.iter().any(|version| version.protected);
            given.extend(self.for_key(key, locked)?.into_iter().skip(self.given.len()));
        }
        Ok(given.into_iter().fold(builder, LocalBuilder::passphrase))
    }

    /// What is needed to read this key's material.
    pub(crate) fn for_key(&self, key: &KeyRecord, locked: bool) -> Outcome<Vec<Passphrase>> {
        if !locked {
            return Ok(self.given.clone());
        }
        let mut asked = self.asked.borrow_mut();
        let answer = match asked.get(&key.id) {
            Some(answer) => answer.clone(),
            None if !self.given.is_empty() => None,
            None => {
                let prompt = format!("Passphrase for {}: ", uri(key));
                Some(ask::passphrase(&prompt, &self.cleanup)?)
            }
        };
        asked.insert(key.id.clone(), answer.clone());
        Ok(self.given.iter().cloned().chain(answer).collect())
    }

    /// How a new version is kept: under the passphrase of the file, or one that is asked for.
    pub(crate) fn protection(&self, wanted: bool, name: &str) -> Outcome<Protection> {
        match self.given.as_slice() {
            [] if !wanted => Ok(Protection::None),
            [] => {
                let what = format!("local:{}", shown::token(name));
                ask::new_passphrase(&what, &self.cleanup).map(Protection::Passphrase)
            }
            [one] => Ok(Protection::Passphrase(one.clone())),
            _ => Err(Failure::usage("a new key takes one --passphrase-file")),
        }
    }
}

/// The key that could unwrap this, if the store has it, and whether that takes a passphrase.
fn held(store: &Store, wrapped: &Wrapped) -> Option<(KeyRecord, bool)> {
    if wrapped.key.scheme() != "local" {
        return None;
    }
    let key = store.key(wrapped.key.id()).ok()?;
    let version = wrapped.version.as_ref().and_then(|version| version.as_str().parse().ok());
    let locked = key.version(version?)?.protected;
    Some((key, locked))
}

fn uri(key: &KeyRecord) -> String {
    format!("local:{}", shown::token(key.name.as_deref().unwrap_or(&key.id)))
}

/// The content of a file without the end of its line.
fn read(path: &PathBuf) -> Outcome<Passphrase> {
    let name = shown::path(path);
    let failed = |error: std::io::Error| Failure::io(&name, &error);
    let file = File::open(path).map_err(failed)?;
    // Room for all of it: growing would leave copies behind.
    let mut text =
        Zeroizing::new(String::with_capacity(usize::try_from(MAX_FILE_LEN + 1).unwrap_or(0)));
    let read = file.take(MAX_FILE_LEN + 1).read_to_string(&mut text);
    if read.map_err(failed)? as u64 > MAX_FILE_LEN {
        return Err(Failure::usage("is too long for a passphrase").at(&name));
    }
    let passphrase = text.strip_suffix('\n').unwrap_or(&text);
    let passphrase = passphrase.strip_suffix('\r').unwrap_or(passphrase);
    if passphrase.is_empty() {
        return Err(Failure::usage("holds no passphrase").at(&name));
    }
    Ok(Passphrase::from(passphrase.to_owned()))
}
