//! Envelope encryption, streaming encryption and signing with keys held in a KMS or an HSM.
//!
//! What most code needs is here at the root; each module holds what belongs to its subject and is
//! needed less often. Every type has one path.
//!
//! | to | start at |
//! |---|---|
//! | seal and open values and streams with one provider | [`CryptoProviderExt`] |
//! | seal to several recipients, with a cache, or rewrap | [`Sealer`], [`Opener`], [`envelope`] |
//! | read, write, stream or read at an offset | [`stream`] |
//! | sign and verify | [`jwt`], [`signing`] |
//! | name providers and find them again | [`Registry`], [`registry`], [`KeyUri`], [`key`] |
//! | survive an outage | [`resilience`] |
//! | look into sealed bytes | [`mod@format`] |
//! | write a provider | [`CryptoProvider`], [`provider`] |
//!
//! ```
//! use bulla::{Context, CryptoProvider, CryptoProviderExt};
//!
//! # async fn example(vault: &dyn CryptoProvider) -> bulla::Result<()> {
//! let context = Context::new().with_key("tenant", "acme")?.with_item("row", "7")?;
//! let sealed = vault.seal(b"card number", &context).await?;
//! assert_eq!(&*vault.open(&sealed, &context).await?, b"card number");
//! # Ok(())
//! # }
//! ```
//!
//! # Features
//!
//! * `aws-lc-rs` (default): the cryptography of AWS-LC; needs a C compiler to build.
//! * `rustcrypto`: the same from the RustCrypto crates. Where both are on, AWS-LC does the work.
//! * `jwt` (default): JSON Web Tokens; needs one of the two.
//!
//! With neither backend there are types and traits only: enough to write a provider or name a key.

#![cfg_attr(
    not(any(feature = "aws-lc-rs", feature = "rustcrypto")),
    allow(dead_code, reason = "without a backend there is nothing that reads the format")
)]

mod context;
mod crypto;
#[cfg(any(feature = "aws-lc-rs", feature = "rustcrypto"))]
pub mod envelope;
mod error;
#[cfg(any(feature = "aws-lc-rs", feature = "rustcrypto"))]
mod ext;
#[cfg(any(feature = "aws-lc-rs", feature = "rustcrypto"))]
#[doc(hidden)]
pub mod flight;
#[cfg(any(feature = "aws-lc-rs", feature = "rustcrypto"))]
pub mod format;
#[cfg(all(feature = "jwt", any(feature = "aws-lc-rs", feature = "rustcrypto")))]
pub mod jwt;
pub mod key;
pub mod provider;
pub mod registry;
pub mod resilience;
pub mod signing;
#[cfg(any(feature = "aws-lc-rs", feature = "rustcrypto"))]
pub mod stream;
#[cfg(all(test, any(feature = "aws-lc-rs", feature = "rustcrypto")))]
mod testing;

pub use self::{
    context::{Context, EncryptionContext},
    crypto::SigningAlgorithm,
    error::{Error, ErrorKind, Operation, Result},
    key::{
        name::{KeyName, KeyVersion},
        secret::{DataKey, Plaintext},
        uri::KeyUri,
        wrapped::Wrapped,
    },
    provider::traits::{CryptoProvider, DataKeys, Encrypt, Sign},
    registry::named::{Registry, SharedProvider},
    signing::{input::SigningInput, public_key::PublicKey, signature::Signature},
};
#[cfg(any(feature = "aws-lc-rs", feature = "rustcrypto"))]
pub use self::{
    envelope::{opener::Opener, sealer::Sealer},
    ext::CryptoProviderExt,
};
