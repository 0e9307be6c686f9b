//! Signature algorithms by name.

use std::fmt;

/// A signature algorithm of RFC 7518 (section 3.1) or RFC 8037.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum SigningAlgorithm {
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    Rs256,
    /// RSASSA-PKCS1-v1_5 with SHA-384.
    Rs384,
    /// RSASSA-PKCS1-v1_5 with SHA-512.
    Rs512,
    /// RSASSA-PSS with SHA-256 and a salt of 32 bytes.
    Ps256,
    /// RSASSA-PSS with SHA-384 and a salt of 48 bytes.
    Ps384,
    /// RSASSA-PSS with SHA-512 and a salt of 64 bytes.
    Ps512,
    /// ECDSA on P-256 with SHA-256; r‖s of 64 bytes.
    Es256,
    /// ECDSA on P-384 with SHA-384; r‖s of 96 bytes.
    Es384,
    /// ECDSA on P-521 with SHA-512; r‖s of 132 bytes.
    Es512,
    /// Ed25519 over the message itself; 64 bytes.
    Ed25519,
}

impl SigningAlgorithm {
    /// Every algorithm.
    pub const ALL: [Self; 10] = [
        Self::Rs256,
        Self::Rs384,
        Self::Rs512,
        Self::Ps256,
        Self::Ps384,
        Self::Ps512,
        Self::Es256,
        Self::Es384,
        Self::Es512,
        Self::Ed25519,
    ];

    /// The algorithm of that name, as in the `alg` of a JWT header. Ed25519 has two: `EdDSA` is what
    /// RFC 8037 called it before RFC 9864 named the curve.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "EdDSA" => Some(Self::Ed25519),
            _ => Self::ALL.into_iter().find(|algorithm| algorithm.as_str() == name),
        }
    }

    /// The `alg` of a JWT header. Ed25519 has the name that RFC 9864 gave it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Rs384 => "RS384",
            Self::Rs512 => "RS512",
            Self::Ps256 => "PS256",
            Self::Ps384 => "PS384",
            Self::Ps512 => "PS512",
            Self::Es256 => "ES256",
            Self::Es384 => "ES384",
            Self::Es512 => "ES512",
            Self::Ed25519 => "Ed25519",
        }
    }

    /// The bytes in the digest that is signed; none for Ed25519, which takes the message.
    #[must_use]
    pub const fn digest_len(self) -> Option<usize> {
        match self {
            Self::Rs256 | Self::Ps256 | Self::Es256 => Some(32),
            Self::Rs384 | Self::Ps384 | Self::Es384 => Some(48),
            Self::Rs512 | Self::Ps512 | Self::Es512 => Some(64),
            Self::Ed25519 => None,
        }
    }
}

impl fmt::Display for SigningAlgorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
