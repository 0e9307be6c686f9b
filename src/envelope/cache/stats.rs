//! What a cache of data keys has done.

use std::sync::{
    OnceLock,
    atomic::{AtomicU64, Ordering::Relaxed},
};

use metrics::Counter;

/// What a cache of data keys has done since it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CacheStats {
    /// Uses of a data key that was there.
    pub hits: u64,
    /// Uses that had to wait for a provider, several for one call included.
    pub misses: u64,
    /// Data keys asked for in the background, before the one in use ended.
    pub renewals: u64,
    /// Values opened with a data key past its age, because no provider could be reached.
    pub stale: u64,
    /// Data keys held now.
    pub held: usize,
}

/// One event.
#[derive(Clone, Copy, Debug)]
pub(super) enum Event {
    Hit,
    Miss,
    Renewal,
    Stale,
}

impl Event {
    fn as_str(self) -> &'static str {
        match self {
            Self::Hit => "hit",
            Self::Miss => "miss",
            Self::Renewal => "renewal",
            Self::Stale => "stale",
        }
    }
}

/// Counts events, for [`CacheStats`] and as metrics.
#[derive(Debug)]
pub(super) struct Tally {
    side: &'static str,
    counts: [AtomicU64; 4],
    metrics: [OnceLock<Shown>; 4],
}

struct Shown(Counter);

impl std::fmt::Debug for Shown {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Counter")
    }
}

impl Tally {
    /// `side` is `seal` or `open`.
    pub(super) fn new(side: &'static str) -> Self {
        Self { side, counts: Default::default(), metrics: Default::default() }
    }

    pub(super) fn add(&self, event: Event, count: u64) {
        let index = event as usize;
        if let Some(counter) = self.counts.get(index) {
            counter.fetch_add(count, Relaxed);
        }
        let Some(cell) = self.metrics.get(index) else { return };
        let shown = cell.get_or_init(|| {
            let result = event.as_str();
            Shown(metrics::counter!(
                "bulla_data_key_cache_total", "side" => self.side, "result" => result
            ))
        });
        shown.0.increment(count);
    }

    pub(super) fn stats(&self, held: usize) -> CacheStats {
        let [hits, misses, renewals, stale] = &self.counts;
        let read = |count: &AtomicU64| count.load(Relaxed);
        CacheStats {
            hits: read(hits),
            misses: read(misses),
            renewals: read(renewals),
            stale: read(stale),
            held,
        }
    }
}
