//! What the server says of a key, and what can be done with it.

use std::collections::BTreeMap;

use bulla::{Error, ErrorKind, Result, SigningAlgorithm, key::KeyState};
use serde::Deserialize;

use crate::{ciphertext::version_of, public};

/// What a key of a kind that can be bound is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    Seal(Cipher),
    Sign(Pair),
}

/// The ciphers of keys that seal: 256 bits, authenticated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cipher {
    Aes256Gcm,
    ChaCha20Poly1305,
    /// OpenBao's alone.
    XChaCha20Poly1305,
}

impl Cipher {
    /// Bytes of nonce and tag.
    pub(crate) const fn overhead(self) -> usize {
        match self {
            Self::Aes256Gcm | Self::ChaCha20Poly1305 => 12 + 16,
            Self::XChaCha20Poly1305 => 24 + 16,
        }
    }
}

/// The kinds of pairs that sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pair {
    /// With the bytes of the modulus.
    Rsa(usize),
    P256,
    P384,
    P521,
    Ed25519,
}

impl Pair {
    /// One of each kind.
    pub(crate) const ALL: [Self; 5] =
        [Self::Rsa(256), Self::P256, Self::P384, Self::P521, Self::Ed25519];

    pub(crate) const fn algorithms(self) -> &'static [SigningAlgorithm] {
        use SigningAlgorithm::*;
        match self {
            Self::Rsa(_) => &[Rs256, Rs384, Rs512, Ps256, Ps384, Ps512],
            Self::P256 => &[Es256],
            Self::P384 => &[Es384],
            Self::P521 => &[Es512],
            Self::Ed25519 => &[Ed25519],
        }
    }

    /// Bytes in every signature.
    pub(crate) const fn signature_len(self) -> usize {
        match self {
            Self::Rsa(modulus) => modulus,
            Self::P256 | Self::Ed25519 => 64,
            Self::P384 => 96,
            Self::P521 => 132,
        }
    }
}

/// A key as the server describes it.
#[derive(Debug)]
pub(crate) struct Described {
    pub(crate) purpose: Purpose,
    /// The server's word for its kind.
    pub(crate) kind: String,
    pub(crate) latest: u32,
    /// Versions below are not used to open, nor to verify.
    min_decryption: u32,
    /// Versions below are not used to seal, nor to sign. Zero allows all.
    min_encryption: u32,
    /// Versions below are gone.
    min_available: u32,
    soft_deleted: bool,
    /// Of a pair, the public halves of those versions that are in use, as SubjectPublicKeyInfo.
    pub(crate) publics: Vec<(u32, Vec<u8>)>,
}

/// The same as it is sent.
#[derive(Debug, Deserialize)]
pub(crate) struct Sent {
    name: String,
    #[serde(rename = "type")]
    kind: String,
    latest_version: u32,
    #[serde(default)]
    derived: bool,
    #[serde(default)]
    convergent_encryption: bool,
    #[serde(default)]
    min_decryption_version: u32,
    #[serde(default)]
    min_encryption_version: u32,
    #[serde(default)]
    min_available_version: u32,
    #[serde(default)]
    soft_deleted: bool,
    keys: BTreeMap<String, Version>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Version {
    Pair {
        public_key: String,
    },
    /// Of a key that seals, when it was made.
    Other(serde::de::IgnoredAny),
}

impl Described {
    /// # Errors
    /// [`ErrorKind::Unsupported`] for a kind of key that is of no use here; [`ErrorKind::Unavailable`]
    /// for an answer that can't be right.
    pub(crate) fn new(sent: Sent, asked: &str) -> Result<Self> {
        let odd = |how: &str| {
            Error::new(ErrorKind::Unavailable, format!("what the server says of key {asked} {how}"))
        };
        if sent.name != asked {
            return Err(odd("is about another key"));
        }
        if sent.latest_version == 0 {
            return Err(odd("has no version"));
        }
        let purpose = purpose(&sent)?;
        let mut publics = Vec::new();
        if let Purpose::Sign(pair) = purpose {
            for (version, entry) in &sent.keys {
                let version = version_of(version).ok_or_else(|| odd("has odd versions"))?;
                let spki = match entry {
                    Version::Pair { public_key } => public::spki(pair, public_key),
                    Version::Other(_) => None,
                };
                publics.push((version, spki.ok_or_else(|| odd("has no public key of its kind"))?));
            }
            publics.sort_unstable_by_key(|(version, _)| *version);
            if publics.last().map(|(version, _)| *version) != Some(sent.latest_version) {
                return Err(odd("lacks the latest version"));
            }
        }
        Ok(Self {
            purpose,
            kind: sent.kind,
            latest: sent.latest_version,
            min_decryption: sent.min_decryption_version,
            min_encryption: sent.min_encryption_version,
            min_available: sent.min_available_version,
            soft_deleted: sent.soft_deleted,
            publics,
        })
    }

    /// Of the key.
    pub(crate) fn state(&self) -> KeyState {
        match self.soft_deleted {
            true => KeyState::Disabled,
            false => KeyState::Active,
        }
    }

    /// Of a version that is in use.
    pub(crate) fn state_of(&self, version: u32) -> KeyState {
        match self.state() {
            KeyState::Active if version < self.min_encryption => KeyState::Deprecated,
            state => state,
        }
    }

