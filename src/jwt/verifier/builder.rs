//! What a verifier expects.

use std::{
    fmt,
    sync::Arc,
    time::{Duration, SystemTime},
};

use super::{super::DEFAULT_MAX_LEN, Clock, Familiar, Rules, Verifier};
use crate::{
    crypto::SigningAlgorithm,
    error::{Error, Result},
};

/// Hosts that keep time by NTP differ by less than a second; ten cover one that has just woken up,
/// and make a token of an hour last 0.3 % longer.
const DEFAULT_LEEWAY: Duration = Duration::from_secs(10);

const MAX_LEEWAY: Duration = Duration::from_secs(60);

/// No header needs more, and what is decoded is held in memory twice.
const MAX_MAX_LEN: usize = 1024 * 1024;

/// Says what a [`Verifier`] expects of tokens.
///
/// `issuer`, `audience` and `typ` have no default: each is either given or waived by name.
#[must_use]
pub struct VerifierBuilder {
    issuer: Expected<String>,
    audiences: Expected<Vec<String>>,
    typ: Expected<String>,
    algorithms: Option<Vec<SigningAlgorithm>>,
    leeway: Duration,
    max_len: usize,
    needs_exp: bool,
    needs_kid: bool,
    clock: Clock,
}

enum Expected<T> {
    NotSaid,
    Any,
    This(T),
}

impl VerifierBuilder {
    pub(super) fn new() -> Self {
        Self {
            issuer: Expected::NotSaid,
            audiences: Expected::NotSaid,
            typ: Expected::NotSaid,
            algorithms: None,
            leeway: DEFAULT_LEEWAY,
            max_len: DEFAULT_MAX_LEN,
            needs_exp: true,
            needs_kid: true,
            clock: Arc::new(SystemTime::now),
        }
    }

    /// Accepts tokens with this `iss`, compared byte by byte. The keys that the verifier is given
    /// must be this issuer's: for several issuers, make a verifier for each.
    pub fn issuer(mut self, issuer: impl Into<String>) -> Self {
        self.issuer = Expected::This(issuer.into());
        self
    }

    /// Accepts tokens of any issuer and of none: whoever has one of the keys.
    pub fn any_issuer(mut self) -> Self {
        self.issuer = Expected::Any;
        self
    }

    /// Accepts tokens that name this audience, perhaps among others. Called again, it adds another
    /// name of the same audience.
    pub fn audience(mut self, audience: impl Into<String>) -> Self {
        match &mut self.audiences {
            Expected::This(audiences) => audiences.push(audience.into()),
            _ => self.audiences = Expected::This(vec![audience.into()]),
        }
        self
    }

    /// Accepts tokens for any audience and for none, such as ones that were meant for another
    /// service.
    pub fn any_audience(mut self) -> Self {
        self.audiences = Expected::Any;
        self
    }

    /// Accepts tokens with this `typ`, such as `JWT` or `at+jwt`. Case does not matter, nor does
    /// `application/` before it (RFC 7515, section 4.1.9).
    pub fn typ(mut self, typ: impl Into<String>) -> Self {
        self.typ = Expected::This(typ.into());
        self
    }

    /// Accepts tokens of any type, such as ID tokens in the place of access tokens.
    pub fn any_typ(mut self) -> Self {
        self.typ = Expected::Any;
        self
    }

    /// Accepts these algorithms only, out of those of the keys. RSA keys that state no algorithm
    /// need it: without it they verify nothing.
    pub fn algorithms(mut self, algorithms: impl IntoIterator<Item = SigningAlgorithm>) -> Self {
        self.algorithms = Some(algorithms.into_iter().collect());
        self
    }

    /// How far this host's clock and the issuer's may differ: 10 seconds by default, 60 at most.
    pub fn leeway(mut self, leeway: Duration) -> Self {
        self.leeway = leeway;
        self
    }

    /// Bytes that a token may have: 16 KiB by default, 1 MiB at most.
    pub fn max_len(mut self, bytes: usize) -> Self {
        self.max_len = bytes;
        self
    }

    /// Accepts tokens without `exp`, which never expire.
    pub fn allow_missing_exp(mut self) -> Self {
        self.needs_exp = false;
        self
    }

    /// Tries up to 16 keys of the right algorithm where a token has no `kid`. Without this, such a
    /// token is accepted only from a set with one key to verify with.
    pub fn allow_missing_kid(mut self) -> Self {
        self.needs_kid = false;
        self
    }

    /// Takes the time from here.
    pub fn clock(mut self, clock: impl Fn() -> SystemTime + Send + Sync + 'static) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Checks what was said.
    ///
    /// # Errors
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) if issuer, audience or type were neither
    /// given nor waived, if one is empty, or if a number is out of range.
    pub fn build(self) -> Result<Verifier> {
        let issuer = self.issuer.said("issuer", String::is_empty)?;
        let audiences = self.audiences.said("audience", |all| all.iter().any(String::is_empty))?;
        let typ = self.typ.said("typ", String::is_empty)?;
        if self.leeway > MAX_LEEWAY {
            return Err(Error::invalid("the leeway is over 60 seconds"));
        }
        if self.max_len > MAX_MAX_LEN {
            return Err(Error::invalid("the largest token is over 1 MiB"));
        }
        if self.algorithms.as_ref().is_some_and(Vec::is_empty) {
            return Err(Error::invalid("of no algorithm, no token can be accepted"));
        }
        Ok(Verifier(Arc::new(Rules {
            issuer,
            audiences,
            typ,
            algorithms: self.algorithms,
            leeway: self.leeway,
            max_len: self.max_len,
            needs_exp: self.needs_exp,
            needs_kid: self.needs_kid,
            clock: self.clock,
            familiar: Familiar::new(),
        })))
    }
}

impl<T> Expected<T> {
    fn said(self, what: &str, is_empty: impl Fn(&T) -> bool) -> Result<Option<T>> {
        match self {
            Self::NotSaid => Err(Error::invalid(format!(
                "say what {what} is expected of a token, or waive it with any_{what}"
            ))),
            Self::Any => Ok(None),
            Self::This(this) if is_empty(&this) => {
                Err(Error::invalid(format!("the {what} expected is empty")))
            }
            Self::This(this) => Ok(Some(this)),
        }
    }
}

impl fmt::Debug for VerifierBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VerifierBuilder").finish_non_exhaustive()
    }
}
