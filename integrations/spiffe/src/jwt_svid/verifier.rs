//! Verifying JWT-SVIDs.

use std::{
    fmt,
    sync::{Arc, OnceLock},
    time::{Duration, SystemTime},
};

use async_trait::async_trait;
use bulla::{
    Error, ErrorKind, Result,
    jwt::{InvalidToken, JwkSet, RegisteredClaim, SubjectKeys, Verifier, VerifierBuilder},
};

use super::JwtSvid;
use crate::{
    bundle::SVID_ALGORITHMS,
    id::{SpiffeId, spiffe_id},
    set::BundleSet,
};

/// Verifies JWT-SVIDs with the bundles of their trust domains. Cheap to clone.
///
/// A token is accepted if a key of the bundle of its subject's trust domain signed it, by RSA or ECDSA
/// (Ed25519 is none of the standard's algorithms), if `sub` is a SPIFFE ID, `exp` is there and has not
/// passed, one of the audiences that were named is in `aud`, the header names its key, and `typ` is `JWT`,
/// `JOSE` or not there: as go-spiffe's `jwtsvid.ParseAndValidate` has it, with the narrower leeway and the
/// strict JSON of [`bulla::jwt::Verifier`], and with an audience that has to be named.
///
/// ```
/// use bulla_spiffe::{Bundle, BundleSet, JwtSvidVerifier, trust_domain};
///
/// # async fn example(document: &[u8], token: &str) -> bulla::Result<()> {
/// let bundles = BundleSet::new();
/// bundles.insert(Bundle::from_json(trust_domain("example.org")?, document)?);
///
/// let verifier = JwtSvidVerifier::builder(bundles).audience("reports").build()?;
/// let svid = verifier.verify(token).await?;
/// assert_eq!(svid.id().to_string(), "spiffe://example.org/billing");
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct JwtSvidVerifier {
    verifier: Verifier,
    bundles: BundleSet,
}

impl JwtSvidVerifier {
    /// With these bundles; which trust domains there are may change while it works.
    pub fn builder(bundles: BundleSet) -> JwtSvidVerifierBuilder {
        let rules = Verifier::builder().any_issuer().any_typ().algorithms(SVID_ALGORITHMS);
        JwtSvidVerifierBuilder { rules, bundles }
    }

    /// The bundles that it verifies with.
    #[must_use]
    pub const fn bundles(&self) -> &BundleSet {
        &self.bundles
    }

    /// Verifies a token.
    ///
    /// # Errors
    /// [`NotAuthentic`](ErrorKind::NotAuthentic) if no key of its trust domain signed it, or that domain is
    /// not known here; [`InvalidToken`](ErrorKind::InvalidToken) if it is malformed, has expired or is for
    /// somebody else: both have the reason as their source ([`InvalidToken::of`]). Otherwise why the bundle
    /// is not at hand, such as [`Unavailable`](ErrorKind::Unavailable): then nothing is known of the token.
    pub async fn verify(&self, token: &str) -> Result<JwtSvid> {
        let asked = Asked { bundles: &self.bundles, id: OnceLock::new() };
        let verified = self.verifier.verify_by_subject(token, &asked).await?;
        // As go-spiffe has it, and not as media types are compared.
        if !matches!(verified.header().typ(), None | Some("JWT" | "JOSE")) {
            return Err(refused(InvalidToken::Type));
        }
        let id = asked.id.into_inner().ok_or_else(|| {
            Error::new(ErrorKind::Internal, "a token was verified without its trust domain")
        })?;
        Ok(JwtSvid { id, header: verified.header().clone(), claims: verified.into_claims() })
    }
}

/// Says whom tokens are for.
#[must_use]
pub struct JwtSvidVerifierBuilder {
    rules: VerifierBuilder,
    bundles: BundleSet,
}

impl JwtSvidVerifierBuilder {
    /// Accepts tokens that name this audience, perhaps among others. Called again, it adds another name of
    /// the same audience. There is no default, and no waiver: a token for anybody is for nobody.
    pub fn audience(mut self, audience: impl Into<String>) -> Self {
        self.rules = self.rules.audience(audience);
        self
    }

    /// How far this host's clock and the issuer's may differ: 10 seconds by default, 60 at most.
    pub fn leeway(mut self, leeway: Duration) -> Self {
        self.rules = self.rules.leeway(leeway);
        self
    }

    /// Takes the time from here.
    pub fn clock(mut self, clock: impl Fn() -> SystemTime + Send + Sync + 'static) -> Self {
        self.rules = self.rules.clock(clock);
        self
    }

    /// Checks what was said.
    ///
    /// # Errors
    /// [`InvalidInput`](ErrorKind::InvalidInput) if no audience was named or one is empty, or if the leeway
    /// is over 60 seconds.
    pub fn build(self) -> Result<JwtSvidVerifier> {
        Ok(JwtSvidVerifier { verifier: self.rules.build()?, bundles: self.bundles })
    }
}

/// One look-up, which also keeps what the subject was read as.
struct Asked<'a> {
    bundles: &'a BundleSet,
    id: OnceLock<SpiffeId>,
}

#[async_trait]
impl SubjectKeys for Asked<'_> {
    async fn keys_of(
        &self,
        subject: &str,
        kid: Option<&str>,
    ) -> Result<Result<Arc<JwkSet>, InvalidToken>> {
        let Ok(id) = spiffe_id(subject) else {
            return Ok(Err(InvalidToken::ClaimValue(RegisteredClaim::Sub)));
        };
        let Some(kid) = kid.filter(|kid| !kid.is_empty()) else {
            return Ok(Err(InvalidToken::NoKeyId));
        };
        let id = self.id.get_or_init(|| id);
        let found = self.bundles.jwt_keys(id.trust_domain(), kid).await?;
        Ok(found.ok_or(InvalidToken::UnknownKey))
    }
}

fn refused(reason: InvalidToken) -> Error {
    Error::new(reason.kind(), reason.to_string()).with_source(reason)
}

impl fmt::Debug for JwtSvidVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JwtSvidVerifier")
            .field("verifier", &self.verifier)
            .field("bundles", &self.bundles)
            .finish()
    }
}

impl fmt::Debug for JwtSvidVerifierBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JwtSvidVerifierBuilder")
            .field("rules", &self.rules)
            .field("bundles", &self.bundles)
            .finish()
    }
}
