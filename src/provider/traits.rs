//! What implementers write.

use std::fmt;

use async_trait::async_trait;

use super::{Availability, Capabilities, Health, KeyInfo, UnwrapPolicy};
use crate::{
    context::EncryptionContext,
    error::Result,
    key::{DataKey, KeyName, Plaintext, Wrapped},
    signing::{PublicKey, Signature, SigningInput},
};

/// Direct mode: the provider itself encrypts a small payload.
///
/// Implementations bind the whole context and the use
/// ([`KeyUse::Direct`](crate::provider::KeyUse::Direct)) into the ciphertext, or answer
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
    /// A backend that does this by itself, such as KMS's ReEncrypt, is let; elsewhere the plaintext
    /// passes through this process, by [`decrypt_and_encrypt`](super::decrypt_and_encrypt).
    ///
    /// # Errors
    /// As for [`decrypt`](Self::decrypt) and [`encrypt`](Self::encrypt).
    async fn reencrypt(
        &self,
        sealed: &Wrapped,
        from: &EncryptionContext,
        to: &EncryptionContext,
    ) -> Result<Wrapped>;
}

/// Envelope mode: data keys, wrapped by a key that stays with the provider.
///
/// The context here is the key context alone. Implementations bind it and the use
/// ([`KeyUse::DataKey`](crate::provider::KeyUse::DataKey)) as far as
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

    /// Whether this is the sealing key, by whatever name: replicas of a multi-Region key are one key.
    /// No I/O.
    fn is_sealing_key(&self, key: &KeyName) -> bool;

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

/// [`Encrypt::reencrypt`] where the backend can't do it by itself: the plaintext passes through this
/// process, and is wiped.
///
/// # Errors
/// As for [`Encrypt::decrypt`] and [`Encrypt::encrypt`].
pub async fn decrypt_and_encrypt<E: Encrypt + ?Sized>(
    provider: &E,
    sealed: &Wrapped,
    from: &EncryptionContext,
    to: &EncryptionContext,
) -> Result<Wrapped> {
    let plaintext = provider.decrypt(sealed, from).await?;
    provider.encrypt(&plaintext, to).await
}
