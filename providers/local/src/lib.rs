//! The local key store of `bulla`: keys in a directory of files, and a provider over it.
//!
//! [`Store`] makes and keeps the keys; [`Local`] is the
//! [`CryptoProvider`](bulla::CryptoProvider) that seals, opens and signs with them.
//!
//! ```
//! use bulla::{Context, CryptoProviderExt};
//! use bulla_local::{KeyType, Local, Protection, Store};
//!
//! # async fn example() -> bulla::Result<()> {
//! let store = Store::at("/var/lib/orders/keys");
//! store.create_key("orders", KeyType::Aes256, &Protection::None)?;
//!
//! let local = Local::builder(store).sealing_key("orders").build()?;
//! let context = Context::new().with_key("tenant", "acme")?;
//! let sealed = local.seal(b"card number", &context).await?;
//! assert_eq!(&*local.open(&sealed, &context).await?, b"card number");
//! # Ok(())
//! # }
//! ```
//!
//! # Security
//! Whoever can read the files of an unprotected key has the key. A passphrase
//! ([`Protection::Passphrase`]) guards copies of the files (backups, stolen disks), not a machine
//! that somebody else controls: there the key is in the process's memory. Where that matters, keep
//! keys in a KMS or an HSM.
//!
//! Buffers that held a secret are wiped, those for reading and writing files and JSON included. Out
//! of reach are the kernel's page cache, swap and core dumps, and what the compiler and the crypto
//! libraries leave in registers and on the stack.
//!
//! The states of versions (`state.json`) are not authenticated: whoever may write to the store can
//! enable what was disabled, though not bring back what was destroyed.
#![cfg(any(feature = "aws-lc-rs", feature = "rustcrypto"))]

mod encoding;
#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzzing;
mod jwk;
mod key_type;
mod material;
mod name;
#[cfg_attr(not(feature = "aws-lc-rs"), path = "no_pair.rs")]
mod pair;
mod passphrase;
mod pem;
mod protect;
mod provider;
mod record;
mod scheme;
mod sealed;
mod store;
mod timestamp;

pub use key_type::KeyType;
pub use passphrase::{Passphrase, Protection};
pub use provider::{Local, LocalBuilder};
pub use record::{ExportFormat, KeyRecord, VersionRecord};
pub use scheme::LocalScheme;
pub use sealed::{SealedKey, SealedKeys, SealedKeysBuilder};
pub use store::Store;
pub use timestamp::Timestamp;
