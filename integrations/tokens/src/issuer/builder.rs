//! What an issuer is told.

use std::{
    fmt,
    sync::Arc,
    time::{Duration, SystemTime},
};

use bulla::{Error, ErrorKind, Result, jwt::Verifier};

use super::{RefreshStore, TokenIssuer};
use crate::{ring::RingKeys, routes::SignTokens};

const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(24 * 3600);

/// RFC 9068, section 2.1.
pub(super) const TYP: &str = "at+jwt";

/// What is longer is no token of ours.
const MAX_TOKEN_LEN: usize = 16 * 1024;

pub(super) type Clock = Arc<dyn Fn() -> SystemTime + Send + Sync>;

#[derive(Clone, Copy, Debug)]
pub(super) struct Times {
    pub(super) access: Duration,
    pub(super) idle: Duration,
    pub(super) family: Duration,
    pub(super) reuse_leeway: Duration,
}

/// Says how long tokens last, and whose they are.
#[must_use]
pub struct TokenIssuerBuilder {
    issuer: String,
    signs: Result<Arc<dyn SignTokens>>,
    store: Arc<dyn RefreshStore>,
    times: Times,
    ring: Option<Arc<RingKeys>>,
    clock: Clock,
}

impl TokenIssuerBuilder {
    pub(super) fn new(
        issuer: String,
        signs: Result<Arc<dyn SignTokens>>,
        store: Arc<dyn RefreshStore>,
    ) -> Self {
        let times = Times {
            access: 10 * MINUTE,
            idle: 14 * DAY,
            family: 90 * DAY,
            reuse_leeway: Duration::ZERO,
        };
        Self { issuer, signs, store, times, ring: None, clock: Arc::new(SystemTime::now) }
    }

    /// For how long access tokens are valid: 10 minutes by default, in whole seconds.
    pub const fn access_for(mut self, time: Duration) -> Self {
        self.times.access = time;
        self
    }

    /// For how long a refresh token may lie unused: 14 days by default.
    pub const fn refresh_within(mut self, time: Duration) -> Self {
        self.times.idle = time;
        self
    }

    /// For how long there are refresh tokens of one grant at all: 90 days by default. Then the user has to
    /// log in.
    pub const fn family_for(mut self, time: Duration) -> Self {
        self.times.family = time;
        self
    }

    /// For how long after its use a refresh token that comes back is only refused, and does not revoke its
    /// family: not at all by default, a minute at most.
    ///
    /// It helps clients that redeem one token twice at once. It also keeps a thief who redeems a token
    /// within that time of its owner unnoticed.
    pub const fn reuse_leeway(mut self, time: Duration) -> Self {
        self.times.reuse_leeway = time;
        self
    }

    /// Refuses to issue access tokens that outlive what the ring's policy waits for: a longer one would
    /// be refused once its key was removed.
    pub fn ring(mut self, ring: Arc<RingKeys>) -> Self {
        self.ring = Some(ring);
        self
    }

    /// By another clock than the system's.
    pub fn clock(mut self, clock: impl Fn() -> SystemTime + Send + Sync + 'static) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// The issuer. No call is made yet.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] for an empty issuer, and for times that can't be: access tokens of less
    /// than a second or that outlive their family, and a leeway of over a minute.
    pub fn build(self) -> Result<TokenIssuer> {
        let Self { issuer, signs, store, times, ring, clock } = self;
        let signs = signs?;
        let invalid = |message| Err(Error::new(ErrorKind::InvalidInput, message));
        if times.access < Duration::from_secs(1) || times.access.subsec_nanos() != 0 {
            return invalid("access tokens last for whole seconds, one at least");
        }
        if times.idle.is_zero() || times.family < times.idle || times.family < times.access {
            return invalid("a family of refresh tokens lasts for as long as each of its tokens");
        }
        if times.reuse_leeway > MINUTE {
            return invalid("a refresh token that was used is tolerated for a minute at most");
        }
        let own = Arc::clone(&clock);
        let verifier = Verifier::builder()
            .issuer(&issuer)
            .any_audience()
            .typ(TYP)
            .max_len(MAX_TOKEN_LEN)
            .clock(move || own())
            .build()?;
        Ok(TokenIssuer { issuer, signs, verifier, store, times, ring, clock })
    }
}

impl fmt::Debug for TokenIssuerBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenIssuerBuilder")
            .field("issuer", &self.issuer)
            .field("times", &self.times)
            .finish_non_exhaustive()
    }
}
