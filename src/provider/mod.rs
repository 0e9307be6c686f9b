//! What a backend does, as traits: three capabilities and the umbrella over them.
//!
//! Implementers write [`Encrypt`], [`DataKeys`], [`Sign`] and [`CryptoProvider`]; applications call
//! [`CryptoProviderExt`](crate::CryptoProviderExt), a [`Sealer`](crate::Sealer) or an
//! [`Opener`](crate::Opener). No method has a default body, so a wrapper can't forget one.

mod disabled;

use std::{fmt, time::Duration};

use async_trait::async_trait;

pub use disabled::Disabled;

use crate::{
    context::EncryptionContext,
    error::Result,
    key::{DataKey, KeyName, KeyVersion, Plaintext, WrapAlgorithm, Wrapped},
    signing::{PublicKey, Signature, SigningAlgorithm, SigningInput},
};

/// Direct mode: the provider itself encrypts a small payload.
///
/// Implementations bind the whole context and the use
/// ([`KeyUse::Direct`](crate::aead::KeyUse::Direct)) into the ciphertext, or answer
/// [`Unsupported`](crate::ErrorKind::Unsupported).
#[async_trait]
pub trait Encrypt: Send + Sync {
    /// Encrypts `plaintext` under the sealing key.
    ///
    /// # Errors
    /// [`Unsupported`](crate::ErrorKind::Unsupported) if the backend can't bind the context;
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) if the payload is over
    /// [`Capabilities::max_direct_len`]; otherwise what the provider said.
    async fn encrypt(&self, plaintext: &[u8], context: &EncryptionContext) -> Result<Wrapped>;

    /// Decrypts what [`encrypt`](Self::encrypt) made, under a key on this provider's list.
    ///
    /// # Errors
    /// [`NotAuthentic`](crate::ErrorKind::NotAuthentic) for anything else, a wrapped data key
    /// included; [`NoRecipient`](crate::ErrorKind::NoRecipient), without a network call, for a key
    /// that is not on the list.
    async fn decrypt(&self, sealed: &Wrapped, context: &EncryptionContext) -> Result<Plaintext>;

    /// Decrypts what [`encrypt`](Self::encrypt) made and encrypts it anew, under the current version
    /// of the sealing key and another context, which may be the same.
    ///
    /// By default the plaintext passes through this process. Implementations whose backend does
    /// this by itself, such as KMS's ReEncrypt, let it.
    ///
    /// # Errors
    /// As for [`decrypt`](Self::decrypt) and [`encrypt`](Self::encrypt).
    async fn reencrypt(
        &self,
        sealed: &Wrapped,
        from: &EncryptionContext,
        to: &EncryptionContext,
    ) -> Result<Wrapped> {
        let plaintext = self.decrypt(sealed, from).await?;
        self.encrypt(&plaintext, to).await
    }
}

/// Envelope mode: data keys, wrapped by a key that stays with the provider.
///
/// The context here is the key context alone. Implementations bind it and the use
/// ([`KeyUse::DataKey`](crate::aead::KeyUse::DataKey)) as far as
/// [`Capabilities::data_keys`] says.
#[async_trait]
pub trait DataKeys: Send + Sync {
    /// A fresh data key, and the same wrapped under the current version of the sealing key.
    ///
    /// # Errors
    /// What the provider said: denied, disabled, throttled, unavailable and the like.
    async fn generate_data_key(&self, context: &EncryptionContext) -> Result<(DataKey, Wrapped)>;

    /// Wraps a data key that another provider generated, for a second recipient or a rewrap.
    ///
    /// # Errors
    /// As for [`generate_data_key`](Self::generate_data_key).
    async fn wrap_data_key(&self, key: &DataKey, context: &EncryptionContext) -> Result<Wrapped>;

    /// Unwraps under a key on this provider's list.
    ///
    /// # Errors
    /// [`NotAuthentic`](crate::ErrorKind::NotAuthentic) for bytes that this key did not wrap under
    /// this context, or that unwrap to other than 32 bytes;
    /// [`NoRecipient`](crate::ErrorKind::NoRecipient), without a network call, for a key that is
    /// not on the list; otherwise what the provider said.
    async fn unwrap_data_key(
        &self,
        wrapped: &Wrapped,
        context: &EncryptionContext,
    ) -> Result<DataKey>;
}

/// Signatures by a key that stays with the provider.
#[async_trait]
pub trait Sign: Send + Sync {
    /// The public keys of the signing key and of those that it may verify with, all versions.
    ///
    /// # Errors
    /// [`Unsupported`](crate::ErrorKind::Unsupported) if no signing key is bound; otherwise what
    /// the provider said.
    async fn public_keys(&self) -> Result<Vec<PublicKey>>;

    /// Signs with exactly that version of the key.
    ///
    /// # Errors
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) if the algorithm is not the key's;
    /// otherwise what the provider said.
    async fn sign(&self, key: &PublicKey, input: &SigningInput<'_>) -> Result<Signature>;
}

