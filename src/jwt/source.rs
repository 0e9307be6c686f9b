//! Where keys come from.

use std::sync::Arc;

use async_trait::async_trait;

use super::{InvalidToken, JwkSet};
use crate::error::Result;

/// Keys to verify with: a set at hand, those of a provider, or those that an issuer publishes.
///
/// Implementations choose the keys by their configuration alone; `kid` comes from a token that
/// nobody has verified yet.
#[async_trait]
pub trait KeySource: Send + Sync {
    /// The keys, among them the one called `kid` if the source has it or can get it.
    ///
    /// A source that answers a set without `kid` says for certain that it has no such key. It
    /// bounds how often unknown ids make it fetch anything.
    ///
    /// # Errors
    /// Why the source can't tell, such as [`Unavailable`](crate::ErrorKind::Unavailable); never
    /// [`NotAuthentic`](crate::ErrorKind::NotAuthentic), which is said of tokens.
    async fn keys(&self, kid: Option<&str>) -> Result<Arc<JwkSet>>;
}

#[async_trait]
impl KeySource for Arc<JwkSet> {
    async fn keys(&self, _: Option<&str>) -> Result<Arc<JwkSet>> {
        Ok(Self::clone(self))
    }
}

/// Keys by whom a token is about, for [`Verifier::verify_by_subject`](super::Verifier::verify_by_subject):
/// where each of several domains has keys of its own, and vouches for its own subjects alone.
///
/// Subject and `kid` come from a token that nobody has verified yet. They choose among what was
/// configured, and nothing else.
#[async_trait]
pub trait SubjectKeys: Send + Sync {
    /// The keys of the one domain that may vouch for this subject, among them the one called `kid` if the
    /// domain has it; or why no key of anybody could: [`InvalidToken::UnknownKey`] where no such domain is
    /// known, for example.
    ///
    /// # Errors
    /// Why the source can't tell, as for [`KeySource::keys`].
    async fn keys_of(
        &self,
        subject: &str,
        kid: Option<&str>,
    ) -> Result<Result<Arc<JwkSet>, InvalidToken>>;
}
