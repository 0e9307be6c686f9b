//! What JOSE calls Ed25519.

use crate::crypto::SigningAlgorithm;

/// What Ed25519 is called in `alg`, of a token and of its key. The signature is the same.
///
/// Verifiers here take either for the other. Others may know only one, or want token and key to agree:
/// the repository's `docs/jwt.md` has what was tried.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ed25519Name {
    /// `EdDSA` (RFC 8037): what every library knows that knows Ed25519 at all.
    #[default]
    EdDsa,
    /// `Ed25519` (RFC 9864), which deprecates the other name.
    Ed25519,
}

impl Ed25519Name {
    /// The name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::EdDsa => "EdDSA",
            Self::Ed25519 => SigningAlgorithm::Ed25519.as_str(),
        }
    }

    /// What the algorithm is called.
    pub(crate) fn of(self, algorithm: SigningAlgorithm) -> &'static str {
        match algorithm {
            SigningAlgorithm::Ed25519 => self.as_str(),
            other => other.as_str(),
        }
    }
}
