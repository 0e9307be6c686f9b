//! Which keys a service seals to, behind which timeouts, is configuration: `bulla.toml` gives keys names,
//! puts several under one, and says how long to wait for each. This crate reads it into a
//! [`Registry`](bulla::Registry). The `bulla` command reads the same file.
//!
//! So a service runs with a local key on a developer's machine and with a KMS in production, and its code
//! knows neither. It says which kinds of keys there may be; this crate depends on none of them.
//!
//! ```
//! use std::sync::Arc;
//! use bulla::{Context, Registry};
//! use bulla_config::Config;
//! use bulla_local::{LocalScheme, Store};
//!
//! # use bulla_local::{KeyType, Protection};
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> bulla::Result<()> {
//! # let dir = tempfile::tempdir().map_err(bulla::Error::from_io)?;
//! # let store = Store::at(dir.path().join("keys"));
//! # store.create_key("dev", KeyType::Aes256, &Protection::None)?;
//! // A service calls `Config::from_env()`.
//! let text = "
//!     default = 'orders'
//!     [keys.orders]
//!     uri = 'local:dev' # in production: awskms:///alias/orders?region=eu-west-1
//! ";
//! let config = Config::from_text("bulla.toml", text)?;
//!
//! // In production: .scheme("awskms", Arc::new(bulla_aws_kms::AwsKmsScheme)) besides.
//! let schemes = Registry::builder().scheme("local", Arc::new(LocalScheme::new(store)));
//! let registry = config.connect_all(schemes).await?;
//! let sealer = config.default_sealer(&registry)?.build()?;
//! let opener = config.opener(&registry);
//!
//! let context = Context::new().with_key("tenant", "acme")?;
//! let sealed = sealer.seal(b"card number", &context).await?;
//! assert_eq!(&*opener.open(&sealed, &context).await?, b"card number");
//! # Ok(())
//! # }
//! ```
//!
//! | to | see |
//! |---|---|
//! | read a configuration | [`Config::from_env`], [`from_path`](Config::from_path), [`from_text`](Config::from_text) |
//! | connect to all keys, or start without some | [`Config::connect_all`], [`connect`](Config::connect) |
//! | seal to a key or a group, and open | [`Config::default_sealer`], [`sealer`](Config::sealer), [`opener`](Config::opener) |
//! | see what it says | [`Config::keys`], [`groups`](Config::groups), [`policies`](Config::policies) |
//! | tell an operator what is wrong | [`ConfigError`]: every mistake with its line |
//!
//! The fields of the file are in `docs/configuration.md`, and a whole service is `examples/service.rs`.
//!
//! # Features
//!
//! * `aws-lc-rs` (default) and `rustcrypto`: the core's cryptography; one of them is needed.

#![cfg(any(feature = "aws-lc-rs", feature = "rustcrypto"))]

mod check;
mod config;
mod connect;
mod duration;
mod error;
mod place;
mod schema;
mod sealing;
mod source;
#[cfg(test)]
mod tests;

pub use self::{
    config::{Config, Group, Key},
    connect::{Connected, connect_each},
    duration::{DurationError, parse_duration},
    error::{ConfigError, Mistake},
    place::{CONFIG_VARIABLE, KEY_VARIABLE, MAX_LEN},
    sealing::Recipients,
};
