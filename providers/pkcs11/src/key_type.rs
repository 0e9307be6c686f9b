//! The kinds of keys that a token is asked to make.

use std::{fmt, str::FromStr};

use bulla::{Error, ErrorKind, Result};

/// What kind of key a token is to make.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum KeyType {
    /// AES with 256 bits, which seals and opens.
    Aes256,
    /// RSA with a modulus of 2,048 bits, which signs.
    Rsa2048,
    /// RSA with a modulus of 3,072 bits, which signs.
    Rsa3072,
    /// RSA with a modulus of 4,096 bits, which signs.
    Rsa4096,
    /// A pair on the curve P-256, which signs.
    P256,
    /// A pair on the curve P-384, which signs.
    P384,
    /// A pair on the curve P-521, which signs.
    P521,
    /// An Ed25519 pair, which signs.
    Ed25519,
}

impl KeyType {
    /// Every type, in the order of their declaration.
    pub const ALL: [Self; 8] = [
        Self::Aes256,
        Self::Rsa2048,
        Self::Rsa3072,
        Self::Rsa4096,
        Self::P256,
        Self::P384,
        Self::P521,
        Self::Ed25519,
    ];

    /// The name, such as `aes-256`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Aes256 => "aes-256",
            Self::Rsa2048 => "rsa-2048",
            Self::Rsa3072 => "rsa-3072",
            Self::Rsa4096 => "rsa-4096",
            Self::P256 => "p-256",
            Self::P384 => "p-384",
            Self::P521 => "p-521",
            Self::Ed25519 => "ed25519",
        }
    }

    /// Whether keys of this type seal and open. The others sign.
    #[must_use]
    pub const fn seals(self) -> bool {
        matches!(self, Self::Aes256)
    }
}

impl fmt::Display for KeyType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Fails with [`ErrorKind::InvalidInput`].
impl FromStr for KeyType {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::ALL.into_iter().find(|key_type| key_type.as_str() == text).ok_or_else(|| {
            let all = Self::ALL.map(Self::as_str).join(", ");
            let message = format!("unknown type of key {text:?}; the types are {all}");
            Error::new(ErrorKind::InvalidInput, message)
        })
    }
}
