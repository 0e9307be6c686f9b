#![doc = include_str!("../README.md")]
#![cfg(any(feature = "aws-lc-rs", feature = "rustcrypto"))]

mod bound;
mod capabilities;
mod checksum;
mod client;
mod connecting;
mod credentials;
mod error;
mod metadata;
mod provider;
mod public;
mod resource;
mod scheme;
mod seal;
mod settings;
mod sign;
mod signature;

pub use provider::GcpKms;
pub use scheme::GcpKmsScheme;
pub use settings::GcpKmsBuilder;

/// A custom IAM role with the least permissions, to seal and open, and to sign, as
/// `gcloud iam roles create` takes it. A test gives these very permissions to a principal.
pub const LEAST_PRIVILEGE_ROLE: &str = include_str!("../role.yaml");
