//! The numbers: how long keys are kept, and how often they are asked for.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use bulla::{Error, ErrorKind, Result};

const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);

/// The longest pause between attempts that fail: what a recovered issuer is noticed after.
const MAX_PAUSE: Duration = Duration::from_secs(30);

/// The longest pause that a server can ask for.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(300);

/// How long a failure answers at first, as for a provider's keys.
const FIRST_PAUSE: Duration = Duration::from_secs(1);

pub(crate) type Clock = Arc<dyn Fn() -> Instant + Send + Sync>;

#[derive(Clone, Debug)]
pub(crate) struct Policy {
    pub(crate) min_ttl: Duration,
    pub(crate) max_ttl: Duration,
    pub(crate) default_ttl: Duration,
    pub(crate) stale: Duration,
    pub(crate) cooldown: Duration,
    pub(crate) connect_timeout: Duration,
    pub(crate) timeout: Duration,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            min_ttl: Duration::from_secs(300),
            max_ttl: DAY,
            default_ttl: HOUR,
            stale: 4 * HOUR,
            cooldown: Duration::from_secs(30),
            connect_timeout: Duration::from_secs(3),
            timeout: Duration::from_secs(10),
        }
    }
}

impl Policy {
    pub(crate) fn check(&self) -> Result<()> {
        let second = Duration::from_secs(1);
        let refused = [
            (self.min_ttl < second, "the shortest time to live is under a second"),
            (self.min_ttl > self.max_ttl, "the shortest time to live is over the longest"),
            (self.max_ttl > 7 * DAY, "the longest time to live is over 7 days"),
            (self.stale > DAY, "keys would be used for over 24 hours past their time to live"),
            (self.cooldown < second, "the cooldown is under a second"),
            (self.cooldown > HOUR, "the cooldown is over an hour"),
            (self.connect_timeout.is_zero(), "the time to connect is zero"),
            (self.timeout.is_zero(), "the time for a request is zero"),
            (self.timeout > Duration::from_secs(60), "the time for a request is over a minute"),
        ];
        match refused.iter().find(|(is_so, _)| *is_so) {
            Some((_, message)) => Err(Error::new(ErrorKind::InvalidInput, *message)),
            None => Ok(()),
        }
    }

    /// How long an answer is fresh that stated this of itself.
    pub(crate) fn ttl(&self, max_age: Option<Duration>, age: Duration) -> Duration {
        let stated = max_age.unwrap_or(self.default_ttl).saturating_sub(age);
        stated.clamp(self.min_ttl, self.max_ttl)
    }

    /// After so many failures in a row, how long the last one answers instead of another attempt.
    pub(crate) fn pause(&self, failures: u32, error: &Error) -> Duration {
        let doubled = FIRST_PAUSE.saturating_mul(1 << failures.saturating_sub(1).min(8));
        let asked = error.retry_after().unwrap_or_default().min(MAX_RETRY_AFTER);
        doubled.min(MAX_PAUSE).max(asked)
    }

    /// How long an id that was searched for in vain is not searched for again. Not longer: a key can
    /// reach some of the issuer's servers later than the first tokens do.
    pub(crate) fn unknown_for(&self) -> Duration {
        self.cooldown.saturating_mul(4)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lifetimes_are_bounded() {
        let policy = Policy::default();
        let (min, zero) = (policy.min_ttl, Duration::ZERO);
        assert_eq!(policy.ttl(None, zero), HOUR);
        assert_eq!(policy.ttl(Some(zero), zero), min);
        assert_eq!(policy.ttl(Some(2 * HOUR), zero), 2 * HOUR);
        assert_eq!(policy.ttl(Some(2 * HOUR), HOUR), HOUR);
        assert_eq!(policy.ttl(Some(2 * HOUR), 3 * HOUR), min);
        assert_eq!(policy.ttl(Some(300 * DAY), zero), DAY);
    }

    #[test]
    fn pauses_double_up_to_half_a_minute_or_what_was_asked() {
        let policy = Policy::default();
        let error = Error::new(ErrorKind::Throttled, "");
        let pauses: Vec<_> = (1..8).map(|n| policy.pause(n, &error).as_secs()).collect();
        assert_eq!(pauses, [1, 2, 4, 8, 16, 30, 30]);
        assert_eq!(policy.pause(u32::MAX, &error), MAX_PAUSE);
        let asked = |secs| error.clone().with_retry_after(Duration::from_secs(secs));
        assert_eq!(policy.pause(1, &asked(60)).as_secs(), 60);
        assert_eq!(policy.pause(1, &asked(86_400)), MAX_RETRY_AFTER);
    }

    #[test]
    fn numbers_out_of_range_are_refused() {
        Policy::default().check().unwrap();
        let changes: [fn(&mut Policy); 6] = [
            |p| p.min_ttl = Duration::ZERO,
            |p| p.max_ttl = Duration::from_secs(299),
            |p| p.max_ttl = 8 * DAY,
            |p| p.stale = DAY + HOUR,
            |p| p.cooldown = Duration::ZERO,
            |p| p.timeout = Duration::ZERO,
        ];
        for change in changes {
            let mut policy = Policy::default();
            change(&mut policy);
            assert_eq!(policy.check().unwrap_err().kind(), ErrorKind::InvalidInput);
        }
    }
}
