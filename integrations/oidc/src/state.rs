//! What happened and what is under way, without I/O.

use std::{
    collections::hash_map::RandomState,
    hash::BuildHasher,
    num::NonZeroUsize,
    sync::Arc,
    time::{Duration, Instant},
};

use bulla::{Error, Result, jwt::JwkSet};
use lru::LruCache;
use tokio::sync::watch;

use crate::{fetch::Fetched, policy::Policy};

pub(crate) type Keys = Fetched<JwkSet>;

/// What waits for a fetch. It goes on if those who wait for it don't.
pub(crate) type Flight = watch::Receiver<Option<Result<Arc<Keys>>>>;

/// How many unknown ids are remembered, the latest. Each takes 8 bytes and its time.
const UNKNOWN: NonZeroUsize = NonZeroUsize::MIN.saturating_add(1023);

pub(crate) struct State {
    flight: Option<UnderWay>,
    flights: u64,
    failed: Option<Failed>,
    /// When keys were last fetched because one was missing.
    searched: Option<Instant>,
    /// Ids that were searched for and not found, as keyed hashes: ids are as long as tokens.
    unknown: LruCache<u64, Instant>,
    hasher: RandomState,
}

struct UnderWay {
    number: u64,
    flight: Flight,
    search: bool,
}

struct Failed {
    times: u32,
    until: Instant,
    error: Error,
}

impl State {
    pub(crate) fn new() -> Self {
        Self {
            flight: None,
            flights: 0,
            failed: None,
            searched: None,
            unknown: LruCache::new(UNKNOWN),
            hasher: RandomState::new(),
        }
    }

    /// The fetch under way, if its task still lives; `search` makes it count as one.
    pub(crate) fn join(&mut self, search: bool) -> Option<Flight> {
        let under_way = self.flight.as_mut().filter(|it| it.flight.has_changed().is_ok())?;
        under_way.search |= search;
        Some(under_way.flight.clone())
    }

    /// Notes a fetch that begins, and gives its number.
    pub(crate) fn begin(&mut self, flight: Flight, search: bool) -> u64 {
        self.flights += 1;
        self.flight = Some(UnderWay { number: self.flights, flight, search });
        self.flights
    }

    /// Notes how a fetch ended.
    pub(crate) fn end<T>(
        &mut self,
        number: u64,
        result: &Result<T>,
        now: Instant,
        policy: &Policy,
    ) -> Ended {
        let Some(ended) = self.flight.take_if(|it| it.number == number) else {
            return Ended::Forgotten;
        };
        match result {
            Ok(_) => {
                if ended.search {
                    self.searched = Some(now);
                }
                match self.failed.take() {
                    Some(_) => Ended::Recovered,
                    None => Ended::Fetched,
                }
            }
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

    /// Whether the last attempt failed.
    pub(crate) fn is_failing(&self) -> bool {
        self.failed.is_some()
    }

    /// Whether it can be said without asking that there is no such key.
    pub(crate) fn is_unknown(&mut self, kid: &str, now: Instant, cooldown: Duration) -> bool {
        let searched = self.searched.is_some_and(|when| now.duration_since(when) < cooldown);
        let hash = self.hasher.hash_one(kid);
        searched || self.unknown.get(&hash).is_some_and(|until| now < *until)
    }

    /// Notes that a search did not find this key.
    pub(crate) fn not_found(&mut self, kid: &str, until: Instant) {
        let hash = self.hasher.hash_one(kid);
        self.unknown.put(hash, until);
    }

    /// Forgets everything but the number of fetches: one under way does not count any more.
    pub(crate) fn forget(&mut self) {
        self.flight = None;
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
