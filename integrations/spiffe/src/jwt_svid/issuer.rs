//! Issuing JWT-SVIDs.

use std::{fmt, ops::Deref, sync::Arc, time::Duration};

use bulla::{
    Error, ErrorKind, Result, Sign,
    jwt::{Claims, KeySource, ProviderKeys},
};
#[cfg(feature = "ring")]
use bulla_tokens::ring::RingKeys;

use super::{
    IssuedJwtSvid, JwtSvidIssuerBuilder, JwtSvidRequest,
    builder::{Clock, Signs},
};
use crate::id::{MAX_ID_LEN, TrustDomain};

/// Issues JWT-SVIDs of one trust domain, signed by a provider's key: one in a KMS or an HSM, one that is
/// kept sealed, or those of a ring.
///
/// The header of a token has `alg`, `kid` and `typ` (`JWT`), and nothing else. The claims are `sub`, `aud`
/// (an array, also of one), `exp` and `iat` in whole seconds, `jti` (128 random bits), `iss` if one was
/// said, and those of the request. Who may have which ID is for the caller to know.
///
/// ```
/// use std::sync::Arc;
///
/// use bulla::jwt::ProviderKeys;
/// use bulla_spiffe::{JwtSvidIssuer, JwtSvidRequest, spiffe_id, trust_domain};
///
/// # async fn example(kms: bulla::SharedProvider) -> bulla::Result<()> {
/// let keys = Arc::new(ProviderKeys::new(kms));
/// let issuer = JwtSvidIssuer::builder(trust_domain("example.org")?, keys).build().await?;
///
/// let billing = spiffe_id("spiffe://example.org/billing")?;
/// let svid = issuer.issue(&JwtSvidRequest::new(billing, "reports")).await?;
/// println!("{}", svid.token());
/// # Ok(())
/// # }
/// ```
pub struct JwtSvidIssuer {
    pub(super) trust_domain: TrustDomain,
    pub(super) signs: Arc<dyn Signs>,
    pub(super) ttl: Duration,
    pub(super) issuer: Option<String>,
    #[cfg(feature = "ring")]
    pub(super) ring: Option<Arc<RingKeys>>,
    pub(super) clock: Clock,
}

impl JwtSvidIssuer {
    /// An issuer for this trust domain, with the key of a provider that signs now.
    pub fn builder<P>(trust_domain: TrustDomain, keys: Arc<ProviderKeys<P>>) -> JwtSvidIssuerBuilder
    where
        P: Deref + Send + Sync + 'static,
        P::Target: Sign,
    {
        JwtSvidIssuerBuilder::new(trust_domain, keys)
    }

    /// An issuer with the keys of a ring, which are published before they sign and for as long as their
    /// tokens last. Tokens that would outlive the ring's policy are not issued.
    #[cfg(feature = "ring")]
    pub fn of_ring(trust_domain: TrustDomain, ring: Arc<RingKeys>) -> JwtSvidIssuerBuilder {
        let keys = Arc::new(RingKeys::keys_of(Arc::clone(&ring)));
        JwtSvidIssuerBuilder::new(trust_domain, keys).ring(ring)
    }

    /// The trust domain.
    #[must_use]
    pub const fn trust_domain(&self) -> &TrustDomain {
        &self.trust_domain
    }

    /// The keys that it signs with, to be published: by a [`LocalBundle`](crate::LocalBundle), and as an
    /// OpenID Connect issuer's.
    #[must_use]
    pub fn keys(&self) -> Arc<dyn KeySource> {
        self.signs.keys()
    }

    /// Issues a token: one signature by the provider.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] for an ID of another trust domain, of none of its workloads (without a
    /// path) or over 2,048 bytes, for no audience or an empty one, for a time that is no whole seconds or
    /// longer than the issuer's, for a token over 16 KiB, and for a key that was rotated to Ed25519;
    /// otherwise what the provider says.
    pub async fn issue(&self, request: &JwtSvidRequest) -> Result<IssuedJwtSvid> {
        let ttl = self.check(request)?;
        self.check_policy().await?;
        let mut claims = Claims::new_at((self.clock)())?
            .with_subject(request.id.to_string())
            .with_audiences(request.audiences.iter().map(String::as_str))
            .with_ttl(ttl);
        if let Some(issuer) = &self.issuer {
            claims = claims.with_issuer(issuer);
        }
        for (name, value) in &request.claims {
            claims = claims.with_member(name, value)?;
        }
        let (Some(issued), Some(expires)) = (claims.issued_at(), claims.expires_at()) else {
            return Err(Error::new(ErrorKind::Internal, "a token without its times"));
        };
        let token = self.signs.sign(&claims).await?;
        Ok(IssuedJwtSvid { id: request.id.clone(), token, issued, expires })
    }

    /// The time that the token is to last.
    fn check(&self, request: &JwtSvidRequest) -> Result<Duration> {
        let id = &request.id;
        if !id.is_member_of(&self.trust_domain) {
            let message = format!(
                "{id} is not in the trust domain {}, for which this issuer signs",
                self.trust_domain
            );
            return Err(invalid(message));
        }
        if id.path().is_empty() {
            let message =
                format!("{id} is the trust domain, and none of its workloads: add a path");
            return Err(invalid(message));
        }
        if self.trust_domain.id_string().len() + id.path().len() > MAX_ID_LEN {
            return Err(invalid("the SPIFFE ID has over 2,048 bytes"));
        }
        if request.audiences.iter().any(String::is_empty) {
            return Err(invalid("an audience is empty"));
        }
        let ttl = request.ttl.unwrap_or(self.ttl);
        if ttl < Duration::from_secs(1) || ttl > self.ttl || ttl.subsec_nanos() != 0 {
            let most = self.ttl.as_secs();
            return Err(invalid(format!(
                "a JWT-SVID of this issuer lasts for whole seconds, from 1 to {most}"
            )));
        }
        Ok(ttl)
    }

    /// With a ring: its policy, which can change, waits for tokens that last as long as these.
    pub(super) async fn check_policy(&self) -> Result<()> {
        #[cfg(feature = "ring")]
        if let Some(ring) = &self.ring {
            let longest = ring.policy().await?.token_life;
            if self.ttl > longest {
                return Err(invalid(format!(
                    "tokens of {} s outlive those that the ring's policy waits for, of {} s; set the \
                     policy's token_life first",
                    self.ttl.as_secs(),
                    longest.as_secs()
                )));
            }
        }
        Ok(())
    }
}

fn invalid(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidInput, message.into())
}

impl fmt::Debug for JwtSvidIssuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JwtSvidIssuer")
            .field("trust_domain", &self.trust_domain.as_str())
            .field("ttl", &self.ttl)
            .field("issuer", &self.issuer)
            .finish_non_exhaustive()
    }
}
