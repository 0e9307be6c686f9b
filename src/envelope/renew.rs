//! Sealing anew what was sealed before: for real revocation, and on read for old keys.

use std::{future::Future, ops::Deref};

use super::{Opener, Sealer};
use crate::{
    context::Context,
    error::{Error, ErrorKind, Result},
    format::Preamble,
    key::Plaintext,
    provider::CryptoProvider,
};

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
    /// Opens a value and seals it anew, under a new data key and to the sealer's recipients.
    ///
    /// This is what revokes a recipient, once the old bytes are gone. Which pairs are stored stays as
    /// it was, however `context` splits them.
    ///
    /// # Errors
    /// As for [`open`](Self::open) and [`Sealer::seal`].
    pub async fn reseal<Q>(
        &self,
        sealed: &[u8],
        context: &Context,
        sealer: &Sealer<Q>,
    ) -> Result<Vec<u8>>
    where
        Q: Deref<Target: CryptoProvider> + Send + Sync,
    {
        let plaintext = self.open(sealed, context).await?;
        let (preamble, _) = Preamble::split(sealed)?;
        sealer.seal(&plaintext, &context.split_as(preamble.header().stored_context())).await
    }

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
        let (preamble, _) = Preamble::split(sealed)?;
        if sealer.is_current(preamble.header()) {
            return Ok((plaintext, Renewal::UpToDate));
        }
        let context = context.split_as(preamble.header().stored_context());
        let renewal = match sealer.seal(&plaintext, &context).await {
            Err(error) => Renewal::Failed(error),
            Ok(renewed) => match write_back(renewed).await {
                Ok(()) => Renewal::Renewed,
                Err(error) => Renewal::Failed(
                    Error::new(ErrorKind::Io, "the renewed value could not be written back")
                        .with_source(error),
                ),
            },
        };
        Ok((plaintext, renewal))
    }
}
