//! The numbers: how often a bundle is looked at, and how long one is used that can't be.

use std::time::Duration;

use bulla::{Error, ErrorKind, Result};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);

/// The first pause after a failure.
const FIRST_PAUSE: Duration = Duration::from_secs(5);

/// The longest wait that a server can ask for.
const MAX_RETRY_AFTER: Duration = HOUR;

/// How often bundles of other trust domains are fetched, and how long they are used if they can't be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FederationPolicy {
    /// The shortest time between two looks, whatever a bundle hints at: 30 seconds by default.
    pub shortest: Duration,
    /// The longest: an hour by default. A key that a domain withdraws is used for as long.
    pub longest: Duration,
    /// The time for bundles without a hint: 5 minutes by default, as the standard recommends.
    pub unhinted: Duration,
    /// For how long after it was last known to be current a bundle is used if it can't be renewed: 24 hours
    /// by default, 7 days at most. Who has a key that was withdrawn, and can keep this host from the
    /// endpoint, gains as much.
    pub stale: Duration,
    /// The time to connect, TLS included: 3 seconds by default.
    pub connect_timeout: Duration,
    /// The time for one request: 10 seconds by default, a minute at most.
    pub timeout: Duration,
}

impl Default for FederationPolicy {
    fn default() -> Self {
        Self {
            shortest: Duration::from_secs(30),
            longest: HOUR,
            unhinted: 5 * MINUTE,
            stale: DAY,
            connect_timeout: Duration::from_secs(3),
            timeout: Duration::from_secs(10),
        }
    }
}

impl FederationPolicy {
    /// The same with other bounds of the time between two looks.
    #[must_use]
    pub const fn with_refresh(mut self, shortest: Duration, longest: Duration) -> Self {
        (self.shortest, self.longest) = (shortest, longest);
        self
    }

    /// The same with another time for which a bundle is used that can't be renewed.
    #[must_use]
    pub const fn with_stale(mut self, stale: Duration) -> Self {
        self.stale = stale;
        self
    }

    /// The same with other times for a connection and for a request.
    #[must_use]
    pub const fn with_timeouts(mut self, connect: Duration, request: Duration) -> Self {
        (self.connect_timeout, self.timeout) = (connect, request);
        self
    }

    pub(super) fn checked(self) -> Result<Self> {
        let second = Duration::from_secs(1);
        let refused = [
            (self.shortest < second, "the shortest time between two looks is under a second"),
            (
                self.shortest > self.longest,
                "the shortest time between two looks is over the longest",
            ),
            (self.longest > DAY, "the longest time between two looks is over 24 hours"),
            (self.stale < second, "bundles would be used for under a second"),
            (self.stale < self.longest, "a bundle would be too old before it is looked at again"),
            (self.stale > 7 * DAY, "bundles would be used for over 7 days that can't be renewed"),
        ];
        match refused.iter().find(|(is_so, _)| *is_so) {
            Some((_, message)) => Err(Error::new(ErrorKind::InvalidInput, *message)),
            None => Ok(self),
        }
    }

    /// How long until a bundle with this hint is looked at again.
    pub(super) fn interval(&self, hint: Option<Duration>) -> Duration {
        hint.unwrap_or(self.unhinted).clamp(self.shortest, self.longest)
    }

    /// How long until the next attempt after so many that failed. It grows to the usual time and not beyond:
    /// a domain is to be back soon after it can be reached, and is not to be overwhelmed.
    pub(super) fn pause(&self, failures: u32, error: &Error, hint: Option<Duration>) -> Duration {
        let doubled = FIRST_PAUSE.saturating_mul(1 << failures.saturating_sub(1).min(16));
        let asked = error.retry_after().unwrap_or_default().min(MAX_RETRY_AFTER);
        doubled.min(self.interval(hint)).max(asked)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hints_are_heeded_within_bounds() {
        let policy = FederationPolicy::default();
        let secs = Duration::from_secs;
        assert_eq!(policy.interval(None), secs(300));
        assert_eq!(policy.interval(Some(secs(60))), secs(60));
        assert_eq!(policy.interval(Some(Duration::ZERO)), secs(30));
        assert_eq!(policy.interval(Some(secs(u64::MAX))), secs(3600));
    }

    #[test]
    fn pauses_double_up_to_the_interval_or_what_was_asked() {
        let policy = FederationPolicy::default();
        let error = Error::new(ErrorKind::Throttled, "");
        let hint = Some(Duration::from_secs(60));
        let pauses: Vec<_> = (1..7).map(|n| policy.pause(n, &error, hint).as_secs()).collect();
        assert_eq!(pauses, [5, 10, 20, 40, 60, 60]);
        assert_eq!(policy.pause(u32::MAX, &error, None).as_secs(), 300);
        let asked = |secs| error.clone().with_retry_after(Duration::from_secs(secs));
        assert_eq!(policy.pause(1, &asked(90), hint).as_secs(), 90);
        assert_eq!(policy.pause(1, &asked(86_400), hint), HOUR);
    }

    #[test]
    fn numbers_out_of_range_are_refused() {
        let policy = FederationPolicy::default();
        policy.checked().unwrap();
        let secs = Duration::from_secs;
        for bad in [
            policy.with_refresh(Duration::from_millis(999), secs(60)),
            policy.with_refresh(secs(61), secs(60)),
            policy.with_refresh(secs(60), secs(86_401)),
            policy.with_stale(secs(3599)),
            policy.with_stale(7 * DAY + secs(1)),
        ] {
            assert_eq!(bad.checked().unwrap_err().kind(), ErrorKind::InvalidInput, "{bad:?}");
        }
    }
}
