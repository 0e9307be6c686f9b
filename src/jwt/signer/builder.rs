//! What a signer's tokens look like.

use std::{fmt, ops::Deref, sync::Arc};

use arc_swap::ArcSwapOption;
use serde::Serialize;

use super::{super::ProviderKeys, Form, Signer};
use crate::{
    crypto::SigningAlgorithm,
    error::{Error, Result},
    provider::Sign,
};

/// Says what the tokens of a [`Signer`] look like.
#[must_use]
pub struct SignerBuilder<P> {
    keys: Arc<ProviderKeys<P>>,
    form: Form,
    /// The first header parameter that was refused.
    refused: Option<Error>,
}

impl<P> SignerBuilder<P>
where
    P: Deref + Send + Sync + 'static,
    P::Target: Sign,
{
    pub(super) fn new(keys: Arc<ProviderKeys<P>>) -> Self {
        Self { keys, form: Form::default(), refused: None }
    }

    /// Writes this `typ`, such as `at+jwt` (RFC 9068): `JWT` by default.
    pub fn typ(mut self, typ: impl Into<String>) -> Self {
        self.form.typ = Some(typ.into());
        self
    }

    /// Writes no `typ`.
    pub fn no_typ(mut self) -> Self {
        self.form.typ = None;
        self
    }

    /// Writes this `cty`.
    pub fn cty(mut self, cty: impl Into<String>) -> Self {
        self.form.cty = Some(cty.into());
        self
    }

    /// Writes a header parameter that RFC 7515 does not know.
    pub fn member(mut self, name: impl Into<String>, value: impl Serialize) -> Self {
        if let Err(error) = self.form.add(name.into(), value) {
            self.refused.get_or_insert(error);
        }
        self
    }

    /// Signs with these algorithms only: a key that has another, one that it is rotated to included, signs
    /// nothing here.
    pub fn algorithms(mut self, algorithms: impl IntoIterator<Item = SigningAlgorithm>) -> Self {
        self.form.algorithms = Some(algorithms.into_iter().collect());
        self
    }

    /// Verifies each signature before a token is given out, against a provider that returns a wrong
    /// one: a fault during an RSA-CRT or Ed25519 signature can give the key away.
    pub fn verify_signatures(mut self) -> Self {
        self.form.verify = true;
        self
    }

    /// The signer. No call to the provider is made yet.
    ///
    /// # Errors
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) for a [`member`](Self::member) that says how
    /// the token is verified, or whose value has no JSON form.
    pub fn build(self) -> Result<Signer<P>> {
        match self.refused {
            Some(error) => Err(error),
            None => Ok(Signer { keys: self.keys, form: self.form, header: ArcSwapOption::empty() }),
        }
    }
}

impl<P> fmt::Debug for SignerBuilder<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignerBuilder").field("keys", &self.keys).finish_non_exhaustive()
    }
}
