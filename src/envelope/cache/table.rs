//! A bounded table of data keys in which a missing one is fetched once, whoever asks for it.

use std::{
    collections::hash_map::RandomState,
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

/// Values by key, the least recently used of which makes room for the next. What leaves is dropped
/// at once, and so wiped as soon as nobody uses it.
pub(super) struct Table<K, V> {
    state: Mutex<State<K, V>>,
}

struct State<K, V> {
    slots: LruCache<K, Slot<V>, RandomState>,
    /// Whether a task waits for the next value to expire.
    watched: bool,
}

struct Slot<V> {
    value: Option<Arc<V>>,
    flight: SingleFlight<Arc<V>>,
    /// A renewal that failed is not tried again before this.
    not_before: Option<Instant>,
}

impl<K, V> Table<K, V>
where
    K: Clone + Eq + Hash + Send + 'static,
    V: Kept,
{
    pub(super) fn new(capacity: NonZeroUsize) -> Arc<Self> {
        let slots = LruCache::with_hasher(capacity, RandomState::new());
        Arc::new(Self { state: Mutex::new(State { slots, watched: false }) })
    }

    /// The value, if it is there and has not expired.
    pub(super) fn value(&self, key: &K) -> Option<Arc<V>> {
        let mut state = self.lock();
        let slot = state.slots.get_mut(key)?;
        if slot.value.as_ref()?.expires() <= Instant::now() {
            slot.value = None;
        }
        slot.value.clone()
    }

    /// Drops the value if it is still this one.
    pub(super) fn remove(&self, key: &K, value: &Arc<V>) {
        let mut state = self.lock();
        let Some(slot) = state.slots.get_mut(key) else { return };
        if slot.value.as_ref().is_some_and(|held| Arc::ptr_eq(held, value)) {
            slot.value = None;
            if slot.flight.is_idle() {
                state.slots.pop(key);
            }
        }
    }

    /// Joins the fetch under way, or begins one.
    pub(super) fn fetch(
        self: &Arc<Self>,
        key: &K,
        make: impl FnOnce() -> BoxFuture<'static, Result<V>>,
    ) -> Result<Flight<Arc<V>>> {
        let start = Start::prepare()?;
        let mut state = self.lock();
        if let Some(flight) = state.slots.get(key).and_then(|slot| slot.flight.join()) {
            return Ok(flight);
        }
        let slot = state.slots.get_or_insert_mut(key.clone(), || Slot {
            value: None,
            flight: SingleFlight::default(),
            not_before: None,
        });
        let flight = slot.flight.begin(&start);
        drop(state);
        let (table, key, call) = (Arc::clone(self), key.clone(), make());
        let fetch = async move { call.await.map(Arc::new) };
        start.start(fetch, move |flight, fetched| table.land(&key, flight, fetched));
        Ok(flight)
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
            let Some(slot) = state.slots.peek_mut(key) else { return false };
            if !slot.flight.is_idle() || slot.not_before.is_some_and(|then| now < then) {
                return false;
            }
            slot.not_before = Some(now + pause);
        }
        self.fetch(key, make).is_ok()
    }

    /// Keeps the value; a slot that was evicted or cleared meanwhile stays so. What the provider
    /// refuses outright ends the value that it would have renewed.
    fn land(self: &Arc<Self>, key: &K, flight: &Flight<Arc<V>>, fetched: &Result<Arc<V>>) {
        let mut state = self.lock();
        let Some(slot) = state.slots.peek_mut(key) else { return };
        if !slot.flight.end(flight) {
            return;
        }
        match fetched {
            Ok(value) => {
                slot.value = Some(Arc::clone(value));
                slot.not_before = None;
            }
            Err(error) if !error.is_retryable() => slot.value = None,
            Err(_) => {}
        }
        if slot.value.is_none() {
            state.slots.pop(key);
        }
        let watched = fetched.is_err() || std::mem::replace(&mut state.watched, true);
        drop(state);
        if !watched {
            self.watch();
        }
    }

    /// Drops every value. What is being fetched reaches those who wait for it and is not kept.
    pub(super) fn clear(&self) {
        self.lock().slots.clear();
    }

    /// How many values are held.
    pub(super) fn len(&self) -> usize {
        self.lock().slots.iter().filter(|(_, slot)| slot.value.is_some()).count()
    }

    /// Drops what has expired, and says when the next will.
    fn sweep(&self) -> Option<Instant> {
        let now = Instant::now();
        let mut state = self.lock();
        let mut next: Option<Instant> = None;
        let mut gone = Vec::new();
        for (key, slot) in &mut state.slots {
            match slot.value.as_ref().map(|value| value.expires()) {
                Some(expires) if expires > now => {
                    next = Some(next.map_or(expires, |next| next.min(expires)));
                    continue;
                }
                Some(_) => slot.value = None,
                None => {}
            }
            if slot.flight.is_idle() {
                gone.push(key.clone());
            }
        }
        for key in gone {
            state.slots.pop(&key);
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
