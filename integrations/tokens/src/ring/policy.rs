//! How long keys wait.

use std::time::Duration;

use bulla::{Error, ErrorKind, Result};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);

/// The longest of any of these times.
const MAX: Duration = Duration::from_secs(10 * 366 * 24 * 3600);

/// How long the keys of a ring wait before they sign and before they are removed, and how long each
/// signs. All in whole seconds, up to ten years.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RotationPolicy {
    /// For how long verifiers keep the key set: what is served as `max-age`. An hour by default.
    ///
    /// A verifier that goes on with old keys for longer, for example in an outage, does not know a newer
    /// key either; whether it refuses a token then, or says that it can't tell, is its own affair.
    pub jwks_max_age: Duration,
    /// The longest time that a token is valid: an hour by default. Issuers of this crate refuse to sign
    /// for longer.
    pub token_life: Duration,
    /// How far clocks may differ, and what verifiers allow on top: two minutes by default.
    pub clock_skew: Duration,
    /// How old the knowledge of the ring may be with which a process signs or publishes; it looks far more
    /// often. Past this it does neither, so a store that is out for longer stops it. Ten minutes by
    /// default.
    pub staleness: Duration,
    /// For how long a key signs before the next one does: 180 days by default.
    pub rotate_every: Duration,
}

impl Default for RotationPolicy {
    fn default() -> Self {
        Self {
            jwks_max_age: HOUR,
            token_life: HOUR,
            clock_skew: 2 * MINUTE,
            staleness: 10 * MINUTE,
            rotate_every: 180 * DAY,
        }
    }
}

impl RotationPolicy {
    /// The same with another time that verifiers keep the key set for.
    #[must_use]
    pub const fn with_jwks_max_age(mut self, age: Duration) -> Self {
        self.jwks_max_age = age;
        self
    }

    /// The same with another longest life of a token.
    #[must_use]
    pub const fn with_token_life(mut self, life: Duration) -> Self {
        self.token_life = life;
        self
    }

    /// The same with another difference of clocks.
    #[must_use]
    pub const fn with_clock_skew(mut self, skew: Duration) -> Self {
        self.clock_skew = skew;
        self
    }

    /// The same with another age of what processes know of the ring.
    #[must_use]
    pub const fn with_staleness(mut self, staleness: Duration) -> Self {
        self.staleness = staleness;
        self
    }

    /// The same with another time that a key signs for.
    #[must_use]
    pub const fn with_rotate_every(mut self, every: Duration) -> Self {
        self.rotate_every = every;
        self
    }

    /// How long a key is published before it signs: until every verifier that keeps to `max-age` knows
    /// it. A server may serve a set that is as old as [`staleness`](Self::staleness), and caches keep that
    /// for [`jwks_max_age`](Self::jwks_max_age).
    #[must_use]
    pub fn publish_wait(&self) -> Duration {
        self.staleness + self.jwks_max_age + self.clock_skew
    }

    /// How long a key that signs no more stays in the set: until its last token is no longer valid. A
    /// signer may have signed with it for [`staleness`](Self::staleness), and the token is valid for
    /// [`token_life`](Self::token_life).
    #[must_use]
    pub fn retire_wait(&self) -> Duration {
        self.staleness + self.token_life + self.clock_skew
    }

    /// How long after its removal a key may still be accepted, by whoever has cached it.
    #[must_use]
    pub fn removal_lag(&self) -> Duration {
        self.staleness + self.jwks_max_age + self.clock_skew
    }

    /// How often a process looks at the ring.
    #[must_use]
    pub fn refresh(&self) -> Duration {
        (self.staleness / 10).clamp(Duration::from_secs(1), MINUTE)
    }

    pub(super) fn checked(self) -> Result<Self> {
        let all = [
            ("jwks_max_age", self.jwks_max_age, Duration::ZERO),
            ("token_life", self.token_life, Duration::from_secs(1)),
            ("clock_skew", self.clock_skew, Duration::ZERO),
            ("staleness", self.staleness, Duration::from_secs(1)),
            ("rotate_every", self.rotate_every, Duration::from_secs(1)),
        ];
        let invalid = |message| Err(Error::new(ErrorKind::InvalidInput, message));
        for (name, time, least) in all {
            if !(least..=MAX).contains(&time) || time.subsec_nanos() != 0 {
                return invalid(format!(
                    "{name} is not {} seconds to ten years, in whole seconds",
                    least.as_secs()
                ));
            }
        }
        if self.rotate_every < self.publish_wait().max(self.retire_wait()) {
            return invalid(format!(
                "rotate_every is {} s, and a key waits {} s before it signs and {} s after: \
                 rotate more seldom, or shorten jwks_max_age, token_life or staleness",
                self.rotate_every.as_secs(),
                self.publish_wait().as_secs(),
                self.retire_wait().as_secs()
            ));
        }
        Ok(self)
    }
}
