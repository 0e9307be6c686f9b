//! What a JWT-SVID is to say.

use std::{fmt, time::Duration};

use bulla::{Error, ErrorKind, Result, jwt::Claims};
use serde::Serialize;
use serde_json::{Map, Value};

use crate::id::SpiffeId;

/// Asks a [`JwtSvidIssuer`](super::JwtSvidIssuer) for a token: whose, for whom, and what else it says.
///
/// ```
/// use bulla_spiffe::{JwtSvidRequest, spiffe_id};
///
/// # fn main() -> bulla::Result<()> {
/// let request = JwtSvidRequest::new(spiffe_id("spiffe://example.org/billing")?, "reports")
///     .with_claim("tenant", "acme")?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, PartialEq)]
pub struct JwtSvidRequest {
    pub(super) id: SpiffeId,
    pub(super) audiences: Vec<String>,
    pub(super) ttl: Option<Duration>,
    pub(super) claims: Map<String, Value>,
}

impl JwtSvidRequest {
    /// A token of this workload for this audience. One audience is best: each can pass the token on to the
    /// others (JWT-SVID, section 7.2).
    pub fn new(id: SpiffeId, audience: impl Into<String>) -> Self {
        Self { id, audiences: vec![audience.into()], ttl: None, claims: Map::new() }
    }

    /// For another audience as well.
    #[must_use]
    pub fn with_audience(mut self, audience: impl Into<String>) -> Self {
        self.audiences.push(audience.into());
        self
    }

    /// Lasts for so long, in whole seconds; up to the issuer's own time, which is the default.
    #[must_use]
    pub const fn with_ttl(mut self, ttl: Duration) -> Self {
        self.ttl = Some(ttl);
        self
    }

    /// Says this as well.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] for a name that RFC 7519 registers (`sub`, `exp` and the others), for one
    /// that was given before, and for a value that has no JSON form or is nested more than 15 deep.
    pub fn with_claim(mut self, name: impl Into<String>, value: impl Serialize) -> Result<Self> {
        let name = name.into();
        // Which judges name and value, and is made for nothing.
        let judged = Claims::new()?.with_member(name.clone(), value)?;
        let value = judged.member(&name).cloned().unwrap_or_default();
        if self.claims.contains_key(&name) {
            let message = format!("the claim {name} is given twice");
            return Err(Error::new(ErrorKind::InvalidInput, message));
        }
        self.claims.insert(name, value);
        Ok(self)
    }

    /// Whose token it is to be.
    #[must_use]
    pub const fn id(&self) -> &SpiffeId {
        &self.id
    }
}

/// Without the values of claims, which are often about somebody.
impl fmt::Debug for JwtSvidRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JwtSvidRequest")
            .field("id", &self.id.to_string())
            .field("audiences", &self.audiences)
            .field("ttl", &self.ttl)
            .field("claims", &self.claims.keys().collect::<Vec<_>>())
            .finish()
    }
}
