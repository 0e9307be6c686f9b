//! When a key's state was last compared with the store.

use std::{
    sync::atomic::{
        AtomicBool, AtomicU64,
        Ordering::{Acquire, Relaxed, Release},
    },
    time::Instant,
};

/// How long a state is used before it is read again, in milliseconds.
const PERIOD: u64 = 1000;

/// How long a state is used at all, in milliseconds: that long, opening goes on while the store
/// can't be read.
const TRUSTED: u64 = 60_000;

#[derive(Debug)]
pub(super) struct Freshness {
    start: Instant,
    /// When the next check is due; this and the others in milliseconds after `start`.
    due: AtomicU64,
    /// When the last check that succeeded began.
    good: AtomicU64,
    /// Whether the last check failed.
    failed: AtomicBool,
    /// When an unknown version is next a reason to check.
    unknown_due: AtomicU64,
    /// What a test adds to the time.
    #[cfg(test)]
    ahead: AtomicU64,
}

impl Default for Freshness {
    fn default() -> Self {
        Self {
            start: Instant::now(),
            due: AtomicU64::new(PERIOD),
            good: AtomicU64::default(),
            failed: AtomicBool::default(),
            unknown_due: AtomicU64::default(),
            #[cfg(test)]
            ahead: AtomicU64::default(),
        }
    }
}

impl Freshness {
    /// Whether the caller is to check now. Of many, one is, and the others go on with what is
    /// known, unless that is too old.
    pub(super) fn claim(&self) -> bool {
        let now = self.now();
        let due = self.due.load(Relaxed);
        let next = now.saturating_add(PERIOD);
        let claimed = now >= due && self.due.compare_exchange(due, next, Relaxed, Relaxed).is_ok();
        claimed || !self.is_trusted()
    }

    /// Whether the last check that succeeded is recent enough to open by it.
    pub(super) fn is_trusted(&self) -> bool {
        self.now().saturating_sub(self.good.load(Relaxed)) <= TRUSTED
    }

    pub(super) fn has_failed(&self) -> bool {
        self.failed.load(Relaxed)
    }

    /// Whether an unknown version is a reason to check now.
    pub(super) fn is_unknown_due(&self) -> bool {
        self.now() >= self.unknown_due.load(Acquire)
    }

    /// Takes note of a check for the sake of an unknown version, once its outcome is taken over.
    pub(super) fn looked_for_unknown(&self) {
        self.unknown_due.store(self.now().saturating_add(PERIOD), Release);
    }

    /// Takes note of a check that began at `began` and succeeded.
    pub(super) fn succeed(&self, began: u64) {
        self.good.store(began, Relaxed);
        self.failed.store(false, Relaxed);
    }

    /// Takes note of a check that failed: the next one is due at once.
    pub(super) fn fail(&self) {
        self.failed.store(true, Relaxed);
        self.due.store(0, Relaxed);
    }

    /// Milliseconds after the start.
    pub(super) fn now(&self) -> u64 {
        let now = u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX);
        #[cfg(test)]
        let now = now + self.ahead.load(Relaxed);
        now
    }

    #[cfg(test)]
    pub(super) fn advance(&self, milliseconds: u64) {
        self.ahead.fetch_add(milliseconds, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_caller_checks_once_a_period() {
        let fresh = Freshness::default();
        assert!(!fresh.claim());
        fresh.advance(PERIOD);
        assert!(fresh.claim());
        assert!(!fresh.claim());
        fresh.fail();
        assert!(fresh.claim() && fresh.has_failed());
        assert!(!fresh.claim());
    }

    #[test]
    fn everybody_checks_what_is_too_old() {
        let fresh = Freshness::default();
        fresh.advance(TRUSTED - PERIOD);
        assert!(fresh.claim());
        assert!(!fresh.claim() && fresh.is_trusted());
        fresh.advance(2 * PERIOD);
        assert!(fresh.claim() && fresh.claim() && !fresh.is_trusted());
        fresh.succeed(fresh.now());
        assert!(!fresh.has_failed() && fresh.is_trusted());
    }

    #[test]
    fn an_unknown_version_counts_once_a_period() {
        let fresh = Freshness::default();
        assert!(fresh.is_unknown_due());
        fresh.looked_for_unknown();
        assert!(!fresh.is_unknown_due());
        fresh.advance(PERIOD);
        assert!(fresh.is_unknown_due());
    }
}
