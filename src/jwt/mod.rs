//! JSON Web Tokens (RFC 7519), signed by a provider's key, and JSON Web Keys (RFC 7517).
//!
//! [`Signer`] and [`Verifier`] are where to start; [`ProviderKeys`] are the keys of a provider,
//! [`JwkSet`] those of a document, and [`KeySource`] is what both are to a verifier.

mod claims;
mod compact;
mod date;
mod header;
mod invalid;
mod jwk;
mod provider;
mod registered;
mod signer;
mod source;
mod strict;
mod verified;
mod verifier;

pub use claims::Claims;
pub use header::Header;
pub use invalid::{InvalidToken, RegisteredClaim};
pub use jwk::{Jwk, JwkSet, MAX_SET_KEYS, MAX_SET_LEN};
pub use provider::ProviderKeys;
pub use signer::Signer;
pub use source::KeySource;
pub use verified::{Unverified, Verified, decode_unverified};
pub use verifier::{Verifier, VerifierBuilder};

/// Bytes in the longest token, unless a verifier is told otherwise.
pub const DEFAULT_MAX_LEN: usize = 16 * 1024;

#[cfg(test)]
mod tests;
