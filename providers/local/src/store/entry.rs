//! One key as its directory holds it.

use std::path::{Path, PathBuf};

use bulla::{Error, ErrorKind, Result};
use zeroize::Zeroizing;

use super::{
    files,
    layout::{
        FileProtection, KeyFile, MAX_FILE, MAX_STATE_FILE, ProtectionKind, StateFile, StateFormat,
        StoredState, VersionFile, VersionFormat, VersionState, damaged, parse, render,
    },
};
use crate::{
    encoding::{from_base64, to_base64},
    key_type::KeyType,
    material::Material,
    name::KeyId,
    pair::public_members,
    passphrase::{Passphrase, Protection},
    protect::{Kdf, Place},
    record::{KeyRecord, VersionRecord},
    timestamp::Timestamp,
};

/// A key's directory, with `key.json` and `state.json` read and checked. No secrets in here.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    dir: PathBuf,
    key: KeyFile,
    pub(crate) state: StateFile,
}

impl Entry {
    /// Writes the directory of a new key with its first version.
    pub(super) fn write_new(
        dir: &Path,
        key: &KeyFile,
        material: &Material,
        protection: &Protection,
    ) -> Result<()> {
        files::create(&dir.join("key.json"), &render(key, MAX_FILE)?)?;
        let place = Place { id: &key.id, version: 1, key_type: key.key_type };
        let first = write_version(dir, place, key.created, material, protection)?;
        let state = StateFile {
            format: StateFormat::V1,
            id: key.id.clone(),
            current: first.version,
            versions: vec![first],
        };
        files::create(&dir.join("state.json"), &render(&state, MAX_STATE_FILE)?)
    }

