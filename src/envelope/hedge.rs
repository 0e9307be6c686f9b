//! Hedging: a second recipient is asked when the first takes longer than it usually does.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use crate::error::{Error, Result};

/// How many latencies of a provider are remembered.
const WINDOW: usize = 128;

/// How many must be known before a percentile means anything.
const LEAST: usize = 20;

/// Tokens are counted in hundredths, so that a percentage is a whole number.
const TOKEN: u64 = 100;

/// The most hedges that may follow one another: what a long quiet time saves up.
const MOST_SAVED: u64 = 10 * TOKEN;

/// When a second recipient of a message is asked, for [`OpenerBuilder::hedge`].
///
/// The second one is asked when the first has taken longer than 95 % of its last 128 unwraps did, of
/// 20 at least, and not sooner than the floor; and only if the budget allows, so that an outage does not
/// double the load. The first to answer with a key wins, and the other call is dropped. If that key does
/// not match the header, the message is refused, as it would be without a hedge.
///
/// [`OpenerBuilder::hedge`]: super::OpenerBuilder::hedge
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hedge {
    percent: u8,
    floor: Duration,
}

impl Default for Hedge {
    /// At most 5 % more calls, and none within the first 10 ms.
    fn default() -> Self {
        Self { percent: 5, floor: Duration::from_millis(10) }
    }
}

impl Hedge {
    /// At most `percent` % more calls, and none within `floor` of the first.
    ///
    /// # Errors
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) unless `percent` is 1 to 100.
    pub fn new(percent: u8, floor: Duration) -> Result<Self> {
        if !(1..=100).contains(&percent) {
            return Err(Error::invalid("a hedging budget is 1 to 100 per cent"));
        }
        Ok(Self { percent, floor })
    }
}

/// What one opener has seen.
#[derive(Debug)]
pub(super) struct Hedging {
    hedge: Hedge,
    seen: Mutex<Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    latencies: HashMap<usize, VecDeque<Duration>>,
    saved: u64,
}

impl Hedging {
    pub(super) fn new(hedge: Hedge) -> Self {
        Self { hedge, seen: Mutex::default() }
    }

    /// Counts a call that was not a hedge: it earns a part of one.
    pub(super) fn earn(&self) {
        let mut seen = self.lock();
        seen.saved = (seen.saved + u64::from(self.hedge.percent)).min(MOST_SAVED);
    }

    /// Takes a hedge out of the budget, if there is one.
    pub(super) fn spend(&self) -> bool {
        let mut seen = self.lock();
        let left = seen.saved.checked_sub(TOKEN);
        seen.saved = left.unwrap_or(seen.saved);
        left.is_some()
    }

    /// Remembers how long a provider took to answer well.
    pub(super) fn record(&self, provider: usize, latency: Duration) {
        let mut seen = self.lock();
        let latencies = seen.latencies.entry(provider).or_default();
        if latencies.len() == WINDOW {
            latencies.pop_front();
        }
        latencies.push_back(latency);
    }

    /// How long to wait for a provider before another is asked; `None` while too little is known.
    pub(super) fn delay(&self, provider: usize) -> Option<Duration> {
        let seen = self.lock();
        let latencies = seen.latencies.get(&provider).filter(|l| l.len() >= LEAST)?;
        let mut sorted: Vec<_> = latencies.iter().copied().collect();
        sorted.sort_unstable();
        let p95 = sorted.get((sorted.len() * 95).div_ceil(100).saturating_sub(1))?;
        Some((*p95).max(self.hedge.floor))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_delay_is_the_95th_percentile_but_not_below_the_floor() {
        let hedging = Hedging::new(Hedge::default());
        for ms in 1..=19 {
            hedging.record(0, Duration::from_millis(ms));
        }
        assert_eq!(hedging.delay(0), None, "too little is known");
        for ms in 20..=100 {
            hedging.record(0, Duration::from_millis(ms));
        }
        assert_eq!(hedging.delay(0), Some(Duration::from_millis(95)));
        assert_eq!(hedging.delay(1), None, "another provider");
        for _ in 0..WINDOW {
            hedging.record(0, Duration::from_micros(3));
        }
        assert_eq!(hedging.delay(0), Some(Duration::from_millis(10)));
    }

    #[test]
    fn the_budget_is_a_share_of_the_calls() {
        let hedging = Hedging::new(Hedge::default());
        assert!(!hedging.spend(), "nothing earned yet");
        let mut spent = 0;
        for _ in 0..1000 {
            hedging.earn();
            spent += u32::from(hedging.spend());
        }
        assert_eq!(spent, 50);
        // A quiet time saves up ten, and no more.
        (0..10_000).for_each(|_| hedging.earn());
        assert_eq!((0..100).filter(|_| hedging.spend()).count(), 10);
        assert!(Hedge::new(0, Duration::ZERO).is_err() && Hedge::new(101, Duration::ZERO).is_err());
    }
}
