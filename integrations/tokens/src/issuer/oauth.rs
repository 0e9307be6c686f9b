//! What an authorization server answers when it refuses.

use std::fmt;

use bulla::Error;
use serde::Serialize;

/// Why a request was refused, as the client is told (RFC 6749, section 5.2; RFC 7009, section 2.2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum OAuthError {
    /// The request lacks something, or has something twice.
    InvalidRequest,
    /// The refresh token is unknown, expired, used, revoked, or another client's. All of these look alike.
    InvalidGrant,
    /// The scope is malformed, or more than what was granted.
    InvalidScope,
    /// A token of this kind can't be revoked.
    UnsupportedTokenType,
}

impl OAuthError {
    /// The `error` of the response.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::InvalidRequest => "invalid_request",
            Self::InvalidGrant => "invalid_grant",
            Self::InvalidScope => "invalid_scope",
            Self::UnsupportedTokenType => "unsupported_token_type",
        }
    }

    /// The status of the response.
    #[must_use]
    pub const fn status(self) -> u16 {
        400
    }

    /// The body of the response, to be sent with `Content-Type: application/json` and
    /// `Cache-Control: no-store`.
    #[must_use]
    pub fn to_json(self) -> String {
        #[derive(Serialize)]
        struct Body {
            error: &'static str,
        }
        serde_json::to_string(&Body { error: self.code() }).unwrap_or_default()
    }
}

impl fmt::Display for OAuthError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl std::error::Error for OAuthError {}

/// Why there is no token.
#[derive(Debug)]
#[non_exhaustive]
pub enum TokenError {
    /// The request was refused: for the client.
    Refused(OAuthError),
    /// A store or a key was not at hand: for the operator; the client is told `503`, or `500`.
    Failed(Error),
}

impl TokenError {
    /// Why the request was refused, if it was.
    #[must_use]
    pub const fn refused(&self) -> Option<OAuthError> {
        match self {
            Self::Refused(why) => Some(*why),
            Self::Failed(_) => None,
        }
    }
}

impl From<Error> for TokenError {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

impl From<OAuthError> for TokenError {
    fn from(error: OAuthError) -> Self {
        Self::Refused(error)
    }
}

impl fmt::Display for TokenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(why) => write!(f, "refused: {why}"),
            Self::Failed(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for TokenError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Refused(why) => Some(why),
            Self::Failed(error) => Some(error),
        }
    }
}
