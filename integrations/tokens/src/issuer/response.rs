//! What clients get.

use std::fmt;

use serde::Serialize;
use zeroize::Zeroizing;

use super::Scope;

/// A successful response of the token endpoint (RFC 6749, section 5.1). Serialise it as JSON, and send it
/// with `Cache-Control: no-store`. Its `Debug` shows no token.
#[derive(Clone, Serialize)]
pub struct TokenResponse {
    pub(super) access_token: String,
    token_type: &'static str,
    /// In seconds.
    pub(super) expires_in: u64,
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "text")]
    pub(super) refresh_token: Option<Zeroizing<String>>,
    #[serde(skip_serializing_if = "Scope::is_empty")]
    pub(super) scope: Scope,
}

fn text<S: serde::Serializer>(
    token: &Option<Zeroizing<String>>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    token.as_ref().map(|token| token.as_str()).serialize(serializer)
}

impl TokenResponse {
    pub(super) fn new(
        access_token: String,
        expires_in: u64,
        refresh_token: Option<Zeroizing<String>>,
        scope: Scope,
    ) -> Self {
        Self { access_token, token_type: "Bearer", expires_in, refresh_token, scope }
    }

    /// The access token.
    #[must_use]
    pub fn access_token(&self) -> &str {
        &self.access_token
    }

    /// The refresh token, if one was asked for: 43 characters of base64url.
    #[must_use]
    pub fn refresh_token(&self) -> Option<&str> {
        self.refresh_token.as_ref().map(|token| token.as_str())
    }

    /// For how many seconds the access token is valid.
    #[must_use]
    pub const fn expires_in(&self) -> u64 {
        self.expires_in
    }

    /// What it is good for.
    #[must_use]
    pub const fn scope(&self) -> &Scope {
        &self.scope
    }
}

impl fmt::Debug for TokenResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenResponse")
            .field("expires_in", &self.expires_in)
            .field("scope", &self.scope)
            .finish_non_exhaustive()
    }
}

/// What a resource server is told of a token (RFC 7662, section 2.2). Of one that is not active, nothing
/// else is said.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Introspection {
    /// Whether the token may be used now.
    pub active: bool,
    /// What it is good for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scope: Option<Scope>,
    /// The client that it was issued to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_id: Option<String>,
    /// `Bearer`, of an access token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_type: Option<&'static str>,
    /// Whom it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sub: Option<String>,
    /// Whom it is for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub aud: Vec<String>,
    /// Who issued it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub iss: Option<String>,
    /// Its id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jti: Option<String>,
    /// Since when, in seconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub iat: Option<u64>,
    /// Until when, in seconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exp: Option<u64>,
}