/// A KMS, an HSM or a local key store, bound to a sealing key, a signing key or both, and to an
/// explicit list of further keys that it may open or verify with.
///
/// What a ciphertext names is looked up in that list; no address, endpoint or credential is ever
/// taken from a ciphertext or a token.
#[async_trait]
pub trait CryptoProvider: Encrypt + DataKeys + Sign + fmt::Debug + 'static {
    /// The name that its owner gave it: for errors, logs and metrics.
    fn label(&self) -> &str;

    /// What this provider can do.
    fn capabilities(&self) -> &Capabilities;

    /// The key that new data is sealed to, if one is bound.
    fn sealing_key(&self) -> Option<&KeyName>;

    /// How data keys wrapped by `key` are opened here, or `None` if it is not on the list. No I/O.
    fn opens(&self, key: &KeyName) -> Option<UnwrapPolicy>;

    /// Whether these bytes were wrapped by the sealing key in its current version, as far as is
    /// known here: what isn't should be renewed. No I/O.
    fn is_current(&self, wrapped: &Wrapped) -> bool;

    /// Whether a call now is likely to succeed, as the breaker sees it. No I/O.
    fn availability(&self) -> Availability;

    /// Every key bound here and what the provider says of it.
    async fn describe_keys(&self) -> Vec<(KeyName, Result<KeyInfo>)>;

    /// Asks the provider whether it can serve.
    ///
    /// # Errors
    /// What the provider said, or why it could not be asked.
    async fn health(&self) -> Result<Health>;

    /// Ends sessions and wipes what is cached. Later calls fail with
    /// [`Closed`](crate::ErrorKind::Closed). Closing twice is no error.
    ///
    /// # Errors
    /// What the provider said on the way out; it is closed all the same.
    async fn close(&self) -> Result<()>;
}

/// How far a provider binds the encryption context in an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ContextBinding {
    /// The provider itself authenticates it.
    Bound,
    /// The provider can't; it is bound in the derivation of the message's keys only.
    LocalOnly,
    /// The provider can't, and the operation is refused.
    Refused,
}

/// What a provider can do. A capability that is absent answers
/// [`Unsupported`](crate::ErrorKind::Unsupported).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Capabilities {
    /// How direct mode binds the context; `Refused` means no direct mode.
    pub direct: ContextBinding,
    /// The largest payload of direct mode, in bytes.
    pub max_direct_len: usize,
    /// How wraps bind the key context; `Refused` means no data keys.
    pub data_keys: ContextBinding,
    /// The largest wrapped data key that this provider makes, in bytes.
    pub max_wrapped_len: usize,
    /// Whether a wrap proves that somebody with permission at the key made it. A public-key wrap
    /// does not.
    pub wrap_authenticates: bool,
    /// What the signing key can do; empty means none is bound.
    pub signing: Vec<SigningAlgorithm>,
}

impl Capabilities {
    /// A provider that can do nothing: set what yours can.
    #[must_use]
    pub const fn none() -> Self {
        Self {
            direct: ContextBinding::Refused,
            max_direct_len: 0,
            data_keys: ContextBinding::Refused,
            max_wrapped_len: 0,
            wrap_authenticates: false,
            signing: Vec::new(),
        }
    }
}

/// How data keys wrapped by one key are opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct UnwrapPolicy {
    /// What the key does; a recipient record that says otherwise is refused.
    pub algorithm: WrapAlgorithm,
    /// Whether a wrap proves that its maker had permission at the key.
    pub authenticates: bool,
    /// Whether the owner accepts wraps of this key that prove nothing about who sealed.
    pub accept_public_key_wraps: bool,
}

impl UnwrapPolicy {
    /// A key whose wraps prove that their maker had permission at it.
    #[must_use]
    pub const fn authenticated(algorithm: WrapAlgorithm) -> Self {
        Self { algorithm, authenticates: true, accept_public_key_wraps: false }
    }

    /// A key that anybody can wrap for; its owner says whether such wraps are accepted.
    #[must_use]
    pub const fn public_key(algorithm: WrapAlgorithm, accept: bool) -> Self {
        Self { algorithm, authenticates: false, accept_public_key_wraps: accept }
    }
}

/// Whether a call now is likely to succeed. Ordered: the best comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Availability {
    /// Nothing is known against it.
    Available,
    /// Recent calls failed.
    Degraded,
    /// The breaker is open.
    Unavailable,
}

/// The state of a key or of one version of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum KeyState {
    /// Seals and opens, signs and verifies.
    Active,
    /// Opens and verifies only.
    Deprecated,
    /// Does nothing until it is enabled again.
    Disabled,
    /// Does nothing, and will be destroyed.
    PendingDeletion,
    /// Gone for good.
    Destroyed,
}

impl KeyState {
    /// A stable lower-case name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Deprecated => "deprecated",
            Self::Disabled => "disabled",
            Self::PendingDeletion => "pending-deletion",
            Self::Destroyed => "destroyed",
        }
    }
}

impl fmt::Display for KeyState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a provider says of one key.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct KeyInfo {
    /// The canonical name.
    pub name: KeyName,
    /// The current version, where the provider tells.
    pub version: Option<KeyVersion>,
    /// The key's state.
    pub state: KeyState,
    /// The provider's own word for the kind of key, such as `aes-256`.
    pub kind: String,
    /// Aliases that the provider knows the key by.
    pub aliases: Vec<String>,
}

impl KeyInfo {
    /// What is known of every key; set the rest.
    #[must_use]
    pub fn new(name: KeyName, state: KeyState, kind: impl Into<String>) -> Self {
        Self { name, version: None, state, kind: kind.into(), aliases: Vec::new() }
    }
}

/// The answer of a provider that can serve.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Health {
    /// How long the provider took to answer.
    pub latency: Duration,
}

impl Health {
    /// A provider that answered after `latency`.
    #[must_use]
    pub const fn new(latency: Duration) -> Self {
        Self { latency }
    }
}
