//! What comes out of a token: verified, or for inspection only.

use std::fmt;

use serde_json::Value;

use super::{DEFAULT_MAX_LEN, InvalidToken, compact::Compact, header::JoseHeader, strict};
use crate::error::Result;

/// A token whose signature and claims were found good. Only a
/// [`Verifier`](super::Verifier) makes one.
///
/// Its `Debug` leaves the claims out: they are often about a person.
#[derive(Clone)]
pub struct Verified<C> {
    pub(super) header: JoseHeader,
    pub(super) claims: C,
}

impl<C> Verified<C> {
    /// The header.
    #[must_use]
    pub fn header(&self) -> &JoseHeader {
        &self.header
    }

    /// The claims.
    #[must_use]
    pub fn claims(&self) -> &C {
        &self.claims
    }

    /// The claims, without the rest.
    #[must_use]
    pub fn into_claims(self) -> C {
        self.claims
    }
}

impl<C> fmt::Debug for Verified<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verified").field("header", &self.header).finish_non_exhaustive()
    }
}

/// What a token says, as anybody could have written it: nothing here was verified.
#[derive(Clone)]
pub struct Unverified {
    header: Value,
    claims: Value,
}

impl Unverified {
    /// The header, a JSON object.
    #[must_use]
    pub fn header(&self) -> &Value {
        &self.header
    }

    /// The claims, a JSON object.
    #[must_use]
    pub fn claims(&self) -> &Value {
        &self.claims
    }
}

impl fmt::Debug for Unverified {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Unverified").field("header", &self.header).finish_non_exhaustive()
    }
}

/// Decodes a token **without verifying anything**: for a person to look at, and for nothing else.
///
/// The token may be of any algorithm, `none` included, and may be up to 16 KiB.
///
/// # Errors
/// [`InvalidToken`](crate::ErrorKind::InvalidToken) if it is not in compact form, or if header or
/// claims are not JSON objects without duplicate members.
pub fn decode_unverified(token: &str) -> Result<Unverified> {
    let token = Compact::split(token, DEFAULT_MAX_LEN).map_err(InvalidToken::into_error)?;
    let read = || {
        token.signature()?;
        Ok(Unverified { header: object(&token.header()?)?, claims: object(&token.payload()?)? })
    };
    read().map_err(InvalidToken::into_error)
}

fn object(json: &[u8]) -> Result<Value, InvalidToken> {
    strict::check(json)?;
    serde_json::from_slice(json).map_err(|_| InvalidToken::Json)
}
