//! Issuing, and redeeming refresh tokens.

use std::{
    fmt,
    ops::Deref,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use bulla::{
    Error, ErrorKind, Result, Sign,
    jwt::{Claims, KeySource, ProviderKeys, Signer, Verifier},
};
use zeroize::Zeroizing;

use super::{
    Grant, Kept, OAuthError, RefreshRecord, RefreshStore, Scope, TokenError, TokenHash,
    TokenIssuerBuilder, TokenResponse, Whose,
    builder::{Clock, TYP, Times},
    refresh::{after, family, token},
};
use crate::{
    ring::RingKeys,
    routes::{One, SignTokens},
};

/// Issues access tokens and refresh tokens.
///
/// Access tokens have the profile of RFC 9068: `typ` is `at+jwt`, and there are `iss`, `sub`, `aud`, `exp`,
/// `iat`, `jti`, `client_id`, and `scope` and `roles` where they were granted. One that belongs to a refresh
/// token has the family's id in `sid`, by which [`introspect`](Self::introspect) knows of a revocation.
///
/// ```
/// use std::sync::Arc;
///
/// use bulla_tokens::issuer::{Grant, MemoryRefreshTokens, TokenIssuer};
///
/// # async fn example(keys: Arc<bulla::jwt::ProviderKeys<bulla::SharedProvider>>) -> Result<(), Box<dyn std::error::Error>> {
/// let issuer = TokenIssuer::builder("https://id.example", keys, MemoryRefreshTokens::new()).build()?;
/// let grant = Grant::new("ada", "web").with_audience("orders").with_scope("read write".parse()?);
/// let first = issuer.issue_with_refresh(grant).await?;
/// let second = issuer.refresh(first.refresh_token().unwrap(), "web", None).await?;
/// # Ok(())
/// # }
/// ```
pub struct TokenIssuer {
    pub(super) issuer: String,
    pub(super) signs: Arc<dyn SignTokens>,
    pub(super) verifier: Verifier,
    pub(super) store: Arc<dyn RefreshStore>,
    pub(super) times: Times,
    pub(super) ring: Option<Arc<RingKeys>>,
    pub(super) clock: Clock,
}

impl TokenIssuer {
    /// An issuer by this name, which is `iss` of its tokens and, for discovery, an `https` URL.
    pub fn builder<P>(
        issuer: impl Into<String>,
        keys: Arc<ProviderKeys<P>>,
        store: impl RefreshStore + 'static,
    ) -> TokenIssuerBuilder
    where
        P: Deref + Send + Sync + 'static,
        P::Target: Sign,
    {
        let signer = Signer::builder(keys).typ(TYP).build();
        let signs = signer.map(|signer| Arc::new(One(signer)) as Arc<dyn SignTokens>);
        TokenIssuerBuilder::new(issuer.into(), signs, Arc::new(store))
    }

    /// The same with something else that signs, such as [`Routes`](crate::routes::Routes). Its tokens have to
    /// have the `typ` `at+jwt` ([`SignerBuilder::typ`](bulla::jwt::SignerBuilder::typ)).
    pub fn builder_with(
        issuer: impl Into<String>,
        signs: Arc<dyn SignTokens>,
        store: impl RefreshStore + 'static,
    ) -> TokenIssuerBuilder {
        TokenIssuerBuilder::new(issuer.into(), Ok(signs), Arc::new(store))
    }

    /// The keys that it signs with, to be published.
    #[must_use]
    pub fn keys(&self) -> Arc<dyn KeySource> {
        Arc::clone(&self.signs) as Arc<dyn KeySource>
    }

    /// Issues an access token alone: for clients of their own account.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] for a grant without subject, client or audience, and for tokens that
    /// would outlive the ring's policy; otherwise what signs says.
    pub async fn issue(&self, grant: &Grant) -> Result<TokenResponse> {
        grant.to_json()?;
        let access = self.access_token(grant, None).await?;
        Ok(self.response(access, None, grant.scope.clone()))
    }

    /// Issues an access token, and a refresh token that begins a family.
    ///
    /// # Errors
    /// As for [`issue`](Self::issue); what the store says. Nothing is kept then.
    pub async fn issue_with_refresh(&self, grant: Grant) -> Result<TokenResponse> {
        let json = grant.to_json()?;
        let now = self.now();
        let family = family()?;
        let access = self.access_token(&grant, Some(&family)).await?;
        let family_expires = after(now, self.times.family)?;
        let (refresh, hash) = token()?;
        let record = RefreshRecord {
            hash,
            family,
            subject: grant.subject.clone(),
            client: grant.client.clone(),
            grant: json,
            expires: after(now, self.times.idle)?.min(family_expires),
            family_expires,
        };
        self.store.insert(&record, now).await?;
        Ok(self.response(access, Some(refresh), grant.scope))
    }

    /// Redeems a refresh token: it is used up, and the response has the next one of its family. `client` is
    /// the one that was authenticated. `scope` narrows what the access token is good for, and not what the
    /// next refresh token is.
    ///
    /// A token that was used before has been stolen, or is the thief's: the family is revoked, and the user
    /// has to log in (RFC 9700, section 4.14.2). Of several who redeem one token at once, one succeeds.
    ///
    /// # Errors
    /// [`OAuthError::InvalidGrant`] for a token that is unknown, expired, used, revoked or another
    /// client's; [`OAuthError::InvalidScope`] for more than was granted. [`TokenError::Failed`] if keys or
    /// store are not at hand: as long as it is the keys, the token is not used up.
    pub async fn refresh(
        &self,
        refresh_token: &str,
        client: &str,
        scope: Option<Scope>,
    ) -> Result<TokenResponse, TokenError> {
        self.refresh_as(refresh_token, client, scope, Ok).await
    }

    /// The same, after a look at the grant: it may be changed, for example if the user has other roles by
    /// now, or refused. What comes of it is what the family stands for from now on; subject and client stay.
    ///
    /// # Errors
    /// As for [`refresh`](Self::refresh); what `review` refuses with. The token is not used up then.
    pub async fn refresh_as(
        &self,
        refresh_token: &str,
        client: &str,
        scope: Option<Scope>,
        review: impl FnOnce(Grant) -> Result<Grant, OAuthError> + Send,
    ) -> Result<TokenResponse, TokenError> {
        let now = self.now();
        let (hash, kept) = self.usable(refresh_token, client, now).await?;
        let Kept { record, .. } = kept;
        let mut grant = review(Grant::from_json(&record.grant)?)?;
        (grant.subject, grant.client) = (record.subject, record.client);
        let granted = grant.to_json()?;
        if let Some(scope) = scope {
            if !scope.is_within(&grant.scope) {
                return Err(OAuthError::InvalidScope.into());
            }
            grant.scope = scope;
        }
        // Before the token is used up: keys that are out cost nobody their login.
        let access = self.access_token(&grant, Some(&record.family)).await?;
        let (refresh, next) = token()?;
        let next = RefreshRecord {
            hash: next,
            family: record.family,
            subject: grant.subject,
            client: grant.client,
            grant: granted,
            expires: after(now, self.times.idle)?.min(record.family_expires),
            family_expires: record.family_expires,
        };
        if !self.store.rotate(&hash, &next, now).await? {
            // Somebody else was faster: with this very token.
            self.usable(refresh_token, client, self.now()).await?;
            return Err(OAuthError::InvalidGrant.into());
        }
        Ok(self.response(access, Some(refresh), grant.scope))
    }

    /// The token, if this client may use it. One that was used revokes its family.
    async fn usable(
        &self,
        refresh_token: &str,
        client: &str,
        now: SystemTime,
    ) -> Result<(TokenHash, Kept), TokenError> {
        let refused = || TokenError::Refused(OAuthError::InvalidGrant);
        let hash = TokenHash::of(refresh_token).ok_or_else(refused)?;
        let kept = self.store.find(&hash).await?.ok_or_else(refused)?;
        let record = &kept.record;
        if record.client != client || kept.revoked || now >= record.family_expires {
            return Err(refused());
        }
        if let Some(used) = kept.used {
            if now.duration_since(used).unwrap_or_default() >= self.times.reuse_leeway {
                self.store.revoke(Whose::Family(&record.family), now).await?;
                tracing::warn!(
                    family = record.family,
                    client,
                    "a refresh token was used twice; its family is revoked"
                );
            }
            return Err(refused());
        }
        if now >= record.expires {
            return Err(refused());
        }
        Ok((hash, kept))
    }

    /// Forgets families whose time has passed: now and then.
    ///
    /// # Errors
    /// What the store says.
    pub async fn purge(&self) -> Result<u64> {
        self.store.purge(self.now()).await
    }

    async fn access_token(&self, grant: &Grant, family: Option<&str>) -> Result<String> {
        if let Some(ring) = &self.ring {
            let longest = ring.policy().await?.token_life;
            if self.times.access > longest {
                let message = format!(
                    "access tokens of {} s outlive those that the ring's policy waits for, of {} s; \
                     set the policy's token_life first",
                    self.times.access.as_secs(),
                    longest.as_secs()
                );
                return Err(Error::new(ErrorKind::InvalidInput, message));
            }
        }
        let mut claims = Claims::new_at(self.now())?
            .with_issuer(&self.issuer)
            .with_subject(&grant.subject)
            .with_ttl(self.times.access)
            .with_member("client_id", &grant.client)?;
        for audience in &grant.audiences {
            claims = claims.with_audience(audience);
        }
        if !grant.scope.is_empty() {
            claims = claims.with_member("scope", &grant.scope)?;
        }
        if !grant.roles.is_empty() {
            claims = claims.with_member("roles", &grant.roles)?;
        }
        if let Some(family) = family {
            claims = claims.with_member("sid", family)?;
        }
        for (name, value) in &grant.claims {
            claims = claims.with_member(name, value)?;
        }
        self.signs.sign_claims(&claims).await
    }

    fn response(
        &self,
        access: String,
        refresh: Option<Zeroizing<String>>,
        scope: Scope,
    ) -> TokenResponse {
        TokenResponse::new(access, self.times.access.as_secs(), refresh, scope)
    }

    /// To the millisecond, as stores have it.
    pub(super) fn now(&self) -> SystemTime {
        let since = (self.clock)().duration_since(UNIX_EPOCH).unwrap_or_default();
        UNIX_EPOCH + Duration::from_millis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
    }
}

impl fmt::Debug for TokenIssuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenIssuer")
            .field("issuer", &self.issuer)
            .field("times", &self.times)
            .finish_non_exhaustive()
    }
}
