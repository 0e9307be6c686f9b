//! What applications call on any provider.

use std::future::Future;

use tokio::io::AsyncRead;

use crate::{
    context::Context,
    envelope::{Opener, Sealer, direct},
    error::Result,
    key::Plaintext,
    provider::CryptoProvider,
    stream::{DecryptReader, EncryptReader, EncryptWriter},
};

/// Sealing and opening with one provider, `&dyn CryptoProvider` included.
///
/// Each method is a [`Sealer`] or an [`Opener`] of this provider alone; make one of those for
/// several recipients or other settings.
///
/// ```
/// use bulla::{Context, CryptoProvider, CryptoProviderExt};
///
/// # async fn example(vault: &dyn CryptoProvider) -> bulla::Result<()> {
/// let context = Context::new().with_key("tenant", "acme")?;
/// let sealed = vault.seal(b"card number", &context).await?;
/// let opened = vault.open(&sealed, &context).await?;
/// assert_eq!(&*opened, b"card number");
/// # Ok(())
/// # }
/// ```
pub trait CryptoProviderExt: CryptoProvider {
    /// Seals a value to this provider's sealing key.
    ///
    /// # Errors
    /// As for [`Sealer::seal`].
    fn seal(
        &self,
        plaintext: &[u8],
        context: &Context,
    ) -> impl Future<Output = Result<Vec<u8>>> + Send {
        async move { Sealer::new(self)?.seal(plaintext, context).await }
    }

    /// Opens a value that was sealed to a key on this provider's list.
    ///
    /// # Errors
    /// As for [`Opener::open`].
    fn open(
        &self,
        sealed: &[u8],
        context: &Context,
    ) -> impl Future<Output = Result<Plaintext>> + Send {
        async move { Opener::new([self]).open(sealed, context).await }
    }

    /// Has the provider's key encrypt a small payload itself, with no data key: one call for each.
    ///
    /// # Errors
    /// [`Unsupported`](crate::ErrorKind::Unsupported) if the backend can't bind the context;
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) over
    /// [`max_direct_len`](crate::provider::Capabilities::max_direct_len) bytes; otherwise what the
    /// provider said.
    fn encrypt_direct(
        &self,
        plaintext: &[u8],
        context: &Context,
    ) -> impl Future<Output = Result<Vec<u8>>> + Send {
        direct::encrypt(self, plaintext, context)
    }

    /// Decrypts what [`encrypt_direct`](Self::encrypt_direct) made.
    ///
    /// # Errors
    /// As for [`open`](Self::open).
    fn decrypt_direct(
        &self,
        sealed: &[u8],
        context: &Context,
    ) -> impl Future<Output = Result<Plaintext>> + Send {
        direct::decrypt(self, sealed, context)
    }

    /// Moves a direct message to the current version of the sealing key and to another context,
    /// which may be the same. AWS KMS does this without handing out the payload; with others it
    /// passes through this process.
    ///
    /// # Errors
    /// As for [`decrypt_direct`](Self::decrypt_direct) under `from` and
    /// [`encrypt_direct`](Self::encrypt_direct) under `to`.
    fn reencrypt_direct(
        &self,
        sealed: &[u8],
        from: &Context,
        to: &Context,
    ) -> impl Future<Output = Result<Vec<u8>>> + Send {
        direct::reencrypt(self, sealed, from, to)
    }

    /// Signs claims, anything that serialises to a JSON object, as a JSON Web Token with
    /// `"typ":"JWT"` under the signing key.
    ///
    /// Asks the provider twice, for the key and for the signature. For more than a few tokens, keep a
    /// [`Signer`](crate::jwt::Signer), which remembers the key.
    ///
    /// # Errors
    /// As for [`Signer::sign`](crate::jwt::Signer::sign).
    #[cfg(feature = "jwt")]
    fn sign_jwt<C: serde::Serialize + ?Sized + Sync>(
        &self,
        claims: &C,
    ) -> impl Future<Output = Result<String>> + Send {
        crate::jwt::sign_once(self, claims)
    }

    /// Wraps a reader of plaintext into one of sealed bytes.
    ///
    /// # Errors
    /// As for [`Sealer::begin`].
    fn encrypt_reader<R: Send>(
        &self,
        reader: R,
        context: &Context,
    ) -> impl Future<Output = Result<EncryptReader<R>>> + Send {
        async move { Sealer::new(self)?.encrypt_reader(reader, context).await }
    }

    /// Wraps a writer of sealed bytes into one of plaintext, to be ended with `finish`.
    ///
    /// # Errors
    /// As for [`Sealer::begin`].
    fn encrypt_writer<W: Send>(
        &self,
        writer: W,
        context: &Context,
    ) -> impl Future<Output = Result<EncryptWriter<W>>> + Send {
        async move { Sealer::new(self)?.encrypt_writer(writer, context).await }
    }

    /// Wraps a reader of sealed bytes into one of plaintext.
    ///
    /// # Errors
    /// As for [`Opener::decrypt_reader`].
    fn decrypt_reader<R: AsyncRead + Unpin + Send>(
        &self,
        reader: R,
        context: &Context,
    ) -> impl Future<Output = Result<DecryptReader<R>>> + Send {
        async move { Opener::new([self]).decrypt_reader(reader, context).await }
    }
}

impl<P: CryptoProvider + ?Sized> CryptoProviderExt for P {}
