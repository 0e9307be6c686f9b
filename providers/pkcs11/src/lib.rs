#![doc = include_str!("../README.md")]
#![cfg(any(feature = "aws-lc-rs", feature = "rustcrypto"))]

mod bound;
mod capabilities;
mod client;
mod connecting;
mod create;
mod creating;
mod error;
mod key_type;
mod login;
mod module;
mod object;
mod pin;
mod provider;
mod public;
mod scheme;
mod seal;
mod selection;
mod settings;
mod sign;
mod template;
mod token;

pub use creating::CreatedKey;
pub use key_type::KeyType;
pub use provider::Pkcs11;
pub use scheme::Pkcs11Scheme;
pub use selection::KeySelection;
pub use settings::Pkcs11Builder;
