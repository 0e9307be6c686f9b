//! The seam under which the cryptographic libraries stand: AES-256-GCM, HKDF-Expand, HMAC, digests,
//! and the verification of signatures.
//!
//! Two backends, bit for bit alike; where both are compiled in, AWS-LC does the work and the other
//! is there for the differential tests. No primitive is this crate's own; what is checked here is
//! what the libraries leave to their callers, such as sizes of keys and signatures.
//!
//! Without a backend only the algorithms' names are there.

mod algorithm;
#[cfg(feature = "aws-lc-rs")]
pub(crate) mod aws_lc;
#[cfg(any(feature = "aws-lc-rs", feature = "rustcrypto"))]
mod backend;
#[cfg(any(feature = "aws-lc-rs", feature = "rustcrypto"))]
#[cfg_attr(not(feature = "jwt"), allow(dead_code, reason = "JSON Web Keys need more of it"))]
pub(crate) mod der;
#[cfg(any(feature = "aws-lc-rs", feature = "rustcrypto"))]
mod expand;
#[cfg(any(feature = "aws-lc-rs", feature = "rustcrypto"))]
#[cfg_attr(not(feature = "jwt"), allow(dead_code, reason = "JSON Web Keys need more of it"))]
mod public;
// Where both are on it only serves the differential tests.
#[cfg(all(feature = "rustcrypto", any(test, not(feature = "aws-lc-rs"))))]
pub(crate) mod rust_crypto;
#[cfg(any(feature = "aws-lc-rs", feature = "rustcrypto"))]
#[cfg_attr(not(feature = "jwt"), allow(dead_code, reason = "JSON Web Keys need more of it"))]
mod verifying;

pub use algorithm::SigningAlgorithm;
#[cfg(any(feature = "aws-lc-rs", feature = "rustcrypto"))]
pub(crate) use {
    backend::{Aead, Aes256Gcm, Backend, NONCE_LEN, Preferred, Signed, TAG_LEN, split},
    expand::Expander,
    public::{Curve, Public},
    verifying::Verifying,
};

#[cfg(test)]
#[cfg(any(feature = "aws-lc-rs", feature = "rustcrypto"))]
mod tests;
