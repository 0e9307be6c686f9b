#![doc = include_str!("../README.md")]
#![cfg(any(feature = "aws-lc-rs", feature = "rustcrypto"))]

mod arn;
mod bound;
mod capabilities;
mod client;
mod connecting;
mod endpoint;
mod error;
mod metadata;
mod plain_http;
mod provider;
mod regions;
mod roles;
mod scheme;
mod seal;
mod settings;
mod sign;
mod signature;
mod unreached;

pub use provider::AwsKms;
pub use scheme::AwsKmsScheme;
pub use settings::AwsKmsBuilder;

/// An IAM policy with the least permissions: to seal and open with one key and to sign with
/// another. Put your own ARNs in. A test attaches this very text to a principal.
pub const LEAST_PRIVILEGE_POLICY: &str = include_str!("../policy.json");
