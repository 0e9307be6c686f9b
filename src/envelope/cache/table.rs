//! A bounded table of data keys in which a missing one is fetched once, whoever asks for it.

use std::{
    collections::{HashMap, hash_map::RandomState},
    fmt,
    hash::Hash,
    num::NonZeroUsize,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use futures_util::future::BoxFuture;
use lru::LruCache;
use tokio::time::Instant;

use crate::{
    error::Result,
    flight::{Flight, SingleFlight, Start},
};

/// What is kept in a table.
pub(super) trait Kept: Send + Sync + 'static {
    /// When it goes, whether it was used or not.
    fn expires(&self) -> Instant;
}

/// When a value that was fetched is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Keep {
    /// When it has come.
    Fetched,
    /// When who asked for it has found it good, and says so by [`Table::keep`].
    Confirmed,
}

/// Values by key, the least recently used of which makes room for the next. What leaves is dropped
/// at once, and so wiped as soon as nobody uses it. What is being fetched takes no room of values.
pub(super) struct Table<K, V> {
    capacity: NonZeroUsize,
    keep: Keep,
    state: Mutex<State<K, V>>,
}

struct State<K, V> {
    values: LruCache<K, Value<V>, RandomState>,
    flights: HashMap<K, SingleFlight<Arc<V>>>,
    /// Counts how often all was dropped: what was asked for before is not kept.
    generation: u64,
    /// Whether a task waits for the next value to expire.
    watched: bool,
}

struct Value<V> {
    value: Arc<V>,
    /// A renewal that failed is not tried again before this.
    not_before: Option<Instant>,
}

impl<K, V> Table<K, V>
where
    K: Clone + Eq + Hash + Send + 'static,
    V: Kept,
{
    pub(super) fn new(capacity: NonZeroUsize, keep: Keep) -> Arc<Self> {
        // Without a bound of its own, for which it would set the memory aside now.
        let values = LruCache::unbounded_with_hasher(RandomState::new());
        let state = State { values, flights: HashMap::new(), generation: 0, watched: false };
        Arc::new(Self { capacity, keep, state: Mutex::new(state) })
    }

    /// The value, if it is there and has not expired.
    pub(super) fn value(&self, key: &K, now: Instant) -> Option<Arc<V>> {
        let mut state = self.lock();
        let held = state.values.get(key)?;
        if held.value.expires() <= now {
            state.values.pop(key);
            return None;
        }
        Some(Arc::clone(&held.value))
    }

    /// Drops the value if it is still this one.
    pub(super) fn remove(&self, key: &K, value: &Arc<V>) {
        let mut state = self.lock();
        if state.values.peek(key).is_some_and(|held| Arc::ptr_eq(&held.value, value)) {
            state.values.pop(key);
        }
    }

    /// Joins the fetch under way, or begins one. The number is for [`keep`](Self::keep).
    pub(super) fn fetch(
        self: &Arc<Self>,
        key: &K,
        make: impl FnOnce() -> BoxFuture<'static, Result<V>>,
    ) -> Result<(Flight<Arc<V>>, u64)> {
        let start = Start::prepare()?;
        let mut state = self.lock();
        let generation = state.generation;
        let flights = state.flights.entry(key.clone()).or_default();
        if let Some(flight) = flights.join() {
            return Ok((flight, generation));
        }
        let flight = flights.begin(&start);
        drop(state);
        let (table, key, call) = (Arc::clone(self), key.clone(), make());
        let fetch = async move { call.await.map(Arc::new) };
        start.start(fetch, move |flight, fetched| table.land(&key, flight, fetched));
        Ok((flight, generation))
    }

    /// Fetches anew in the background, unless that is under way or has just failed. Nobody waits.
    pub(super) fn renew(
        self: &Arc<Self>,
        key: &K,
        pause: Duration,
        make: impl FnOnce() -> BoxFuture<'static, Result<V>>,
    ) -> bool {
        let now = Instant::now();
        {
            let mut state = self.lock();
            if state.flights.get(key).is_some_and(|flight| !flight.is_idle()) {
                return false;
            }
            let Some(held) = state.values.peek_mut(key) else { return false };
            if held.not_before.is_some_and(|then| now < then) {
                return false;
            }
            held.not_before = Some(now + pause);
        }
        self.fetch(key, make).is_ok()
    }

    /// Keeps a value that was found good, unless all was dropped since it was asked for.
    pub(super) fn keep(self: &Arc<Self>, key: &K, value: &Arc<V>, generation: u64) {
        let state = self.lock();
        if state.generation == generation && state.values.peek(key).is_none() {
            self.put(state, key, value);
        }
    }

    /// A value in the place of another one is kept in any case: it is a renewal. What the provider
    /// refuses outright ends the value that it would have renewed.
    fn land(self: &Arc<Self>, key: &K, flight: &Flight<Arc<V>>, fetched: &Result<Arc<V>>) {
        let mut state = self.lock();
        if !state.flights.get_mut(key).is_some_and(|flights| flights.end(flight)) {
            return;
        }
        state.flights.remove(key);
        match fetched {
            Ok(value) if self.keep == Keep::Fetched || state.values.contains(key) => {
                self.put(state, key, value);
            }
            Err(error) if !error.is_retryable() => drop(state.values.pop(key)),
            _ => {}
        }
    }

    fn put(self: &Arc<Self>, mut state: MutexGuard<'_, State<K, V>>, key: &K, value: &Arc<V>) {
        state.values.put(key.clone(), Value { value: Arc::clone(value), not_before: None });
        while state.values.len() > self.capacity.get() {
            state.values.pop_lru();
        }
        let watched = std::mem::replace(&mut state.watched, true);
        drop(state);
        if !watched {
            self.watch();
        }
    }

    /// Drops every value. What is being fetched reaches those who wait for it and is not kept.
    pub(super) fn clear(&self) {
        let mut state = self.lock();
        state.generation += 1;
        state.values.clear();
        state.flights.clear();
    }

    /// How many values are held.
    pub(super) fn len(&self) -> usize {
        self.lock().values.len()
    }

    /// Drops what has expired, and says when the next will.
    fn sweep(&self) -> Option<Instant> {
        let now = Instant::now();
        let mut state = self.lock();
        let mut next: Option<Instant> = None;
        let mut gone = Vec::new();
        for (key, held) in &state.values {
            match held.value.expires() {
                expires if expires > now => {
                    next = Some(next.map_or(expires, |next| next.min(expires)));
                }
                _ => gone.push(key.clone()),
            }
        }
        for key in gone {
            state.values.pop(&key);
        }
        state.watched = next.is_some();
        next
    }

    /// Sees to it that values expire when their time is up and not when somebody asks next.
    fn watch(self: &Arc<Self>) {
        let mut watch = Watch(Arc::downgrade(self));
        tokio::spawn(async move {
            loop {
                let next = watch.0.upgrade().and_then(|table| table.sweep());
                let Some(next) = next else {
                    drop(std::mem::take(&mut watch.0)); // the sweep itself has said so
                    return;
                };
                tokio::time::sleep_until(next).await;
            }
        });
    }

    fn lock(&self) -> MutexGuard<'_, State<K, V>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The task that waits for values to expire. If it goes with its runtime, the next one to keep a
/// value begins another.
struct Watch<K, V>(Weak<Table<K, V>>);

impl<K, V> Drop for Watch<K, V> {
    fn drop(&mut self) {
        if let Some(table) = self.0.upgrade() {
            table.state.lock().unwrap_or_else(PoisonError::into_inner).watched = false;
        }
    }
}

impl<K, V> fmt::Debug for Table<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Table").finish_non_exhaustive()
    }
}
