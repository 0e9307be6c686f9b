//! What an issuer is told.

use std::{
    fmt,
    ops::Deref,
    sync::Arc,
    time::{Duration, SystemTime},
};

use async_trait::async_trait;
use bulla::{
    Error, ErrorKind, Result, Sign, SigningAlgorithm,
    jwt::{Claims, KeySource, ProviderKeys, Signer},
};
#[cfg(feature = "ring")]
use bulla_tokens::ring::RingKeys;

use super::JwtSvidIssuer;
use crate::{bundle::SVID_ALGORITHMS, id::TrustDomain};

/// As SPIRE has it; JWT-SVID, section 3.3, asks for little.
const DEFAULT_TTL: Duration = Duration::from_secs(5 * 60);

const MAX_TTL: Duration = Duration::from_secs(24 * 3600);

pub(super) type Clock = Arc<dyn Fn() -> SystemTime + Send + Sync>;

/// Makes what signs; whether it verifies signatures is said last.
type Make = Box<dyn FnOnce(bool) -> Result<Arc<dyn Signs>> + Send + Sync>;

/// Whatever kind of provider it is that signs.
#[async_trait]
pub(super) trait Signs: Send + Sync {
    async fn sign(&self, claims: &Claims) -> Result<String>;
    async fn algorithm(&self) -> Result<SigningAlgorithm>;
    fn keys(&self) -> Arc<dyn KeySource>;
}

#[async_trait]
impl<P> Signs for Signer<P>
where
    P: Deref + Send + Sync + 'static,
    P::Target: Sign,
{
    async fn sign(&self, claims: &Claims) -> Result<String> {
        Self::sign(self, claims).await
    }

    async fn algorithm(&self) -> Result<SigningAlgorithm> {
        Self::algorithm(self).await
    }

    fn keys(&self) -> Arc<dyn KeySource> {
        Arc::clone(Self::keys(self)) as Arc<dyn KeySource>
    }
}

/// Says what the tokens of a [`JwtSvidIssuer`] have in common.
#[must_use]
pub struct JwtSvidIssuerBuilder {
    trust_domain: TrustDomain,
    make: Make,
    verify: bool,
    ttl: Duration,
    issuer: Option<String>,
    #[cfg(feature = "ring")]
    ring: Option<Arc<RingKeys>>,
    clock: Clock,
}

impl JwtSvidIssuerBuilder {
    pub(super) fn new<P>(trust_domain: TrustDomain, keys: Arc<ProviderKeys<P>>) -> Self
    where
        P: Deref + Send + Sync + 'static,
        P::Target: Sign,
    {
        let make: Make = Box::new(|verify| {
            let signer = Signer::builder(keys).typ("JWT").algorithms(SVID_ALGORITHMS);
            let signer = if verify { signer.verify_signatures() } else { signer };
            Ok(Arc::new(signer.build()?))
        });
        Self {
            trust_domain,
            make,
            verify: false,
            ttl: DEFAULT_TTL,
            issuer: None,
            #[cfg(feature = "ring")]
            ring: None,
            clock: Arc::new(SystemTime::now),
        }
    }

    /// How long tokens last: 5 minutes by default; whole seconds, from 1 to 24 hours. A request may ask for
    /// less.
    pub const fn ttl(mut self, ttl: Duration) -> Self {
        self.ttl = ttl;
        self
    }

    /// Writes this as `iss`: the URL under which [OpenID Connect discovery](crate#one-authority-three-ways)
    /// finds the keys, for relying parties that know nothing of SPIFFE, such as clouds. None by default.
    pub fn issuer(mut self, issuer: impl Into<String>) -> Self {
        self.issuer = Some(issuer.into());
        self
    }

    /// Verifies each signature before a token is given out, against a provider that returns a wrong one: a
    /// fault during a signature can give the key away.
    pub const fn verify_signatures(mut self) -> Self {
        self.verify = true;
        self
    }

    /// Refuses to issue what outlives the waits of the ring's policy.
    #[cfg(feature = "ring")]
    pub(super) fn ring(mut self, ring: Arc<RingKeys>) -> Self {
        self.ring = Some(ring);
        self
    }

    /// Takes the time from here.
    pub fn clock(mut self, clock: impl Fn() -> SystemTime + Send + Sync + 'static) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Looks at the key that signs, and makes the issuer.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] if the key signs Ed25519, which no JWT-SVID may have (JWT-SVID, section
    /// 2.1), or one of several algorithms and none was named
    /// ([`ProviderKeysBuilder::algorithm`](bulla::jwt::ProviderKeysBuilder::algorithm)), if a key has an
    /// empty name, if the issuer is empty, or if the time to live is out of range or longer than the ring's
    /// policy waits for; otherwise what the provider says.
    pub async fn build(self) -> Result<JwtSvidIssuer> {
        let signs = (self.make)(self.verify)?;
        if !(Duration::from_secs(1)..=MAX_TTL).contains(&self.ttl) || self.ttl.subsec_nanos() != 0 {
            return Err(invalid(
                "JWT-SVIDs last for whole seconds, one at least and 24 hours at most",
            ));
        }
        if self.issuer.as_ref().is_some_and(String::is_empty) {
            return Err(invalid("the issuer is empty; leave it out, or give its URL"));
        }
        signs.algorithm().await?;
        let published = signs.keys().keys(None).await?;
        if published.iter().any(|key| key.kid().is_none_or(str::is_empty)) {
            return Err(invalid("a key has no name, which every JWT-SVID has to give"));
        }
        let issuer = JwtSvidIssuer {
            trust_domain: self.trust_domain,
            signs,
            ttl: self.ttl,
            issuer: self.issuer,
            #[cfg(feature = "ring")]
            ring: self.ring,
            clock: self.clock,
        };
        issuer.check_policy().await?;
        Ok(issuer)
    }
}

fn invalid(message: &'static str) -> Error {
    Error::new(ErrorKind::InvalidInput, message)
}

impl fmt::Debug for JwtSvidIssuerBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JwtSvidIssuerBuilder")
            .field("trust_domain", &self.trust_domain.as_str())
            .field("ttl", &self.ttl)
            .field("issuer", &self.issuer)
            .finish_non_exhaustive()
    }
}
