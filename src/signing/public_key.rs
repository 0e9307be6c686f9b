//! The public halves of keys.

use crate::{
    crypto::SigningAlgorithm,
    key::{KeyName, KeyState, KeyVersion},
};

/// The public half of one version of a signing key.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PublicKey {
    /// The key's canonical name.
    pub key: KeyName,
    /// The version; signing pins it, because the key id is part of what is signed.
    pub version: KeyVersion,
    /// The version's state.
    pub state: KeyState,
    /// Whether this is the version that new signatures are made with.
    pub current: bool,
    /// What the key may sign with: one algorithm, or the six of an RSA key.
    pub algorithms: Vec<SigningAlgorithm>,
    /// The key as DER SubjectPublicKeyInfo (RFC 5280, section 4.1.2.7).
    pub spki: Vec<u8>,
}

impl PublicKey {
    /// A public key that is active, not current and without algorithms: set the rest.
    #[must_use]
    pub const fn new(key: KeyName, version: KeyVersion, spki: Vec<u8>) -> Self {
        Self { key, version, state: KeyState::Active, current: false, algorithms: Vec::new(), spki }
    }
}
