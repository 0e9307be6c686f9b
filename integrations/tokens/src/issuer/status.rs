//! Revoking tokens, and telling what they are good for.

use std::time::{SystemTime, UNIX_EPOCH};

use bulla::{ErrorKind, Result, jwt::Verified};
use serde::Deserialize;

use super::{
    Grant, Introspection, Kept, OAuthError, Scope, TokenError, TokenHash, TokenIssuer, Whose,
};

impl TokenIssuer {
    /// Revokes a token of this client (RFC 7009): a refresh token with its family, and an access token with
    /// the refresh tokens that it came with. Resource servers that don't ask by
    /// [`introspect`](Self::introspect) accept access tokens until they expire. A token that is not known
    /// is as good as revoked.
    ///
    /// # Errors
    /// [`OAuthError::UnsupportedTokenType`] for an access token that came with no refresh token: only its
    /// expiry ends it. [`OAuthError::InvalidGrant`] for a token of another client.
    pub async fn revoke(&self, token: &str, client: &str) -> Result<(), TokenError> {
        let now = self.now();
        if let Some(hash) = TokenHash::of(token) {
            let Some(kept) = self.store.find(&hash).await? else { return Ok(()) };
            if kept.record.client != client {
                return Err(OAuthError::InvalidGrant.into());
            }
            self.store.revoke(Whose::Family(&kept.record.family), now).await?;
            return Ok(());
        }
        let Some(access) = self.own(token).await? else { return Ok(()) };
        if access.client_id != client {
            return Err(OAuthError::InvalidGrant.into());
        }
        let family = access.sid.ok_or(OAuthError::UnsupportedTokenType)?;
        self.store.revoke(Whose::Family(&family), now).await?;
        Ok(())
    }

    /// Revokes all refresh tokens of a user, of a client, or of both: how many families that are.
    ///
    /// # Errors
    /// What the store says.
    pub async fn revoke_all(&self, whose: Whose<'_>) -> Result<u64> {
        self.store.revoke(whose, self.now()).await
    }

    /// What a token is good for (RFC 7662): an access token, or a refresh token. Whoever asks is to be
    /// authenticated first, so that nobody can try tokens.
    ///
    /// # Errors
    /// If keys or store are not at hand. A token that is no good is no error.
    pub async fn introspect(&self, token: &str) -> Result<Introspection> {
        let now = self.now();
        if let Some(hash) = TokenHash::of(token) {
            let found = self.store.find(&hash).await?.filter(|kept| {
                let until = kept.record.expires.min(kept.record.family_expires);
                kept.used.is_none() && !kept.revoked && now < until
            });
            return found
                .map_or_else(|| Ok(Introspection::default()), |kept| self.of_refresh(kept));
        }
        let Some(access) = self.own(token).await? else { return Ok(Introspection::default()) };
        if let Some(family) = &access.sid
            && !self.store.is_live(family, now).await?
        {
            return Ok(Introspection::default());
        }
        Ok(Introspection {
            active: true,
            scope: access.scope,
            client_id: Some(access.client_id),
            token_type: Some("Bearer"),
            sub: Some(access.sub),
            aud: access.aud.into(),
            iss: Some(self.issuer.clone()),
            jti: Some(access.jti),
            iat: Some(access.iat),
            exp: Some(access.exp),
        })
    }

    fn of_refresh(&self, kept: Kept) -> Result<Introspection> {
        let grant = Grant::from_json(&kept.record.grant)?;
        Ok(Introspection {
            active: true,
            scope: Some(grant.scope).filter(|scope| !scope.is_empty()),
            client_id: Some(grant.client),
            sub: Some(grant.subject),
            aud: grant.audiences,
            iss: Some(self.issuer.clone()),
            exp: Some(seconds(kept.record.expires)),
            ..Introspection::default()
        })
    }

    /// The claims of an access token of this issuer that has not expired; `None` for any other.
    async fn own(&self, token: &str) -> Result<Option<Access>> {
        match self.verifier.verify::<Access>(token, &*self.signs).await {
            Ok(verified) => Ok(Some(Verified::into_claims(verified))),
            Err(error)
                if matches!(error.kind(), ErrorKind::NotAuthentic | ErrorKind::InvalidToken) =>
            {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }
}

/// What introspection says of an access token.
#[derive(Deserialize)]
struct Access {
    sub: String,
    client_id: String,
    aud: Audience,
    jti: String,
    iat: u64,
    exp: u64,
    scope: Option<Scope>,
    sid: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Several(Vec<String>),
}

impl From<Audience> for Vec<String> {
    fn from(audience: Audience) -> Self {
        match audience {
            Audience::One(one) => vec![one],
            Audience::Several(several) => several,
        }
    }
}

fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}