    /// Reads the key in `dir`; `None` if there is no such directory.
    pub(super) fn read(dir: PathBuf, id: &KeyId) -> Result<Option<Self>> {
        match files::check_dir(&dir) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            other => other?,
        }
        let path = dir.join("key.json");
        let key: KeyFile = parse(&path, &existing(&path, MAX_FILE)?)?;
        if key.id != *id {
            return Err(damaged(&path, "it is the file of another key"));
        }
        let state = read_state(&dir, id)?;
        Ok(Some(Self { dir, key, state }))
    }

    pub(crate) fn id(&self) -> &KeyId {
        &self.key.id
    }

    pub(crate) fn key_type(&self) -> KeyType {
        self.key.key_type
    }

    /// What `state.json` says now.
    pub(crate) fn read_state(&self) -> Result<StateFile> {
        files::check_dir(&self.dir)?;
        read_state(&self.dir, self.id())
    }

    /// The same key in the state that `state.json` says now.
    pub(crate) fn reread(&self) -> Result<Self> {
        Ok(self.with_state(self.read_state()?))
    }

    /// The same key in another state.
    pub(crate) fn with_state(&self, state: StateFile) -> Self {
        Self { state, ..self.clone() }
    }

    /// Whether a version is listed as protected by a passphrase.
    pub(crate) fn is_protected(&self, version: u32) -> bool {
        self.state.version(version).is_some_and(|v| v.protection != ProtectionKind::None)
    }

    pub(super) fn write_state(&self) -> Result<()> {
        files::replace(&self.dir.join("state.json"), &render(&self.state, MAX_STATE_FILE)?)
    }

    /// Writes the material of a new version and lists it, as the current one, in `self.state`.
    pub(super) fn add_version(
        &mut self,
        material: &Material,
        protection: &Protection,
    ) -> Result<()> {
        let version = self.next_version()?;
        let place = Place { version, ..self.place(version) };
        let listed = write_version(&self.dir, place, Timestamp::now(), material, protection)?;
        self.state.current = version;
        self.state.versions.push(listed);
        Ok(())
    }

    /// How the current version is protected, with the one of these passphrases that opens it.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] if it is protected and none of them does.
    pub(super) fn current_protection(&self, passphrases: &[Passphrase]) -> Result<Protection> {
        let version = self.state.current;
        if !self.is_protected(version) {
            return Ok(Protection::None);
        }
        let id = self.id();
        if self.listed(version)?.state == StoredState::Destroyed {
            let message = format!(
                "version {version} of key {id} was destroyed, and nothing is left to check a \
                 passphrase with; give one with `Store::rotate`"
            );
            return Err(Error::new(ErrorKind::InvalidInput, message));
        }
        for passphrase in passphrases {
            match self.material(version, std::slice::from_ref(passphrase)) {
                Ok(_) => return Ok(Protection::Passphrase(passphrase.clone())),
                Err(error) if error.kind() == ErrorKind::NotAuthentic => {}
                Err(error) => return Err(error),
            }
        }
        let message = format!(
            "version {version} of key {id} is protected by a passphrase that was not given; give \
             it with `LocalBuilder::passphrase`"
        );
        Err(Error::new(ErrorKind::InvalidInput, message))
    }

    /// One above every version listed and every file there is: a file that a crash or an older
    /// `state.json` left unlisted is never overwritten.
    fn next_version(&self) -> Result<u32> {
        let listed = self.state.versions.iter().map(|v| v.version);
        let names = files::list(&self.dir)?;
        let in_files =
            names.iter().filter_map(|n| n.strip_prefix('v')?.strip_suffix(".json")?.parse().ok());
        listed.chain(in_files).max().unwrap_or(0).checked_add(1).ok_or_else(|| {
            Error::new(
                ErrorKind::InvalidInput,
                "the key has no version numbers left; make a new key",
            )
        })
    }

    /// Removes the files of destroyed versions, and what a crash left unfinished.
    pub(super) fn sweep(&self) -> Result<()> {
        files::remove_unfinished(&self.dir)?;
        let mut destroyed =
            self.state.versions.iter().filter(|v| v.state == StoredState::Destroyed);
        destroyed.try_for_each(|v| files::remove(&self.version_path(v.version)))
    }

    /// Reads the material of a version, whatever its state; the first passphrase that fits opens
    /// it.
    pub(crate) fn material(&self, version: u32, passphrases: &[Passphrase]) -> Result<Material> {
        self.material_in(&self.read_version(version)?, version, passphrases)
    }

    /// What the file of a version holds.
    pub(crate) fn read_version(&self, version: u32) -> Result<Zeroizing<Vec<u8>>> {
        existing(&self.version_path(version), MAX_FILE)
    }

    /// The material in a file that was read before.
    pub(crate) fn material_in(
        &self,
        content: &[u8],
        version: u32,
        passphrases: &[Passphrase],
    ) -> Result<Material> {
        let path = self.version_path(version);
        let file = self.parse_version(&path, content, version)?;
        let stored = from_base64(file.material).map_err(|e| damaged(&path, e.message()))?;
        let secret = match &file.protection {
            FileProtection::None => stored,
            FileProtection::Argon2id(kdf) => {
                unprotect(kdf, self.place(version), &stored, passphrases, &path)?
            }
        };
        let public = stored_public(&file, &path)?;
        Material::from_stored(self.key_type(), secret, public).map_err(|e| blame(&path, e))
    }

    /// Reads the public key of a version, as SubjectPublicKeyInfo. Needs no passphrase, and so
    /// can't tell for a protected version whether it is the one of the material.
    pub(crate) fn public(&self, version: u32) -> Result<Vec<u8>> {
        if self.key_type().seals() {
            let message = format!("key {} is an AES key: it has no public key", self.id());
            return Err(Error::new(ErrorKind::InvalidInput, message));
        }
        let path = self.version_path(version);
        let content = existing(&path, MAX_FILE)?;
        let file = self.parse_version(&path, &content, version)?;
        if file.protection.kind() == ProtectionKind::None {
            self.material_in(&content, version, &[])?;
        }
        let public =
            stored_public(&file, &path)?.ok_or_else(|| damaged(&path, "`public` is missing"))?;
        public_members(self.key_type(), &public).map_err(|e| blame(&path, e))?;
        Ok(public)
    }

    fn parse_version<'a>(
        &self,
        path: &Path,
        content: &'a [u8],
        version: u32,
    ) -> Result<VersionFile<'a>> {
        let listed = self.listed(version)?;
        let file: VersionFile<'_> = parse(path, content)?;
        if file.id != *self.id() || file.version != version {
            return Err(damaged(path, "it is the file of another key or version"));
        }
        if file.created != listed.created || file.protection.kind() != listed.protection {
            return Err(damaged(path, "it does not agree with state.json"));
        }
        Ok(file)
    }

    /// The entry of a version in `state.json`.
    pub(crate) fn listed(&self, version: u32) -> Result<&VersionState> {
        self.state.version(version).ok_or_else(|| {
            Error::new(
                ErrorKind::NotFound,
                format!(
                    "key {} has no version {version}; perhaps the store is an older copy",
                    self.id()
                ),
            )
        })
    }

    pub(crate) fn record(&self, name: Option<String>) -> KeyRecord {
        let versions = self.state.versions.iter().map(|v| VersionRecord {
            version: v.version,
            state: v.state.into(),
            created: v.created,
            protected: v.protection != ProtectionKind::None,
        });
        KeyRecord {
            id: self.id().to_string(),
            name,
            key_type: self.key_type(),
            created: self.key.created,
            current: self.state.current,
            versions: versions.collect(),
        }
    }

    fn place(&self, version: u32) -> Place<'_> {
        Place { id: self.id(), version, key_type: self.key_type() }
    }

    fn version_path(&self, version: u32) -> PathBuf {
        version_path(&self.dir, version)
    }
}

