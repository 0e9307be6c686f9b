#![doc = include_str!("../README.md")]
#![cfg(any(feature = "aws-lc-rs", feature = "rustcrypto"))]

mod answer;
mod body;
mod bound;
mod capabilities;
mod client;
mod cloud;
mod connecting;
mod credential;
mod environment;
mod error;
mod id;
mod metadata;
mod provider;
mod public;
mod scheme;
mod seal;
mod settings;
mod sign;
mod tls;
mod tokens;
mod transport;

pub use credential::Credential;
pub use provider::AzureKeyVault;
pub use scheme::AzureKeyVaultScheme;
pub use settings::AzureKeyVaultBuilder;
