//! How long to wait, how often to try again, and when to stop asking.

use std::time::Duration;

use crate::error::{Error, Result};

/// No duration in a policy may be longer: a day.
const LONGEST: Duration = Duration::from_hours(24);

/// No call is tried more often, whatever the policy says.
const MOST_ATTEMPTS: u32 = 10;

/// Timeouts, retries and the breaker's threshold for one provider.
///
/// `Policy::default()` is what most deployments need; [`builder`](Self::builder) changes single
/// values and refuses what doesn't fit together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    pub(super) attempt_timeout: Duration,
    pub(super) deadline: Duration,
    pub(super) max_attempts: u32,
    pub(super) backoff_base: Duration,
    pub(super) backoff_cap: Duration,
    pub(super) retry_percent: u32,
    pub(super) retry_reserve: u32,
    pub(super) breaker_threshold: u32,
    pub(super) cool_down: Duration,
    pub(super) seed: Option<u64>,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            attempt_timeout: Duration::from_secs(5),
            deadline: Duration::from_secs(15),
            max_attempts: 4,
            backoff_base: Duration::from_millis(100),
            backoff_cap: Duration::from_secs(5),
            retry_percent: 20,
            retry_reserve: 10,
            breaker_threshold: 5,
            cool_down: Duration::from_secs(30),
            seed: None,
        }
    }
}

impl Policy {
    /// Starts from the defaults.
    pub fn builder() -> PolicyBuilder {
        PolicyBuilder(Self::default())
    }
}

/// Builds a [`Policy`].
#[derive(Clone, Debug)]
#[must_use = "nothing happens before `build`"]
pub struct PolicyBuilder(Policy);

impl PolicyBuilder {
    /// How long one attempt may take: 5 s by default. Also what `health` and `close` may take.
    pub const fn attempt_timeout(mut self, timeout: Duration) -> Self {
        self.0.attempt_timeout = timeout;
        self
    }

    /// How long a whole call may take, retries and the waits between them included: 15 s by
    /// default.
    pub const fn deadline(mut self, deadline: Duration) -> Self {
        self.0.deadline = deadline;
        self
    }

    /// How often a call is tried at most, the first attempt included: 4 by default, from 1 to 10.
    pub const fn max_attempts(mut self, attempts: u32) -> Self {
        self.0.max_attempts = attempts;
        self
    }

    /// The wait before retry `n` (from 1) is drawn evenly from zero to `base` · 2ⁿ⁻¹, but to no
    /// more than `cap`: 100 ms and 5 s by default.
    pub const fn backoff(mut self, base: Duration, cap: Duration) -> Self {
        self.0.backoff_base = base;
        self.0.backoff_cap = cap;
        self
    }

    /// How many retries the provider's recent traffic pays for: `percent` of the calls, and up to
    /// `reserve` at once: 20 % and 10 by default. Over any span of time, retries are at most
    /// `reserve` (or one, if that is zero) plus `percent` of that span's calls. Two zeros mean no
    /// retries.
    pub const fn retry_budget(mut self, percent: u32, reserve: u32) -> Self {
        self.0.retry_percent = percent;
        self.0.retry_reserve = reserve;
        self
    }

    /// How many calls in a row must fail for the breaker to open: 5 by default.
    pub const fn breaker_threshold(mut self, failures: u32) -> Self {
        self.0.breaker_threshold = failures;
        self
    }

    /// How long the breaker stays open before it lets one call through: 30 s by default.
    pub const fn cool_down(mut self, time: Duration) -> Self {
        self.0.cool_down = time;
        self
    }

    /// Seeds the waits between retries, so that a test sees the same ones each time. Without it
    /// they are seeded by the operating system; leave it so in production, or all clients of a
    /// provider retry at the same moments.
    pub const fn jitter_seed(mut self, seed: u64) -> Self {
        self.0.seed = Some(seed);
        self
    }

    /// Checks the values against each other.
    ///
    /// # Errors
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput), naming the value: a duration of zero or
    /// over 24 h; an attempt timeout over the deadline; a backoff base over its cap; attempts
    /// other than 1 to 10; a threshold of zero; a budget over 100 %.
    pub fn build(self) -> Result<Policy> {
        let Self(policy) = self;
        for (name, duration) in [
            ("attempt timeout", policy.attempt_timeout),
            ("deadline", policy.deadline),
            ("backoff base", policy.backoff_base),
            ("backoff cap", policy.backoff_cap),
            ("time the breaker stays open", policy.cool_down),
        ] {
            if duration.is_zero() || duration > LONGEST {
                return refuse(format!("the {name} is {duration:?}; give more than 0, up to 24 h"));
            }
        }
        let Policy { attempt_timeout, deadline, backoff_base, backoff_cap, .. } = policy;
        if attempt_timeout > deadline {
            return refuse(format!(
                "the attempt timeout of {attempt_timeout:?} is over the deadline of {deadline:?}"
            ));
        }
        if backoff_base > backoff_cap {
            return refuse(format!(
                "the backoff base of {backoff_base:?} is over its cap of {backoff_cap:?}"
            ));
        }
        if !(1..=MOST_ATTEMPTS).contains(&policy.max_attempts) {
            return refuse(format!(
                "{} attempts; give from 1 to {MOST_ATTEMPTS}",
                policy.max_attempts
            ));
        }
        if policy.breaker_threshold == 0 {
            return refuse("a breaker threshold of 0; give at least 1".to_owned());
        }
        if policy.retry_percent > 100 {
            return refuse(format!(
                "a retry budget of {} %; give at most 100",
                policy.retry_percent
            ));
        }
        Ok(policy)
    }
}

fn refuse(what: String) -> Result<Policy> {
    Err(Error::invalid(format!("resilience policy: {what}")))
}
