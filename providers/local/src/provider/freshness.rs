//! When a key's state was last compared with the store.

use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Instant,
};

/// How long a state is used before it is read again, in milliseconds.
const PERIOD: u64 = 1000;

#[derive(Debug)]
pub(super) struct Freshness {
    start: Instant,
    /// When the next check is due, in milliseconds after `start`.
    due: AtomicU64,
}

impl Default for Freshness {
    fn default() -> Self {
        Self { start: Instant::now(), due: AtomicU64::new(PERIOD) }
    }
}

impl Freshness {
    /// Whether the caller is the one to check now. The others go on with what is known.
    pub(super) fn claim(&self) -> bool {
        let now = u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX);
        let due = self.due.load(Relaxed);
        let next = now.saturating_add(PERIOD);
        now >= due && self.due.compare_exchange(due, next, Relaxed, Relaxed).is_ok()
    }

    /// Makes a check due at once: the last one failed.
    pub(super) fn expire(&self) {
        self.due.store(0, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_caller_checks_once_a_period() {
        let fresh = Freshness::default();
        assert!(!fresh.claim());
        fresh.expire();
        assert!(fresh.claim());
        assert!(!fresh.claim());
    }
}
