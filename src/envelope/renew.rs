//! Sealing anew what was sealed before: for real revocation, and on read for old keys.

use std::{future::Future, ops::Deref};

use super::{head::Head, opener::Opener, sealer::Sealer};
use crate::{
    context::Context,
    error::{Error, Result},
    key::Plaintext,
    provider::CryptoProvider,
};

/// Opens a value and seals it anew, under a new data key and to the sealer's recipients.
///
/// This is what revokes a recipient, once the old bytes are gone. Which pairs are stored stays as it
/// was, however `context` splits them.
///
/// # Errors
/// As for [`Opener::open`] and [`Sealer::seal`].
pub async fn reencrypt<P, Q>(
    opener: &Opener<P>,
    sealer: &Sealer<Q>,
    sealed: &[u8],
    context: &Context,
) -> Result<Vec<u8>>
where
    P: Deref<Target: CryptoProvider> + Send + Sync,
    Q: Deref<Target: CryptoProvider> + Send + Sync,
{
    let plaintext = opener.open(sealed, context).await?;
    let (head, _) = Head::split(sealed)?;
    sealer.seal(&plaintext, &context.split_as(head.header().stored_context())).await
}

/// What became of a value that was read under an old key.
#[derive(Clone, Debug)]
#[non_exhaustive]
#[must_use = "a failure to renew is told here and nowhere else"]
pub enum Renewal {
    /// It is sealed to the sealer's recipients and their current versions.
    UpToDate,
    /// It was sealed anew and written back.
    Renewed,
    /// It could not be sealed anew or written back: the old one stands. The plaintext is good.
    Failed(Error),
}

impl<P> Opener<P>
where
    P: Deref<Target: CryptoProvider> + Send + Sync,
{
    /// Opens a value and, if it is not sealed to exactly the sealer's recipients under their
    /// current versions, seals it anew and hands the new bytes to `write_back`.
    ///
    /// A failure to seal or to write back is reported in the [`Renewal`] and never costs the
    /// plaintext. Once it has succeeded, the next read finds the value up to date. Which pairs are
    /// stored stays as it was.
    ///
    /// Let `write_back` replace the value only if it is still the one that was read (compare and
    /// swap): somebody may have written another one in between.
    ///
    /// # Errors
    /// As for [`open`](Self::open).
    pub async fn open_and_renew<Q, W, F, E>(
        &self,
        sealed: &[u8],
        context: &Context,
        sealer: &Sealer<Q>,
        write_back: W,
    ) -> Result<(Plaintext, Renewal)>
    where
        Q: Deref<Target: CryptoProvider> + Send + Sync,
        W: FnOnce(Vec<u8>) -> F + Send,
        F: Future<Output = Result<(), E>> + Send,
        E: std::error::Error + Send + Sync + 'static,
    {
        let plaintext = self.open(sealed, context).await?;
        let (head, _) = Head::split(sealed)?;
        if sealer.is_current(head.header()) {
            return Ok((plaintext, Renewal::UpToDate));
        }
        let context = context.split_as(head.header().stored_context());
        let renewal = match sealer.seal(&plaintext, &context).await {
            Err(error) => Renewal::Failed(error),
            Ok(renewed) => match write_back(renewed).await {
                Ok(()) => Renewal::Renewed,
                Err(error) => Renewal::Failed(
                    Error::new(crate::ErrorKind::Io, "the renewed value could not be written back")
                        .with_source(error),
                ),
            },
        };
        Ok((plaintext, renewal))
    }
}
