//! How long, how often and for how much data a data key is used again.

use std::{num::NonZeroUsize, time::Duration};

use crate::error::{Error, Result};

/// The most messages that any policy lets one data key seal: 2³².
const MOST_MESSAGES: u64 = 1 << 32;

/// The most plaintext that any policy lets one data key seal: 2⁵⁰ bytes.
const MOST_BYTES: u64 = 1 << 50;

/// The longest that any policy keeps a data key, beyond its age for reads included: a day.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// Limits on the use of one data key for many values, for [`SealerBuilder::cache`] and
/// [`OpenerBuilder::cache`].
///
/// A data key is dropped, and wiped when its last use ends, when it reaches its age, when it has
/// sealed its messages or bytes, when it is evicted for another, or when the provider refuses
/// outright to renew it. What a message needs is reserved before it is sealed, so no limit is
/// overrun, however many seal at once. The age is hard: while the KMS is down it is not extended.
/// It is measured on the machine's monotonic clock, which on Linux stands still while the machine
/// sleeps.
///
/// [`SealerBuilder::cache`]: crate::envelope::SealerBuilder::cache
/// [`OpenerBuilder::cache`]: crate::envelope::OpenerBuilder::cache
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CachePolicy {
    pub(super) max_age: Duration,
    pub(super) max_messages: u64,
    pub(super) max_bytes: u64,
    pub(super) capacity: NonZeroUsize,
    pub(super) stale_reads: Duration,
}

impl Default for CachePolicy {
    /// 5 minutes, 2²⁰ messages, 64 GiB; 1,000 data keys at once; no stale reads.
    fn default() -> Self {
        Self {
            max_age: Duration::from_secs(5 * 60),
            max_messages: 1 << 20,
            max_bytes: 64 << 30,
            capacity: NonZeroUsize::new(1000).unwrap_or(NonZeroUsize::MIN),
            stale_reads: Duration::ZERO,
        }
    }
}

impl CachePolicy {
    /// The default limits, to be changed.
    #[must_use]
    pub fn builder() -> CachePolicyBuilder {
        CachePolicyBuilder { policy: Self::default(), capacity: None }
    }

    /// From what age on a use of the key asks for the next one in the background: four fifths.
    pub(super) fn renewal_age(&self) -> Duration {
        self.max_age * 4 / 5
    }

    /// The same for a key that lacks recipients: a tenth.
    pub(super) fn repair_age(&self) -> Duration {
        self.max_age / 10
    }

    /// How long a renewal is not tried again when it has failed.
    pub(super) fn renewal_pause(&self) -> Duration {
        self.max_age / 20
    }
}

/// Builds a [`CachePolicy`].
#[derive(Clone, Debug)]
pub struct CachePolicyBuilder {
    policy: CachePolicy,
    capacity: Option<usize>,
}

impl CachePolicyBuilder {
    /// How long a data key is used: 5 minutes unless said, from 1 second to 24 hours. Rotation of
    /// the key that wraps it, and its withdrawal, take effect after at most this time.
    #[must_use]
    pub fn max_age(mut self, age: Duration) -> Self {
        self.policy.max_age = age;
        self
    }

    /// How many messages one data key seals: 2²⁰ unless said, at most 2³².
    #[must_use]
    pub fn max_messages(mut self, messages: u64) -> Self {
        self.policy.max_messages = messages;
        self
    }

    /// How much plaintext one data key seals, in bytes: 64 GiB unless said, at most 2⁵⁰. A longer
    /// value gets a data key of its own.
    #[must_use]
    pub fn max_bytes(mut self, bytes: u64) -> Self {
        self.policy.max_bytes = bytes;
        self
    }

    /// How many data keys are held at once: 1,000 unless said. When sealing there is one for each
    /// key context; when opening, one for each that was met. The one unused for longest makes room.
    #[must_use]
    pub fn capacity(mut self, keys: usize) -> Self {
        self.capacity = Some(keys);
        self
    }

    /// For how long beyond its age a data key goes on **opening** values while the provider can't
    /// be reached: zero unless said, so that reads fail with the provider. Never when the provider
    /// answers that it refuses, and never for sealing.
    #[must_use]
    pub fn stale_reads(mut self, cap: Duration) -> Self {
        self.policy.stale_reads = cap;
        self
    }

    /// Checks the limits.
    ///
    /// # Errors
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) for one that is out of its range.
    pub fn build(self) -> Result<CachePolicy> {
        let Self { mut policy, capacity } = self;
        let CachePolicy { max_age, max_messages, max_bytes, stale_reads, .. } = policy;
        if max_age < Duration::from_secs(1) || max_age > LONGEST {
            return Err(Error::invalid("a data key is cached for 1 second to 24 hours"));
        }
        if !(1..=MOST_MESSAGES).contains(&max_messages) {
            return Err(Error::invalid("a cached data key seals 1 to 2^32 messages"));
        }
        if !(1..=MOST_BYTES).contains(&max_bytes) {
            return Err(Error::invalid("a cached data key seals 1 to 2^50 bytes"));
        }
        if max_age.checked_add(stale_reads).is_none_or(|all| all > LONGEST) {
            return Err(Error::invalid("age and stale reads are 24 hours at most, together"));
        }
        if let Some(capacity) = capacity {
            policy.capacity = NonZeroUsize::new(capacity)
                .ok_or_else(|| Error::invalid("a cache holds at least 1 data key"))?;
        }
        Ok(policy)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_have_limits() {
        let second = Duration::from_secs(1);
        let builder = CachePolicy::builder;
        for bad in [
            builder().max_age(Duration::from_millis(999)),
            builder().max_age(LONGEST + second),
            builder().max_messages(0),
            builder().max_messages((1 << 32) + 1),
            builder().max_bytes(0),
            builder().max_bytes((1 << 50) + 1),
            builder().capacity(0),
            builder().stale_reads(LONGEST),
            builder().stale_reads(Duration::MAX),
        ] {
            assert!(bad.clone().build().is_err(), "{bad:?}");
        }
        let most = builder().max_messages(1 << 32).max_bytes(1 << 50).max_age(LONGEST);
        assert!(most.build().is_ok());
        assert_eq!(builder().build().unwrap(), CachePolicy::default());
    }
}
