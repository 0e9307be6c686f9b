//! What somebody was granted.

use bulla::{Error, ErrorKind, Result};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::Scope;

/// Claims that the issuer writes.
const OWN: [&str; 11] =
    ["iss", "sub", "aud", "exp", "nbf", "iat", "jti", "client_id", "scope", "roles", "sid"];

/// The longest grant as it is kept, in bytes of JSON.
const MAX_LEN: usize = 8 * 1024;

/// Who may do what through which client: what access tokens say, and what a refresh token stands for.
///
/// The issuer believes it: it is for whoever has authenticated user and client, and asked for consent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    pub(super) subject: String,
    pub(super) client: String,
    pub(super) audiences: Vec<String>,
    pub(super) scope: Scope,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) roles: Vec<String>,
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub(super) claims: Map<String, Value>,
}

impl Grant {
    /// To a user, or to the client itself, whose id is the subject then (RFC 9068, section 2.2).
    pub fn new(subject: impl Into<String>, client: impl Into<String>) -> Self {
        Self {
            subject: subject.into(),
            client: client.into(),
            audiences: Vec::new(),
            scope: Scope::default(),
            roles: Vec::new(),
            claims: Map::new(),
        }
    }

    /// For this resource server: `aud`. At least one is needed; called again, it adds another.
    #[must_use]
    pub fn with_audience(mut self, audience: impl Into<String>) -> Self {
        self.audiences.push(audience.into());
        self
    }

    /// With this scope.
    #[must_use]
    pub fn with_scope(mut self, scope: Scope) -> Self {
        self.scope = scope;
        self
    }

    /// With these roles (RFC 9068, section 2.2.3.1).
    #[must_use]
    pub fn with_roles(mut self, roles: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.roles = roles.into_iter().map(Into::into).collect();
        self
    }

    /// With another claim.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] for one that the issuer writes, such as `iss`, `exp` or `scope`, and for
    /// a value without a JSON form.
    pub fn with_claim(mut self, name: impl Into<String>, value: impl Serialize) -> Result<Self> {
        let name = name.into();
        if OWN.contains(&&*name) {
            let message = format!("the issuer writes the claim {name} itself");
            return Err(Error::new(ErrorKind::InvalidInput, message));
        }
        let value = serde_json::to_value(value).map_err(|error| {
            Error::new(ErrorKind::InvalidInput, format!("the claim {name} has no JSON form"))
                .with_source(error)
        })?;
        self.claims.insert(name, value);
        Ok(self)
    }

    /// Who it is granted to: `sub`.
    #[must_use]
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// Through whom: `client_id`.
    #[must_use]
    pub fn client(&self) -> &str {
        &self.client
    }

    /// For which resource servers: `aud`.
    #[must_use]
    pub fn audiences(&self) -> &[String] {
        &self.audiences
    }

    /// What may be done.
    #[must_use]
    pub const fn scope(&self) -> &Scope {
        &self.scope
    }

    /// The roles of the subject.
    #[must_use]
    pub fn roles(&self) -> &[String] {
        &self.roles
    }

    pub(super) fn to_json(&self) -> Result<String> {
        let json = serde_json::to_string(self).map_err(|error| {
            Error::new(ErrorKind::Internal, "a grant has no JSON form").with_source(error)
        })?;
        let invalid = |message: String| Err(Error::new(ErrorKind::InvalidInput, message));
        if json.len() > MAX_LEN {
            return invalid(format!("a grant has over {MAX_LEN} bytes"));
        }
        if self.subject.is_empty() || self.client.is_empty() || self.audiences.is_empty() {
            return invalid("a grant names a subject, a client and an audience".to_owned());
        }
        Ok(json)
    }

    pub(super) fn from_json(json: &str) -> Result<Self> {
        serde_json::from_str(json).map_err(|error| {
            Error::new(ErrorKind::Damaged, "what is kept of a refresh token is no grant")
                .with_source(error)
        })
    }
}
