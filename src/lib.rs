//! Envelope encryption, streaming encryption and signing with keys held in a KMS or an HSM.
//!
//! Applications start at [`CryptoProviderExt`] (one provider), [`Sealer`] and [`Opener`] (several
//! recipients), and [`stream`]. Implementers of a backend start at [`CryptoProvider`].
//!
//! | room | what is in it |
//! |---|---|
//! | [`mod@provider`], [`CryptoProviderExt`] | the traits: what a backend does, what an application calls |
//! | [`Error`], [`ErrorKind`] | the one error type |
//! | [`EncryptionContext`], [`Context`] | what data belongs to |
//! | [`KeyUri`], [`KeyName`], [`DataKey`], [`Wrapped`] | keys by name, and secrets |
//! | [`Registry`] | named providers |
//! | [`Sealer`], [`Opener`], [`Header`] | the sealed format |
//! | [`resilience`] | timeouts, retries and a circuit breaker around any provider |
//! | [`stream`] | readers, writers, streams, and the engine under them |
//! | [`jwt`] | JSON Web Tokens and JSON Web Keys |
//! | [`aead`] | the seam over AWS-LC and RustCrypto |
//!
//! # Features
//!
//! * `aws-lc-rs` (default): the cryptography of AWS-LC; needs a C compiler to build.
//! * `rustcrypto`: the same from the RustCrypto crates. Where both are on, AWS-LC does the work.
//!
//! * `jwt` (default): JSON Web Tokens; needs one of the two.
//!
//! With neither backend there are types and traits only: enough to write a provider or name a key.

#![cfg_attr(
    not(any(feature = "aws-lc-rs", feature = "rustcrypto")),
    allow(dead_code, reason = "without a backend there is nothing that reads the format")
)]

#[cfg(any(feature = "aws-lc-rs", feature = "rustcrypto"))]
pub mod aead;
mod context;
#[cfg(any(feature = "aws-lc-rs", feature = "rustcrypto"))]
mod envelope;
mod error;
#[cfg(any(feature = "aws-lc-rs", feature = "rustcrypto"))]
mod ext;
#[cfg(any(feature = "aws-lc-rs", feature = "rustcrypto"))]
#[doc(hidden)]
pub mod flight;
#[cfg(all(feature = "jwt", any(feature = "aws-lc-rs", feature = "rustcrypto")))]
pub mod jwt;
mod key;
pub mod provider;
mod registry;
pub mod resilience;
mod signing;
#[cfg(any(feature = "aws-lc-rs", feature = "rustcrypto"))]
pub mod stream;
#[cfg(all(test, any(feature = "aws-lc-rs", feature = "rustcrypto")))]
mod testing;
#[cfg(all(feature = "jwt", any(feature = "aws-lc-rs", feature = "rustcrypto")))]
mod verify;

pub use context::{Context, EncryptionContext, MAX_ENCODED_LEN, MAX_PAIRS};
#[cfg(any(feature = "aws-lc-rs", feature = "rustcrypto"))]
pub use envelope::{
    BatchItem, CachePolicy, CachePolicyBuilder, CacheStats, DEFAULT_HEADER_LEN, DirectMessage,
    Head, HeadReader, Header, Hedge, MAGIC, MAX_RECIPIENTS, MissingRecipient, OpenedHeader, Opener,
    PREFIX_LEN, Renewal, Rewrap, Rewrapped, SealedBatch, SealedHeader, Sealer, SealerBuilder,
    Suite, TEXT_PREFIX, WritePolicy, from_text, reencrypt, to_text,
};
pub use error::{Error, ErrorKind, Operation, Result};
#[cfg(any(feature = "aws-lc-rs", feature = "rustcrypto"))]
pub use ext::CryptoProviderExt;
pub use key::{
    AwsKmsUri, AzureKeyVaultUri, DATA_KEY_LEN, DataKey, GcpKmsUri, KeyName, KeyUri, KeyVersion,
    LocalUri, MAX_NAME_LEN, MAX_SCHEME_LEN, MAX_WRAPPED_LEN, Pkcs11Uri, Plaintext, SCHEMES,
    VaultUri, WrapAlgorithm, Wrapped,
};
pub use provider::{CryptoProvider, DataKeys, Encrypt, Sign};
pub use registry::{OpenScheme, Registry, RegistryBuilder, SharedProvider};
pub use signing::{PublicKey, Signature, SigningAlgorithm, SigningInput};
