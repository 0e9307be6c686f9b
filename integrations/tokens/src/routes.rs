//! Which key signs which token.

use std::{fmt, ops::Deref, sync::Arc, time::Duration};

use async_trait::async_trait;
use bulla::{
    Error, ErrorKind, Result, Sign,
    jwt::{Claims, JwkSet, KeySource, Signer},
};

/// Signs claims, and knows the keys to verify them with.
#[async_trait]
pub trait SignTokens: KeySource {
    /// Signs them.
    ///
    /// # Errors
    /// What the signer says.
    async fn sign_claims(&self, claims: &Claims) -> Result<String>;
}

/// A signer as such.
pub(crate) struct One<P>(pub(crate) Signer<P>);

#[async_trait]
impl<P> KeySource for One<P>
where
    P: Deref + Send + Sync + 'static,
    P::Target: Sign,
{
    async fn keys(&self, kid: Option<&str>) -> Result<Arc<JwkSet>> {
        self.0.keys().keys(kid).await
    }
}

#[async_trait]
impl<P> SignTokens for One<P>
where
    P: Deref + Send + Sync + 'static,
    P::Target: Sign,
{
    async fn sign_claims(&self, claims: &Claims) -> Result<String> {
        self.0.sign(claims).await
    }
}

/// What a token has to be for a route to take it: all that is said here. By default, anything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct When {
    audience: Option<String>,
    scope: Option<String>,
    longer_than: Option<Duration>,
}

impl When {
    /// Any token.
    #[must_use]
    pub fn any() -> Self {
        Self::default()
    }

    /// Has this audience among those in `aud`.
    #[must_use]
    pub fn audience(mut self, audience: impl Into<String>) -> Self {
        self.audience = Some(audience.into());
        self
    }

    /// Has this token in `scope`.
    #[must_use]
    pub fn scope(mut self, scope: impl Into<String>) -> Self {
        self.scope = Some(scope.into());
        self
    }

    /// Is valid for longer than this, from `iat` to `exp`; one that says neither is valid for ever.
    #[must_use]
    pub const fn longer_than(mut self, life: Duration) -> Self {
        self.longer_than = Some(life);
        self
    }

    fn takes(&self, claims: &Claims) -> bool {
        let audience = |wanted: &String| claims.audiences().iter().any(|one| one == wanted);
        let scope = |wanted: &String| {
            let all =
                claims.member("scope").and_then(serde_json::Value::as_str).unwrap_or_default();
            all.split(' ').any(|one| one == wanted)
        };
        let longer = |least: &Duration| match (claims.issued_at(), claims.expires_at()) {
            (Some(from), Some(until)) => until.duration_since(from).is_ok_and(|life| life > *least),
            _ => true,
        };
        self.audience.as_ref().is_none_or(audience)
            && self.scope.as_ref().is_none_or(scope)
            && self.longer_than.as_ref().is_none_or(longer)
    }
}

/// Several signers as one: by what a token is for, a key that stays in a KMS signs it, or a local one.
///
/// The first route that takes a token signs it, whatever comes of that: a token that is to be signed in a KMS
/// is never signed by a lesser key because the KMS is out. Verifiers need the keys of all, which one set has.
///
/// Several regions of a KMS are one signer: a provider over
/// [`Failover`](bulla::resilience::Failover).
///
/// ```
/// use std::{sync::Arc, time::Duration};
///
/// use bulla::jwt::{ProviderKeys, Signer};
/// use bulla_tokens::routes::{Routes, When};
///
/// # fn example(kms: bulla::SharedProvider, local: bulla::SharedProvider) -> bulla::Result<()> {
/// let signer = |provider| Signer::new(Arc::new(ProviderKeys::new(provider)));
/// let routes = Routes::builder()
///     .route(When::any().audience("payments"), signer(kms.clone()))
///     .route(When::any().longer_than(Duration::from_secs(3600)), signer(kms))
///     .route(When::any(), signer(local))
///     .build()?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Routes(Arc<[(When, Arc<dyn SignTokens>)]>);

impl Routes {
    /// Routes, in their order.
    pub fn builder() -> RoutesBuilder {
        RoutesBuilder::default()
    }

    fn of(&self, claims: &Claims) -> Result<&Arc<dyn SignTokens>> {
        let taken = self.0.iter().find(|(when, _)| when.takes(claims));
        taken.map(|(_, signer)| signer).ok_or_else(|| {
            let message = "no route takes a token like this; end with one for any";
            Error::new(ErrorKind::InvalidInput, message)
        })
    }
}

#[async_trait]
impl SignTokens for Routes {
    async fn sign_claims(&self, claims: &Claims) -> Result<String> {
        self.of(claims)?.sign_claims(claims).await
    }
}

#[async_trait]
impl KeySource for Routes {
    /// Those of all routes: if one can't tell, nobody can who publishes them. For a `kid`, those of the
    /// first that has it, whatever the others say.
    async fn keys(&self, kid: Option<&str>) -> Result<Arc<JwkSet>> {
        let (mut all, mut failed) = (Vec::new(), None);
        for (_, signer) in self.0.iter() {
            match signer.keys(kid).await {
                Ok(set) if kid.is_some_and(|kid| set.find(kid).is_some()) => return Ok(set),
                Ok(set) => {
                    for key in set.iter() {
                        // Two routes may lead to one signer.
                        if !all.contains(key) {
                            all.push(key.clone());
                        }
                    }
                }
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        match failed {
            Some(error) => Err(error),
            None => Ok(Arc::new(JwkSet::new(all)?)),
        }
    }
}

impl fmt::Debug for Routes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|(when, _)| when)).finish()
    }
}

/// Builds [`Routes`].
#[derive(Default)]
#[must_use]
pub struct RoutesBuilder(Vec<(When, Arc<dyn SignTokens>)>);

impl RoutesBuilder {
    /// Has such tokens signed by this signer, if no route before it takes them.
    pub fn route<P>(mut self, when: When, signer: Signer<P>) -> Self
    where
        P: Deref + Send + Sync + 'static,
        P::Target: Sign,
    {
        self.0.push((when, Arc::new(One(signer))));
        self
    }

    /// The routes.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] if there is none, or if there is one behind one for any token, which it
    /// would never be asked for.
    pub fn build(self) -> Result<Routes> {
        let unreached = self.0.iter().position(|(when, _)| *when == When::any());
        match unreached {
            _ if self.0.is_empty() => {
                Err(Error::new(ErrorKind::InvalidInput, "there is no route; give one at least"))
            }
            Some(at) if at + 1 < self.0.len() => Err(Error::new(
                ErrorKind::InvalidInput,
                "a route for any token has others behind it, which no token would reach",
            )),
            _ => Ok(Routes(self.0.into())),
        }
    }
}

impl fmt::Debug for RoutesBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|(when, _)| when)).finish()
    }
}
