#![doc = include_str!("../README.md")]
#![cfg(any(feature = "aws-lc-rs", feature = "rustcrypto"))]

mod arn;
mod bound;
mod builder;
mod client;
mod error;
mod keys;
mod late;
mod metadata;
mod provider;
mod regions;
mod scheme;
mod seal;
mod sign;
mod signature;
mod transmit;

pub use builder::AwsKmsBuilder;
pub use provider::AwsKms;
pub use scheme::AwsKmsScheme;

/// An IAM policy with the least permissions: to seal and open with one key and to sign with
/// another. Put your own ARNs in. A test attaches this very text to a principal.
pub const LEAST_PRIVILEGE_POLICY: &str = include_str!("../policy.json");
