//! What kinds of keys the store holds.

use std::{fmt, str::FromStr};

use bulla::{Error, ErrorKind, SigningAlgorithm};
use serde::{Deserialize, Serialize};

/// The kind of a key. Written and parsed as `aes-256`, `rsa-2048`, `p-256`, `ed25519` and so on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
#[non_exhaustive]
pub enum KeyType {
    /// AES-256: seals and opens.
    Aes256,
    /// RSA with a modulus of 2,048 bits: signs with RS256 to RS512 and PS256 to PS512.
    Rsa2048,
    /// RSA with a modulus of 3,072 bits.
    Rsa3072,
    /// RSA with a modulus of 4,096 bits.
    Rsa4096,
    /// NIST P-256: signs with ES256.
    P256,
    /// NIST P-384: signs with ES384.
    P384,
    /// NIST P-521: signs with ES512.
    P521,
    /// Ed25519: signs messages, not digests.
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

    /// The name, as in `key.json`.
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

    /// What keys of this type sign with; empty for AES.
    #[must_use]
    pub const fn signing_algorithms(self) -> &'static [SigningAlgorithm] {
        use SigningAlgorithm::*;
        match self {
            Self::Aes256 => &[],
            Self::Rsa2048 | Self::Rsa3072 | Self::Rsa4096 => {
                &[Rs256, Rs384, Rs512, Ps256, Ps384, Ps512]
            }
            Self::P256 => &[Es256],
            Self::P384 => &[Es384],
            Self::P521 => &[Es512],
            Self::Ed25519 => &[Ed25519],
        }
    }

    /// The `crv` of a JWK; empty for keys that are on no curve.
    pub(crate) const fn jwk_curve(self) -> &'static str {
        match self {
            Self::P256 => "P-256",
            Self::P384 => "P-384",
            Self::P521 => "P-521",
            Self::Ed25519 => "Ed25519",
            Self::Aes256 | Self::Rsa2048 | Self::Rsa3072 | Self::Rsa4096 => "",
        }
    }

    pub(crate) fn from_jwk_curve(curve: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|t| !curve.is_empty() && t.jwk_curve() == curve)
    }
}

impl fmt::Display for KeyType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for KeyType {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        Self::ALL.into_iter().find(|t| t.as_str() == text).ok_or_else(|| {
            let all = Self::ALL.map(Self::as_str).join(", ");
            Error::new(ErrorKind::InvalidInput, format!("the key type is none of {all}"))
        })
    }
}

impl TryFrom<String> for KeyType {
    type Error = Error;

    fn try_from(text: String) -> Result<Self, Error> {
        text.parse()
    }
}

impl From<KeyType> for String {
    fn from(key_type: KeyType) -> Self {
        key_type.as_str().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_parse_back_and_nothing_else_parses() {
        for key_type in KeyType::ALL {
            assert_eq!(key_type.to_string().parse::<KeyType>().unwrap(), key_type);
        }
        for bad in ["", "AES-256", "aes", "aes-256 ", "rsa-1024", "p256"] {
            assert_eq!(bad.parse::<KeyType>().unwrap_err().kind(), ErrorKind::InvalidInput);
        }
    }
}
