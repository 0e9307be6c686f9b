//! A JWT-SVID: as it was issued, and as it was verified.

use std::{fmt, time::SystemTime};

use bulla::jwt::{Claims, JoseHeader};

use crate::id::SpiffeId;

/// A JWT-SVID that was just issued. Its `Debug` leaves the token out: whoever has it is the workload.
#[derive(Clone)]
pub struct IssuedJwtSvid {
    pub(super) id: SpiffeId,
    pub(super) token: String,
    pub(super) issued: SystemTime,
    pub(super) expires: SystemTime,
}

impl IssuedJwtSvid {
    /// Whose it is.
    #[must_use]
    pub const fn id(&self) -> &SpiffeId {
        &self.id
    }

    /// The token, in the compact form of JWS.
    #[must_use]
    pub fn token(&self) -> &str {
        &self.token
    }

    /// The token, without the rest.
    #[must_use]
    pub fn into_token(self) -> String {
        self.token
    }

    /// `iat`.
    #[must_use]
    pub const fn issued_at(&self) -> SystemTime {
        self.issued
    }

    /// `exp`.
    #[must_use]
    pub const fn expires_at(&self) -> SystemTime {
        self.expires
    }
}

impl fmt::Debug for IssuedJwtSvid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IssuedJwtSvid")
            .field("id", &self.id.to_string())
            .field("expires", &self.expires)
            .finish_non_exhaustive()
    }
}

/// A JWT-SVID that was verified. Only a [`JwtSvidVerifier`](super::JwtSvidVerifier) makes one.
#[derive(Clone)]
pub struct JwtSvid {
    pub(super) id: SpiffeId,
    pub(super) header: JoseHeader,
    pub(super) claims: Claims,
}

impl JwtSvid {
    /// Whose it is: `sub`.
    #[must_use]
    pub const fn id(&self) -> &SpiffeId {
        &self.id
    }

    /// The header.
    #[must_use]
    pub const fn header(&self) -> &JoseHeader {
        &self.header
    }

    /// All claims.
    #[must_use]
    pub const fn claims(&self) -> &Claims {
        &self.claims
    }

    /// Whom it is for: `aud`.
    #[must_use]
    pub fn audiences(&self) -> &[String] {
        self.claims.audiences()
    }

    /// `exp`.
    #[must_use]
    pub fn expires_at(&self) -> Option<SystemTime> {
        self.claims.expires_at()
    }
}

impl fmt::Debug for JwtSvid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JwtSvid")
            .field("id", &self.id.to_string())
            .field("header", &self.header)
            .field("claims", &self.claims)
            .finish()
    }
}
