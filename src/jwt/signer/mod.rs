//! Signing tokens.

mod builder;

use std::{fmt, future::Future, ops::Deref, sync::Arc};

use arc_swap::ArcSwapOption;
use serde::Serialize;

pub use self::builder::SignerBuilder;
use super::{
    ProviderKeys,
    form::{Form, payload},
    provider::{self, Current},
};
use crate::{
    crypto::SigningAlgorithm,
    error::{ErrorKind, Result},
    provider::Sign,
    signing::PublicKey,
};

/// Signs tokens with the current version of a provider's signing key.
///
/// The digest is computed here (but for Ed25519, which signs the whole), and the provider makes one
/// signature for each token. Which version that is, the [`ProviderKeys`] know; if it can no longer
/// sign, they are fetched anew and the new version signs.
pub struct Signer<P> {
    keys: Arc<ProviderKeys<P>>,
    form: Form,
    /// The header of the version that signed last, encoded.
    header: ArcSwapOption<EncodedHeader>,
}

struct EncodedHeader {
    of: Arc<PublicKey>,
    text: String,
}

impl<P> Signer<P>
where
    P: Deref + Send + Sync + 'static,
    P::Target: Sign,
{
    /// A signer of tokens with `"typ":"JWT"`, which shares the keys with others.
    #[must_use]
    pub fn new(keys: Arc<ProviderKeys<P>>) -> Self {
        Self { keys, form: Form::default(), header: ArcSwapOption::empty() }
    }

    /// The same, to say of what its tokens look like.
    pub fn builder(keys: Arc<ProviderKeys<P>>) -> SignerBuilder<P> {
        SignerBuilder::new(keys)
    }

    /// The keys that it signs with, for publishing, or for verifying its tokens.
    #[must_use]
    pub fn keys(&self) -> &Arc<ProviderKeys<P>> {
        &self.keys
    }

    /// The algorithm that it signs with now, for a look at the start of whether it can sign at all.
    ///
    /// # Errors
    /// As for [`sign`](Self::sign), of what doesn't depend on the claims.
    pub async fn algorithm(&self) -> Result<SigningAlgorithm> {
        let current = self.keys.current().await?;
        self.header(&current)?;
        Ok(current.algorithm)
    }

    /// Signs claims: anything that serialises to a JSON object, such as
    /// [`Claims`](super::Claims). The claims are not checked beyond their form.
    ///
    /// # Errors
    /// [`InvalidInput`](ErrorKind::InvalidInput) if the claims do not serialise to a JSON object
    /// that a [`Verifier`](super::Verifier) would read, if the token would be over 16 KiB, if
    /// the key has several algorithms and none was named, or if its algorithm is not one of
    /// [those](SignerBuilder::algorithms) that were said; [`Internal`](ErrorKind::Internal) if the
    /// provider returned a signature that can't be right; otherwise what the provider said.
    pub fn sign<C: Serialize + ?Sized>(
        &self,
        claims: &C,
    ) -> impl Future<Output = Result<String>> + Send + use<'_, C, P> {
        let payload = payload(claims);
        async move {
            let payload = payload?;
            let current = self.keys.current().await?;
            match self.sign_as(&current, &payload).await {
                Err(error) if can_no_longer_sign(error.kind()) => {
                    self.keys.forget(&current);
                    let newer = self.keys.current().await?;
                    if newer.key.version == current.key.version {
                        return Err(error);
                    }
                    self.sign_as(&newer, &payload).await
                }
                result => result,
            }
        }
    }

    async fn sign_as(&self, current: &Current, payload: &[u8]) -> Result<String> {
        let header = self.header(current)?;
        self.form.sign(self.keys.provider(), current, &header.text, payload).await
    }

    fn header(&self, current: &Current) -> Result<Arc<EncodedHeader>> {
        let known = self.header.load_full();
        if let Some(known) = known.filter(|known| Arc::ptr_eq(&known.of, &current.key)) {
            return Ok(known);
        }
        let text = self.form.header(current)?;
        let header = Arc::new(EncodedHeader { of: Arc::clone(&current.key), text });
        self.header.store(Some(Arc::clone(&header)));
        Ok(header)
    }
}

/// Signs claims with the version that a provider signs with now, which nobody keeps.
pub(crate) async fn sign_once<C: Serialize + ?Sized + Sync>(
    provider: &(impl Sign + ?Sized),
    claims: &C,
) -> Result<String> {
    let form = Form::default();
    let payload = payload(claims)?;
    let current = provider::current(provider).await?;
    form.sign(provider, &current, &form.header(&current)?, &payload).await
}

/// The version that was current when the keys were fetched is no more.
fn can_no_longer_sign(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::Disabled
            | ErrorKind::PendingDeletion
            | ErrorKind::Destroyed
            | ErrorKind::NotFound
    )
}

impl<P> fmt::Debug for Signer<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signer")
            .field("keys", &self.keys)
            .field("typ", &self.form.typ)
            .field("verify", &self.form.verify)
            .finish_non_exhaustive()
    }
}
