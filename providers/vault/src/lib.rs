#![doc = include_str!("../README.md")]
#![cfg(any(feature = "aws-lc-rs", feature = "rustcrypto"))]

mod address;
mod auth;
mod body;
mod bound;
mod capabilities;
mod ciphertext;
mod client;
mod connecting;
mod environment;
mod error;
mod http;
mod job;
mod login;
mod metadata;
mod provider;
mod public;
mod scheme;
mod seal;
mod secret;
mod server;
mod session;
mod settings;
mod sign;
mod tls;
mod token;

pub use auth::Auth;
pub use provider::Vault;
pub use scheme::VaultScheme;
pub use secret::Secret;
pub use settings::VaultBuilder;

/// A policy with the least rights: to seal and open with one key and to sign with another. Put your own
/// names in. A test gives this very text to a token.
pub const LEAST_PRIVILEGE_POLICY: &str = include_str!("../policy.hcl");