fn version_path(dir: &Path, version: u32) -> PathBuf {
    dir.join(format!("v{version}.json"))
}

fn write_version(
    dir: &Path,
    place: Place<'_>,
    created: Timestamp,
    material: &Material,
    protection: &Protection,
) -> Result<VersionState> {
    let (protection, stored) = match protection {
        Protection::None => (FileProtection::None, to_base64(material.secret())),
        Protection::Passphrase(passphrase) => {
            let kdf = Kdf::generate()?;
            let blob = kdf.protect(passphrase, place, material.secret())?;
            (FileProtection::Argon2id(kdf), to_base64(&blob))
        }
    };
    let file = VersionFile {
        format: VersionFormat::V1,
        id: place.id.clone(),
        version: place.version,
        created,
        protection,
        public: material.public().map(|p| to_base64(p).to_string()),
        material: &stored,
    };
    files::create(&version_path(dir, place.version), &render(&file, MAX_FILE)?)?;
    Ok(VersionState {
        version: place.version,
        state: StoredState::Active,
        created,
        protection: file.protection.kind(),
    })
}

fn unprotect(
    kdf: &Kdf,
    place: Place<'_>,
    blob: &[u8],
    passphrases: &[Passphrase],
    path: &Path,
) -> Result<Zeroizing<Vec<u8>>> {
    for passphrase in passphrases {
        match kdf.unprotect(passphrase, place, blob) {
            Err(error) if error.kind() == ErrorKind::NotAuthentic => {}
            other => return other.map_err(|error| blame(path, error)),
        }
    }
    let (kind, message) = if passphrases.is_empty() {
        (
            ErrorKind::InvalidInput,
            "is protected by a passphrase; give it, in a program with \
          `LocalBuilder::passphrase`",
        )
    } else {
        (ErrorKind::NotAuthentic, "does not open: wrong passphrase, or the file was altered")
    };
    Err(Error::new(kind, format!("{} {message}", path.display())))
}

fn stored_public(file: &VersionFile<'_>, path: &Path) -> Result<Option<Vec<u8>>> {
    let public = file.public.as_deref().map(from_base64).transpose();
    Ok(public.map_err(|e| damaged(path, e.message()))?.map(|public| public.to_vec()))
}

/// Names the file in an error about what it held.
fn blame(path: &Path, error: Error) -> Error {
    match error.kind() {
        ErrorKind::InvalidInput => damaged(path, error.message()),
        _ => error,
    }
}

fn read_state(dir: &Path, id: &KeyId) -> Result<StateFile> {
    let path = dir.join("state.json");
    let state: StateFile = parse(&path, &existing(&path, MAX_STATE_FILE)?)?;
    if state.id != *id {
        return Err(damaged(&path, "it is the file of another key"));
    }
    state.check().map_err(|why| damaged(&path, why))?;
    Ok(state)
}

fn existing(path: &Path, limit: usize) -> Result<Zeroizing<Vec<u8>>> {
    files::read(path, limit)?.ok_or_else(|| {
        let message = format!("{} is missing; restore it from a backup", path.display());
        Error::new(ErrorKind::NotFound, message)
    })
}