    /// Why the key can't be used, if it can't.
    pub(crate) fn check_usable(&self, key: &str) -> Result<()> {
        match self.soft_deleted {
            false => Ok(()),
            true => Err(Error::new(
                ErrorKind::Disabled,
                format!("key {key} is soft-deleted; to use it, restore it (soft-delete-restore)"),
            )),
        }
    }

    /// Why that version can't be used to open, or to sign, if it can't.
    pub(crate) fn check_version(&self, key: &str, version: u32) -> Result<()> {
        self.check_usable(key)?;
        let (kind, what) = if version > self.latest {
            (ErrorKind::NotFound, format!("does not exist; the latest is {}", self.latest))
        } else if version < self.min_available {
            (ErrorKind::Destroyed, "was trimmed, and is gone".to_owned())
        } else if version < self.min_decryption {
            let least = self.min_decryption;
            let what = format!("is not in use; min_decryption_version is {least}");
            (ErrorKind::Disabled, what)
        } else {
            return Ok(());
        };
        Err(Error::new(kind, format!("version {version} of key {key} {what}")))
    }

    /// The same to sign with, for which there is one more limit.
    pub(crate) fn check_signing(&self, key: &str, version: u32) -> Result<()> {
        self.check_version(key, version)?;
        match version < self.min_encryption {
            false => Ok(()),
            true => Err(Error::new(
                ErrorKind::Disabled,
                format!(
                    "version {version} of key {key} does not sign any more; \
                     min_encryption_version is {}",
                    self.min_encryption
                ),
            )),
        }
    }
}

fn purpose(sent: &Sent) -> Result<Purpose> {
    let unsupported = |what: String| {
        let message = format!("key {} {what}", sent.name);
        Err(Error::new(ErrorKind::Unsupported, message))
    };
    if sent.derived || sent.convergent_encryption {
        return unsupported(
            "is made with derived=true, which binds a context in a way of its own and takes no \
             associated data with it; make one without"
                .to_owned(),
        );
    }
    Ok(match sent.kind.as_str() {
        "aes256-gcm96" => Purpose::Seal(Cipher::Aes256Gcm),
        "chacha20-poly1305" => Purpose::Seal(Cipher::ChaCha20Poly1305),
        "xchacha20-poly1305" => Purpose::Seal(Cipher::XChaCha20Poly1305),
        "rsa-2048" => Purpose::Sign(Pair::Rsa(256)),
        "rsa-3072" => Purpose::Sign(Pair::Rsa(384)),
        "rsa-4096" => Purpose::Sign(Pair::Rsa(512)),
        "ecdsa-p256" => Purpose::Sign(Pair::P256),
        "ecdsa-p384" => Purpose::Sign(Pair::P384),
        "ecdsa-p521" => Purpose::Sign(Pair::P521),
        "ed25519" => Purpose::Sign(Pair::Ed25519),
        other => {
            let other: String = other.chars().filter(char::is_ascii_graphic).take(40).collect();
            return unsupported(format!(
                "is of type {other}; sealing takes aes256-gcm96, chacha20-poly1305 or \
                 xchacha20-poly1305, and signing rsa-*, ecdsa-* or ed25519"
            ));
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn described(more: &str) -> Result<Described> {
        let text = format!(
            r#"{{"name":"k","type":"aes256-gcm96","latest_version":5,"keys":{{"4":1,"5":2}}{more}}}"#
        );
        Described::new(serde_json::from_str(&text).unwrap(), "k")
    }

    #[test]
    fn versions_have_their_limits() {
        let limits =
            r#","min_decryption_version":3,"min_encryption_version":4,"min_available_version":2"#;
        let key = described(limits).unwrap();
        let kind = |version| key.check_version("k", version).map_err(|e| e.kind());
        assert_eq!(kind(1), Err(ErrorKind::Destroyed));
        assert_eq!(kind(2), Err(ErrorKind::Disabled));
        assert_eq!(kind(3), Ok(()));
        assert_eq!(kind(5), Ok(()));
        assert_eq!(kind(6), Err(ErrorKind::NotFound));
        let signs = |version| key.check_signing("k", version).map_err(|e| e.kind());
        assert_eq!((signs(3), signs(4)), (Err(ErrorKind::Disabled), Ok(())));
        assert_eq!(key.state_of(3), KeyState::Deprecated);
        let gone = described(r#","soft_deleted":true"#).unwrap();
        assert_eq!(gone.check_version("k", 5).unwrap_err().kind(), ErrorKind::Disabled);
    }

    #[test]
    fn keys_that_bind_no_context_are_refused() {
        let text = |kind: &str| {
            let text =
                format!(r#"{{"name":"k","type":"{kind}","latest_version":1,"keys":{{"1":1}}}}"#);
            Described::new(serde_json::from_str(&text).unwrap(), "k").map(|d| d.purpose)
        };
        assert!(text("aes256-gcm96").is_ok());
        for kind in ["aes128-gcm96", "hmac", "aes256-cmac", "managed_key", "ml-dsa", ""] {
            assert_eq!(text(kind).unwrap_err().kind(), ErrorKind::Unsupported, "{kind}");
        }
        let error = described(r#","derived":true"#).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        // A pair whose public half is missing.
        assert_eq!(text("ecdsa-p256").unwrap_err().kind(), ErrorKind::Unavailable);
    }
}
