//! What happened and what is under way, without I/O.

use std::{
    collections::hash_map::RandomState,
    hash::BuildHasher,
    num::NonZeroUsize,
    sync::Arc,
    time::{Duration, Instant},
};

use bulla::{
    Error, Result,
    flight::{Flight, SingleFlight, Start},
    jwt::JwkSet,
};
use lru::LruCache;

use crate::{fetch::Fetched, policy::Policy};

pub(crate) type Keys = Fetched<JwkSet>;

/// How many unknown ids are remembered, the latest. Each takes 8 bytes and its time.
const UNKNOWN: NonZeroUsize = NonZeroUsize::MIN.saturating_add(1023);

pub(crate) struct State {
    flight: SingleFlight<Arc<Keys>>,
    failed: Option<Failed>,
    /// When keys were last asked for because one was missing, whatever came of it.
    searched: Option<Instant>,
    /// Ids that were searched for and not found, as keyed hashes: ids are as long as tokens.
    unknown: LruCache<u64, Instant>,
    hasher: RandomState,
}

struct Failed {
    times: u32,
    until: Instant,
    error: Error,
}

impl State {
    pub(crate) fn new() -> Self {
        Self {
            flight: SingleFlight::default(),
            failed: None,
            searched: None,
            unknown: LruCache::new(UNKNOWN),
            hasher: RandomState::new(),
        }
    }

    /// The fetch under way.
    pub(crate) fn join(&self) -> Option<Flight<Arc<Keys>>> {
        self.flight.join()
    }

    /// Notes a fetch that begins.
    pub(crate) fn begin(&mut self, start: &Start<Arc<Keys>>) -> Flight<Arc<Keys>> {
        self.flight.begin(start)
    }

    /// Notes that keys are asked for because one is missing. Before they come: it costs the same if
    /// they don't, and if nobody waits for them.
    pub(crate) fn search(&mut self, now: Instant) {
        self.searched = Some(now);
    }

    /// Whether that was within the cooldown.
    pub(crate) fn has_searched(&self, now: Instant, cooldown: Duration) -> bool {
        self.searched.is_some_and(|when| now.duration_since(when) < cooldown)
    }

    /// Notes how a fetch ended.
    pub(crate) fn end<T>(
        &mut self,
        flight: &Flight<Arc<Keys>>,
        result: &Result<T>,
        now: Instant,
        policy: &Policy,
    ) -> Ended {
        if !self.flight.end(flight) {
            return Ended::Forgotten;
        }
        match result {
            Ok(_) => match self.failed.take() {
                Some(_) => Ended::Recovered,
                None => Ended::Fetched,
            },
            Err(error) => {
                let times = self.failed.as_ref().map_or(1, |failed| failed.times.saturating_add(1));
                let until = now + policy.pause(times, error);
                self.failed = Some(Failed { times, until, error: error.clone() });
                Ended::Failed
            }
        }
    }

    /// The last error, while it answers instead of another attempt.
    pub(crate) fn paused(&self, now: Instant) -> Option<&Error> {
        self.failed.as_ref().filter(|failed| now < failed.until).map(|failed| &failed.error)
    }

    /// The error of the last attempt, if it failed.
    pub(crate) fn failure(&self) -> Option<&Error> {
        self.failed.as_ref().map(|failed| &failed.error)
    }

    /// Whether this id was searched for in vain, not long ago.
    pub(crate) fn is_unknown(&mut self, kid: &str, now: Instant) -> bool {
        let hash = self.hasher.hash_one(kid);
        self.unknown.get(&hash).is_some_and(|until| now < *until)
    }

    /// Notes that a search did not find this key.
    pub(crate) fn not_found(&mut self, kid: &str, until: Instant) {
        let hash = self.hasher.hash_one(kid);
        self.unknown.put(hash, until);
    }

    /// Forgets everything: a fetch under way does not count any more.
    pub(crate) fn forget(&mut self) {
        self.flight.forget();
        self.failed = None;
        self.searched = None;
        self.unknown.clear();
    }
}

/// What the end of a fetch means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    Fetched,
    /// Fetched, after failures.
    Recovered,
    Failed,
    /// Its answer is to an older question, and not kept.
    Forgotten,
}
