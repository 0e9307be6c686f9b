//! The key store: a directory of files that belong to one user.

mod change;
mod entry;
mod exchange;
mod files;
mod layout;
mod lock;

use std::{
    collections::BTreeMap,
    fs::{self, File},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use bulla::{Error, ErrorKind, Result};
use etcetera::BaseStrategy;

pub(crate) use entry::Entry;
#[cfg(fuzzing)]
pub(crate) use layout::reread;
pub(crate) use layout::{StateFile, StoredState};

use crate::{
    key_type::KeyType,
    material::Material,
    name::{KeyId, check_new_name, is_name},
    passphrase::Protection,
    record::KeyRecord,
    timestamp::Timestamp,
};
use layout::{KeyFile, KeyFormat, MAX_FILE, damaged};
use lock::Waiting;

/// A key store in a directory. Making one touches nothing: files are read when a method needs
/// them. All methods block on the file system.
///
/// Where a method takes `name_or_id`, 32 lower-case hexadecimal digits are an id, anything else is
/// a name.
///
/// Methods that change something take the store's lock, which other programs on this machine keep to
/// as well: one change at a time. Those that wait too long for it answer [`ErrorKind::Timeout`], with
/// nothing changed; see [`lock_timeout`](Self::lock_timeout). Reading takes no lock.
///
/// # Security
/// Directories have mode 0700 and files 0600. A store, key or file that belongs to another user
/// than the one the program runs as, or that group or others may touch, is refused with
/// [`ErrorKind::Denied`], as is a symbolic link inside the store. On systems other than Unix,
/// owners and permissions are not checked: keep the store in a private directory.
#[derive(Clone, Debug)]
pub struct Store {
    root: PathBuf,
    waiting: Waiting,
}

impl Store {
    /// Where the store of this user is: `$BULLA_HOME`, or `bulla` in the user's data directory
    /// (`~/.local/share/bulla` on Linux).
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] if the user has no home directory: set `BULLA_HOME`.
    pub fn default_path() -> Result<PathBuf> {
        if let Some(home) = std::env::var_os("BULLA_HOME").filter(|home| !home.is_empty()) {
            return Ok(home.into());
        }
        etcetera::choose_base_strategy().map(|dirs| dirs.data_dir().join("bulla")).map_err(|_| {
            Error::new(ErrorKind::NotFound, "the user has no home directory; set BULLA_HOME")
        })
    }

    /// The store in `root`, whether or not there is one yet.
    #[must_use]
    pub fn at(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into(), waiting: Waiting::default() }
    }

    /// How long a change waits for another program's to end: 10 seconds unless set. Zero is not to
    /// wait at all.
    #[must_use]
    pub fn lock_timeout(self, timeout: Duration) -> Self {
        Self { waiting: Waiting { timeout, ..self.waiting }, ..self }
    }

    /// Calls this once in every change that has to wait, with the path of the lock, such as to tell
    /// a user what is being waited for.
    #[must_use]
    pub fn on_wait(self, told: impl Fn(&Path) + Send + Sync + 'static) -> Self {
        Self { waiting: Waiting { told: Some(Arc::new(told)), ..self.waiting }, ..self }
    }

    /// The directory.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.root
    }

    /// Whether a key was ever made here.
    #[must_use]
    pub fn exists(&self) -> bool {
        self.keys_dir().is_dir()
    }

    /// The same, but an error if that can't be told: a store out of reach is not an empty one.
    pub(crate) fn is_made(&self) -> Result<bool> {
        let dir = self.keys_dir();
        dir.try_exists().map_err(|error| files::failed("read", &dir, error))
    }

    /// Makes a key with one version, and the store if there is none.
    ///
    /// # Errors
    /// [`ErrorKind::AlreadyExists`] if the name is taken; [`ErrorKind::InvalidInput`] if it is not
    /// 1 to 64 characters of `[A-Za-z0-9._-]` or starts with `.` or `-`;
    /// [`ErrorKind::Unsupported`] for an asymmetric type in a build without the feature
    /// `aws-lc-rs`; [`ErrorKind::Denied`] or [`ErrorKind::Io`] if the files can't be written;
    /// [`ErrorKind::Timeout`] if another program keeps the store's lock: try again.
    pub fn create_key(
        &self,
        name: &str,
        key_type: KeyType,
        protection: &Protection,
    ) -> Result<KeyRecord> {
        check_new_name(name)?;
        // Making an RSA key takes a while: not while others wait for the lock.
        let material = Material::generate(key_type)?;
        self.add_key(name, &material, protection)
    }

    /// The key of that name or id.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] if there is none; [`ErrorKind::Denied`] if others have access to
    /// the store; [`ErrorKind::Damaged`] if a file of the key is damaged.
    pub fn key(&self, name_or_id: &str) -> Result<KeyRecord> {
        let entry = self.entry(name_or_id)?;
        Ok(entry.record(self.name_of(name_or_id, entry.id())?))
    }

    /// All keys, sorted by name, those without a name last. Empty if there is no store.
    ///
    /// # Errors
    /// [`ErrorKind::Denied`] if others have access to the store; [`ErrorKind::Damaged`] if a
    /// file is damaged.
    pub fn keys(&self) -> Result<Vec<KeyRecord>> {
        if !self.is_made()? {
            return Ok(Vec::new());
        }
        let names = self.names()?;
        let entries = self.entries()?;
        let named = |entry: &Entry| entry.record(names.get(entry.id()).cloned());
        let mut records: Vec<_> = entries.iter().map(named).collect();
        records.sort_by_cached_key(|r| (r.name.is_none(), r.name.clone(), r.id.clone()));
        Ok(records)
    }

    /// Every key, in the order of their ids.
    pub(crate) fn entries(&self) -> Result<Vec<Entry>> {
        self.check()?;
        let mut entries = Vec::new();
        for name in files::list(&self.keys_dir())? {
            let path = self.keys_dir().join(&name);
            let id = KeyId::parse(&name).ok_or_else(|| {
                let message = format!("{} does not belong into a store", path.display());
                Error::new(ErrorKind::Damaged, message)
            })?;
            entries.extend(Entry::read(path, &id)?);
        }
        Ok(entries)
    }

    /// Reads the key of that name or id.
    pub(crate) fn entry(&self, name_or_id: &str) -> Result<Entry> {
        let not_found = || {
            Error::new(
                ErrorKind::NotFound,
                format!(
                    "there is no key {name_or_id:?} in {}; list the keys there are, or create it",
                    self.root.display()
                ),
            )
        };
        if !self.is_made()? {
            return Err(not_found());
        }
        self.check()?;
        let id = match KeyId::parse(name_or_id) {
            Some(id) => id,
            None => self.read_name(name_or_id)?.ok_or_else(not_found)?,
        };
        Entry::read(self.key_dir(&id), &id)?.ok_or_else(not_found)
    }

    /// Whom a name stands for.
    fn read_name(&self, name: &str) -> Result<Option<KeyId>> {
        if !is_name(name) {
            return Ok(None);
        }
        let path = self.names_dir().join(name);
        let Some(content) = files::read(&path, MAX_FILE)? else { return Ok(None) };
        let id = std::str::from_utf8(&content).ok().and_then(|text| text.strip_suffix('\n'));
        let id = id.and_then(KeyId::parse).ok_or_else(|| damaged(&path, "it holds no id"))?;
        Ok(Some(id))
    }

    /// The name of each key that has one; the first in the alphabet if it has several.
    pub(crate) fn names(&self) -> Result<BTreeMap<KeyId, String>> {
        let mut names = BTreeMap::new();
        for name in files::list(&self.names_dir())? {
            if let Some(id) = self.read_name(&name)? {
                names.entry(id).or_insert(name);
            }
        }
        Ok(names)
    }

    /// The name that was asked for, or the one of that id.
    fn name_of(&self, asked: &str, id: &KeyId) -> Result<Option<String>> {
        match KeyId::parse(asked) {
            None => Ok(Some(asked.to_owned())),
            Some(_) => Ok(self.names()?.remove(id)),
        }
    }

    fn add_key(
        &self,
        name: &str,
        material: &Material,
        protection: &Protection,
    ) -> Result<KeyRecord> {
        let _lock = self.lock_or_make()?;
        let taken = || {
            let message = format!(
                "there is a key {name:?} in {} already; choose another name, or rotate that key",
                self.root.display()
            );
            Error::new(ErrorKind::AlreadyExists, message)
        };
        let name_path = self.names_dir().join(name);
        if fs::symlink_metadata(&name_path).is_ok() {
            return Err(taken());
        }
        for dir in [self.keys_dir(), self.names_dir()] {
            files::remove_unfinished(&dir)?;
        }
        let key = KeyFile {
            format: KeyFormat::V1,
            id: KeyId::generate()?,
            key_type: material.key_type(),
            created: Timestamp::now(),
        };
        let unfinished = files::make_unfinished_dir(&self.keys_dir())?;
        Entry::write_new(unfinished.path(), &key, material, protection)?;
        let dir = self.key_dir(&key.id);
        files::finish_dir(unfinished, &dir)?;
        if let Err(error) = files::create(&name_path, format!("{}\n", key.id).as_bytes()) {
            let is_taken = error.kind() == ErrorKind::AlreadyExists;
            // Nobody knows this key yet, so nothing is lost with it. The name may be there: making
            // it durable can fail too.
            if !is_taken {
                let _ = fs::remove_file(&name_path);
            }
            let _ = fs::remove_dir_all(&dir);
            return Err(if is_taken { taken() } else { error });
        }
        self.key(name)
    }

    /// Takes the lock of a store that exists.
    fn lock(&self) -> Result<File> {
        self.check()?;
        self.waiting.lock(&self.lock_path())
    }

    /// Takes the lock, making the store first if there is none.
    fn lock_or_make(&self) -> Result<File> {
        if !self.root.exists() {
            let parent = files::parent(&self.root);
            fs::create_dir_all(parent)
                .map_err(|error| files::failed("make the directory", parent, error))?;
        }
        files::make_dir(&self.root)?;
        files::check_root(&self.root)?;
        let lock = self.waiting.lock(&self.lock_path())?;
        files::make_dir(&self.names_dir())?;
        files::make_dir(&self.keys_dir())?;
        self.check()?;
        Ok(lock)
    }

    /// Refuses a store that others have access to.
    pub(crate) fn check(&self) -> Result<()> {
        files::check_root(&self.root)?;
        files::check_dir(&self.keys_dir())?;
        files::check_dir(&self.names_dir())
    }

    fn lock_path(&self) -> PathBuf {
        self.root.join("lock")
    }

    fn keys_dir(&self) -> PathBuf {
        self.root.join("keys")
    }

    fn names_dir(&self) -> PathBuf {
        self.root.join("names")
    }

    fn key_dir(&self, id: &KeyId) -> PathBuf {
        self.keys_dir().join(id.to_string())
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_cannot_be_made_durable_goes_with_its_key() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::at(dir.path().join("bulla"));
        let create = |name: &str| store.create_key(name, KeyType::Aes256, &Protection::None);
        create("first").unwrap();
        files::UNSYNCABLE.set(Some(store.names_dir()));
        assert_eq!(create("orders").unwrap_err().kind(), ErrorKind::Io);
        files::UNSYNCABLE.set(None);
        assert_eq!(store.keys().unwrap().len(), 1);
        assert_eq!(files::list(&store.names_dir()).unwrap(), ["first"]);
        create("orders").unwrap();
    }
}
