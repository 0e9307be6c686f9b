//! The JSON files of a key, field by field. The text for people is in FORMAT.md, "The local key store".

use std::path::Path;

use bulla::{Error, ErrorKind, Result, key::KeyState};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::{key_type::KeyType, name::KeyId, protect::Kdf, timestamp::Timestamp};

/// The most bytes that `key.json`, `v<N>.json` and the files in `names` may have.
pub(crate) const MAX_FILE: usize = 64 * 1024;

/// The most bytes that `state.json` may have: it grows with every rotation, to about 8,000.
pub(crate) const MAX_STATE_FILE: usize = 1024 * 1024;

/// `key.json`: what never changes about a key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct KeyFile {
    pub(crate) format: KeyFormat,
    pub(crate) id: KeyId,
    #[serde(rename = "type")]
    pub(crate) key_type: KeyType,
    pub(crate) created: Timestamp,
}

/// `v<N>.json`: the material of one version.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct VersionFile<'a> {
    pub(crate) format: VersionFormat,
    pub(crate) id: KeyId,
    pub(crate) version: u32,
    pub(crate) created: Timestamp,
    pub(crate) protection: FileProtection,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) public: Option<String>,
    /// Borrowed from the file's bytes, so that parsing makes no copy that isn't wiped.
    pub(crate) material: &'a str,
}

/// `state.json`: the only file of a key that changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct StateFile {
    pub(crate) format: StateFormat,
    pub(crate) id: KeyId,
    pub(crate) current: u32,
    /// In ascending order.
    pub(crate) versions: Vec<VersionState>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct VersionState {
    pub(crate) version: u32,
    pub(crate) state: StoredState,
    /// As in `v<N>.json`; here too, so that listing reads no secrets and a destroyed version keeps
    /// its date.
    pub(crate) created: Timestamp,
    pub(crate) protection: ProtectionKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum KeyFormat {
    #[serde(rename = "bulla-key/1")]
    V1,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum VersionFormat {
    #[serde(rename = "bulla-key-version/1")]
    V1,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum StateFormat {
    #[serde(rename = "bulla-key-state/1")]
    V1,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum FileProtection {
    None,
    Argon2id(Kdf),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum ProtectionKind {
    None,
    Argon2id,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum StoredState {
    Active,
    Deprecated,
    Disabled,
    Destroyed,
}

impl FileProtection {
    pub(crate) fn kind(&self) -> ProtectionKind {
        match self {
            Self::None => ProtectionKind::None,
            Self::Argon2id(_) => ProtectionKind::Argon2id,
        }
    }
}

impl From<StoredState> for KeyState {
    fn from(state: StoredState) -> Self {
        match state {
            StoredState::Active => Self::Active,
            StoredState::Deprecated => Self::Deprecated,
            StoredState::Disabled => Self::Disabled,
            StoredState::Destroyed => Self::Destroyed,
        }
    }
}

impl StateFile {
    /// Checks what the types don't say.
    pub(crate) fn check(&self) -> Result<(), &'static str> {
        if !self.versions.iter().is_sorted_by(|a, b| a.version < b.version) {
            return Err("the versions are not in ascending order");
        }
        if self.versions.iter().any(|v| v.version == 0) {
            return Err("versions are numbered from 1");
        }
        self.version(self.current).map(|_| ()).ok_or("the current version is not listed")
    }

    pub(crate) fn version(&self, version: u32) -> Option<&VersionState> {
        self.versions.iter().find(|v| v.version == version)
    }
}

/// Parses a file of the store.
///
/// # Errors
/// [`ErrorKind::Unsupported`] for a file of a later format, [`ErrorKind::Damaged`] for one
/// that is damaged. Neither tells what the file holds: it may be a secret.
pub(crate) fn parse<'a, T: Deserialize<'a>>(path: &Path, content: &'a [u8]) -> Result<T> {
    serde_json::from_slice(content).map_err(|error| match later_format(content) {
        Some(format) => Error::new(
            ErrorKind::Unsupported,
            format!("{} has format {format}: read it with a later bulla", path.display()),
        ),
        None => damaged(
            path,
            &format!("unexpected content at line {}, column {}", error.line(), error.column()),
        ),
    })
}

/// The format that a file states, if it is one of ours with another number than 1.
fn later_format(content: &[u8]) -> Option<&str> {
    #[derive(Deserialize)]
    struct Stated<'a> {
        format: &'a str,
    }
    let stated: Stated<'_> = serde_json::from_slice(content).ok()?;
    let (family, number) = stated.format.split_once('/')?;
    let ours = ["bulla-key", "bulla-key-version", "bulla-key-state"].contains(&family);
    let later = number.parse::<u32>().is_ok_and(|n| n > 1);
    (ours && later).then_some(stated.format)
}

/// Writes a file's content into memory that is wiped.
pub(crate) fn render<T: Serialize>(value: &T, limit: usize) -> Result<Zeroizing<Vec<u8>>> {
    // Sized for the most there can be: growing would leave copies behind.
    let mut out = Zeroizing::new(Vec::with_capacity(limit));
    serde_json::to_writer_pretty(&mut *out, value)
        .map_err(|e| Error::new(ErrorKind::Internal, "can't write JSON").with_source(e))?;
    out.push(b'\n');
    if out.len() > limit {
        return Err(Error::new(
            ErrorKind::InvalidInput,
            "the key has too many versions or too long a material for its file; make a new key",
        ));
    }
    Ok(out)
}

/// Reads a file as each kind that there is; what is accepted is written and read again.
#[cfg(fuzzing)]
pub(crate) fn reread(content: &[u8]) {
    let path = Path::new("file.json");
    /// With room for whatever was read.
    fn written(file: &impl Serialize) -> Vec<u8> {
        render(file, 1 << 20).map(|text| text.to_vec()).unwrap_or_default()
    }
    if let Ok(file) = parse::<KeyFile>(path, content) {
        assert!(parse::<KeyFile>(path, &written(&file)).is_ok(), "what was written can be read");
    }
    if let Ok(file) = parse::<VersionFile<'_>>(path, content) {
        assert!(parse::<VersionFile<'_>>(path, &written(&file)).is_ok());
    }
    if let Ok(file) = parse::<StateFile>(path, content) {
        assert!(parse::<StateFile>(path, &written(&file)).is_ok());
        let _ = file.check();
    }
}

/// The error for a file that is not as this program wrote it.
pub(crate) fn damaged(path: &Path, why: &str) -> Error {
    Error::new(
        ErrorKind::Damaged,
        format!("{} is damaged: {why}; restore it from a backup", path.display()),
    )
}
