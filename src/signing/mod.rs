//! What is signed, with what, and how a signature is checked.

mod ecdsa;
pub(crate) mod input;
pub(crate) mod public_key;
pub(crate) mod signature;
#[cfg(any(feature = "aws-lc-rs", feature = "rustcrypto"))]
mod verify;

pub use ecdsa::{ecdsa_from_der, ecdsa_to_der};
#[cfg(any(feature = "aws-lc-rs", feature = "rustcrypto"))]
pub use verify::verify;

pub(crate) use self::{input::SigningInput, public_key::PublicKey, signature::Signature};

#[cfg(test)]
#[cfg(feature = "aws-lc-rs")]
mod tests;
