//! Why a token is not accepted, for the operator.

use std::{error::Error as StdError, fmt};

use crate::error::{Error, ErrorKind};

/// Why a token was refused: the source of the [`Error`].
///
/// For logs and metrics of the one who verifies. Whoever presented the token needs to hear no more
/// than that it is invalid (RFC 6750, section 3.1). No reason quotes the token.
///
/// ```
/// use bulla::jwt::{InvalidToken, Verifier, JwkSet};
///
/// # fn main() -> bulla::Result<()> {
/// let verifier = Verifier::builder().any_issuer().any_audience().any_typ().build()?;
/// let keys = JwkSet::from_json(br#"{"keys":[]}"#)?;
/// let error = verifier.verify_with::<serde_json::Value>("a.b", &keys).unwrap_err();
/// assert_eq!(InvalidToken::of(&error), Some(InvalidToken::NotCompact));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum InvalidToken {
    /// Longer than the verifier allows. Found before anything is decoded.
    TooLong,
    /// Not three parts in the compact serialisation (RFC 7515, section 7.1).
    NotCompact,
    /// A part is not base64url without padding, in its one spelling (RFC 7515, section 2).
    Encoding,
    /// Header or claims are no JSON object, or a header parameter has the wrong type.
    Json,
    /// A member occurs twice in one object (RFC 7515, section 4; RFC 7519, section 4).
    DuplicateMember,
    /// Objects and arrays are nested too deeply.
    TooDeep,
    /// The header asks for an extension with `crit` or `b64`; none is understood (RFC 7515, section
    /// 4.1.11; RFC 7797).
    Critical,
    /// The header offers a key of its own: `jku`, `jwk`, `x5u` or `x5c`. Keys come from
    /// configuration only.
    OfferedKey,
    /// The header's `alg` is `none`, symmetric, unknown, or not what the key is for.
    Algorithm,
    /// The header names no key, and there is more than one that could be meant.
    NoKeyId,
    /// No key has the header's `kid`.
    UnknownKey,
    /// The key's `use` or `key_ops` says that it is not for verifying.
    KeyUse,
    /// The signature is not the key's.
    Signature,
    /// The header's `typ` is not the one expected, or missing.
    Type,
    /// A claim that is required is missing.
    MissingClaim(RegisteredClaim),
    /// A registered claim has the wrong type, or is a date before 1970 or after 9999.
    ClaimValue(RegisteredClaim),
    /// Its `exp` has passed.
    Expired,
    /// Its `nbf` is still to come.
    NotYetValid,
    /// Its `iat` is still to come.
    IssuedInFuture,
    /// Its `iss` is not the one expected.
    Issuer,
    /// Its `aud` has none of the audiences expected.
    Audience,
    /// The claims do not have the type that the caller asked for.
    Claims,
}

/// A claim of RFC 7519, section 4.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[allow(missing_docs, reason = "each is named after the claim")]
pub enum RegisteredClaim {
    Iss,
    Sub,
    Aud,
    Exp,
    Nbf,
    Iat,
    Jti,
}

impl InvalidToken {
    /// The reason why a token was refused, if that is what the error says. An outage, for one, has
    /// none.
    #[must_use]
    pub fn of(error: &Error) -> Option<Self> {
        error.source()?.downcast_ref().copied()
    }

    /// A stable lower-case name, fit for a metrics label.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::TooLong => "too_long",
            Self::NotCompact => "not_compact",
            Self::Encoding => "encoding",
            Self::Json => "json",
            Self::DuplicateMember => "duplicate_member",
            Self::TooDeep => "too_deep",
            Self::Critical => "critical",
            Self::OfferedKey => "offered_key",
            Self::Algorithm => "algorithm",
            Self::NoKeyId => "no_key_id",
            Self::UnknownKey => "unknown_key",
            Self::KeyUse => "key_use",
            Self::Signature => "signature",
            Self::Type => "type",
            Self::MissingClaim(_) => "missing_claim",
            Self::ClaimValue(_) => "claim_value",
            Self::Expired => "expired",
            Self::NotYetValid => "not_yet_valid",
            Self::IssuedInFuture => "issued_in_future",
            Self::Issuer => "issuer",
            Self::Audience => "audience",
            Self::Claims => "claims",
        }
    }

    /// Where nothing shows that somebody with an accepted key made the token:
    /// [`ErrorKind::NotAuthentic`]; otherwise [`ErrorKind::InvalidToken`].
    #[must_use]
    pub const fn kind(self) -> ErrorKind {
        match self {
            Self::Algorithm | Self::NoKeyId | Self::UnknownKey | Self::KeyUse | Self::Signature => {
                ErrorKind::NotAuthentic
            }
            _ => ErrorKind::InvalidToken,
        }
    }

    // No `From`: a second one for `Error` would leave `?` in callers' closures without a type.
    pub(super) fn into_error(self) -> Error {
        Error::new(self.kind(), self.to_string()).with_source(self)
    }
}

impl fmt::Display for InvalidToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            Self::TooLong => "the token is longer than allowed",
            Self::NotCompact => "the token is not in the compact form of JWS",
            Self::Encoding => "a part of the token is not base64url without padding",
            Self::Json => "the token's header or claims are no JSON object of the right shape",
            Self::DuplicateMember => "a member of the token's header or claims occurs twice",
            Self::TooDeep => "the token's JSON is nested too deeply",
            Self::Critical => "the token's header asks for an extension with crit or b64",
            Self::OfferedKey => "the token's header offers a key (jku, jwk, x5u or x5c)",
            Self::Algorithm => "the token's algorithm is not the key's, or none that is accepted",
            Self::NoKeyId => "the token names no key, and several could be meant",
            Self::UnknownKey => "no key has the token's kid",
            Self::KeyUse => "the token's key is not for verifying, by its use or key_ops",
            Self::Signature => "the token's signature is not the key's",
            Self::Type => "the token's typ is not the one expected",
            Self::MissingClaim(claim) => return write!(f, "the token has no claim {claim}"),
            Self::ClaimValue(claim) => {
                return write!(f, "the token's claim {claim} has a value that it can't have");
            }
            Self::Expired => "the token has expired",
            Self::NotYetValid => "the token is not valid yet",
            Self::IssuedInFuture => "the token was issued in the future",
            Self::Issuer => "the token's issuer is not the one expected",
            Self::Audience => "the token is for another audience",
            Self::Claims => "the token's claims are not of the type expected",
        };
        f.write_str(text)
    }
}

impl StdError for InvalidToken {}

impl RegisteredClaim {
    /// The claim's name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Iss => "iss",
            Self::Sub => "sub",
            Self::Aud => "aud",
            Self::Exp => "exp",
            Self::Nbf => "nbf",
            Self::Iat => "iat",
            Self::Jti => "jti",
        }
    }

    pub(super) fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "iss" => Self::Iss,
            "sub" => Self::Sub,
            "aud" => Self::Aud,
            "exp" => Self::Exp,
            "nbf" => Self::Nbf,
            "iat" => Self::Iat,
            "jti" => Self::Jti,
            _ => return None,
        })
    }
}

impl fmt::Display for RegisteredClaim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
