//! Claims to sign, with sane defaults.

use std::{
    fmt,
    time::{Duration, SystemTime},
};

use serde::Serialize;
use serde_json::{Map, Value};

use super::{RegisteredClaim, compact, date::NumericDate, strict};
use crate::error::{Error, ErrorKind, Result};

const DEFAULT_TTL: Duration = Duration::from_secs(3600);

/// Bytes in a token's random id.
const ID_LEN: usize = 16;

/// The registered claims (RFC 7519, section 4.1) and any others, to be signed or as verified.
///
/// Its `Debug` names the claims and leaves their values out.
///
/// ```
/// use bulla::jwt::Claims;
///
/// # fn main() -> bulla::Result<()> {
/// let claims = Claims::new()?
///     .with_issuer("https://id.example")
///     .with_subject("ada")
///     .with_audience("orders")
///     .with_member("scope", "read")?;
/// # assert_eq!(claims.subject(), Some("ada"));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, PartialEq)]
pub struct Claims {
    pub(super) iss: Option<String>,
    pub(super) sub: Option<String>,
    pub(super) aud: Audience,
    pub(super) exp: Option<NumericDate>,
    pub(super) nbf: Option<NumericDate>,
    pub(super) iat: Option<NumericDate>,
    pub(super) jti: Option<String>,
    pub(super) others: Map<String, Value>,
}

/// One is a string, several are an array (RFC 7519, section 4.1.3).
#[derive(Clone, PartialEq)]
pub(super) enum Audience {
    One(String),
    Several(Vec<String>),
}

impl Claims {
    /// Claims of a token issued now: `iat` is now, `exp` in an hour, `jti` 128 random bits.
    ///
    /// # Errors
    /// [`Internal`](ErrorKind::Internal) if the system has no random numbers.
    pub fn new() -> Result<Self> {
        Self::new_at(SystemTime::now())
    }

    /// The same of a token issued at another time.
    ///
    /// # Errors
    /// As for [`new`](Self::new).
    pub fn new_at(now: SystemTime) -> Result<Self> {
        let mut id = [0; ID_LEN];
        getrandom::fill(&mut id)
            .map_err(|_| Error::new(ErrorKind::Internal, "the system has no random numbers"))?;
        let iat = NumericDate::of(now).whole();
        Ok(Self {
            exp: Some(iat.plus(DEFAULT_TTL)),
            iat: Some(iat),
            jti: Some(compact::encode(id)),
            ..Self::empty()
        })
    }

    pub(super) fn empty() -> Self {
        Self {
            iss: None,
            sub: None,
            aud: Audience::default(),
            exp: None,
            nbf: None,
            iat: None,
            jti: None,
            others: Map::new(),
        }
    }

    /// Who issues the token: `iss`.
    #[must_use]
    pub fn with_issuer(mut self, issuer: impl Into<String>) -> Self {
        self.iss = Some(issuer.into());
        self
    }

    /// Whom it is about: `sub`.
    #[must_use]
    pub fn with_subject(mut self, subject: impl Into<String>) -> Self {
        self.sub = Some(subject.into());
        self
    }

    /// Whom it is for: `aud`. Called again, it adds another.
    #[must_use]
    pub fn with_audience(mut self, audience: impl Into<String>) -> Self {
        self.aud = match self.aud {
            Audience::Several(all) if all.is_empty() => Audience::One(audience.into()),
            Audience::One(one) => Audience::Several(vec![one, audience.into()]),
            Audience::Several(mut all) => {
                all.push(audience.into());
                Audience::Several(all)
            }
        };
        self
    }

    /// Whom it is for, and nobody else: `aud` as an array, also of one, where a standard has it so.
    #[must_use]
    pub fn with_audiences<A: Into<String>>(
        mut self,
        audiences: impl IntoIterator<Item = A>,
    ) -> Self {
        self.aud = Audience::Several(audiences.into_iter().map(Into::into).collect());
        self
    }

    /// Sets `exp` to so long after `iat`, in whole seconds.
    #[must_use]
    pub fn with_ttl(mut self, ttl: Duration) -> Self {
        let iat = self.iat.unwrap_or_else(|| NumericDate::of(SystemTime::now()));
        self.exp = Some(iat.plus(ttl).whole());
        self
    }

    /// From when it is valid, in whole seconds: `nbf`.
    #[must_use]
    pub fn with_not_before(mut self, time: SystemTime) -> Self {
        self.nbf = Some(NumericDate::of(time).whole());
        self
    }

    /// Replaces the random id: `jti`.
    #[must_use]
    pub fn with_id(mut self, id: impl Into<String>) -> Self {
        self.jti = Some(id.into());
        self
    }

    /// Adds a claim that is not registered.
    ///
    /// # Errors
    /// [`InvalidInput`](ErrorKind::InvalidInput) if the name is a registered one, which has a method
    /// of its own, or if the value is not one of JSON or nested more than 15 deep.
    pub fn with_member(mut self, name: impl Into<String>, value: impl Serialize) -> Result<Self> {
        let name = name.into();
        if RegisteredClaim::parse(&name).is_some() {
            return Err(Error::invalid(format!("the claim {name} has a method of its own")));
        }
        let value = serde_json::to_value(value)
            .map_err(|_| Error::invalid(format!("the claim {name} has no JSON form")))?;
        if !strict::is_shallow(&value) {
            return Err(Error::invalid(format!("the claim {name} is nested deeply")));
        }
        self.others.insert(name, value);
        Ok(self)
    }

    /// `iss`.
    #[must_use]
    pub fn issuer(&self) -> Option<&str> {
        self.iss.as_deref()
    }

    /// `sub`.
    #[must_use]
    pub fn subject(&self) -> Option<&str> {
        self.sub.as_deref()
    }

    /// `aud`, however many there are.
    #[must_use]
    pub fn audiences(&self) -> &[String] {
        match &self.aud {
            Audience::One(one) => std::slice::from_ref(one),
            Audience::Several(all) => all,
        }
    }

    /// `exp`.
    #[must_use]
    pub fn expires_at(&self) -> Option<SystemTime> {
        self.exp.map(NumericDate::time)
    }

    /// `nbf`.
    #[must_use]
    pub fn not_before(&self) -> Option<SystemTime> {
        self.nbf.map(NumericDate::time)
    }

    /// `iat`.
    #[must_use]
    pub fn issued_at(&self) -> Option<SystemTime> {
        self.iat.map(NumericDate::time)
    }

    /// `jti`.
    #[must_use]
    pub fn id(&self) -> Option<&str> {
        self.jti.as_deref()
    }

    /// A claim that is not registered.
    #[must_use]
    pub fn member(&self, name: &str) -> Option<&Value> {
        self.others.get(name)
    }
}

impl Audience {
    pub(super) fn is_none(&self) -> bool {
        matches!(self, Self::Several(all) if all.is_empty())
    }
}

impl Default for Audience {
    fn default() -> Self {
        Self::Several(Vec::new())
    }
}

impl fmt::Debug for Claims {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Claims")
            .field("others", &self.others.keys().collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}
