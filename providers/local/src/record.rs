//! What the store tells about a key.

use bulla::key::KeyState;

use crate::{key_type::KeyType, timestamp::Timestamp};

/// A key and its versions, without anything secret.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct KeyRecord {
    /// The immutable id: 32 lower-case hexadecimal digits.
    pub id: String,
    /// The name, if the key has one. A key is left without by a crash between its creation and
    /// its naming.
    pub name: Option<String>,
    /// What kind of key it is.
    pub key_type: KeyType,
    /// When it was made or imported.
    pub created: Timestamp,
    /// The version that seals or signs.
    pub current: u32,
    /// All versions, oldest first. Numbers start at 1 and may have gaps.
    pub versions: Vec<VersionRecord>,
}

impl KeyRecord {
    /// That version, if there is one.
    #[must_use]
    pub fn version(&self, version: u32) -> Option<&VersionRecord> {
        self.versions.iter().find(|v| v.version == version)
    }

    /// The state of the current version.
    #[must_use]
    pub fn state(&self) -> KeyState {
        // The current version is always among the versions.
        self.version(self.current).map_or(KeyState::Destroyed, |v| v.state)
    }
}

/// One version of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct VersionRecord {
    /// The number, from 1.
    pub version: u32,
    /// What it may be used for.
    pub state: KeyState,
    /// When it was made or imported.
    pub created: Timestamp,
    /// Whether its file is encrypted under a passphrase.
    pub protected: bool,
}

/// How an exported key is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ExportFormat {
    /// PEM (RFC 7468): PKCS#8, or SubjectPublicKeyInfo for a public key.
    Pem,
    /// A JSON Web Key (RFC 7517).
    Jwk,
    /// PEM as older programs want it: an RSAPrivateKey (PKCS#1, RFC 8017). RSA keys, private
    /// ones only.
    Pkcs1,
    /// PEM as older programs want it: an ECPrivateKey (SEC 1, RFC 5915) that names its curve. EC
    /// keys, private ones only.
    Sec1,
}
