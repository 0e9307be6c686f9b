//! What was issued, for as long as it is good: one fetch for all who want it, and the old one while the next fails.

use std::{
    fmt,
    future::Future,
    hash::Hash,
    num::NonZeroUsize,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use bulla::{
    Error, Result,
    flight::{Flight, SingleFlight, Start},
};
use lru::LruCache;
use tokio::time::Instant;

/// After a renewal that failed, how long until the next: this, doubled up to the other.
const MIN_BACKOFF: Duration = Duration::from_secs(1);
const MAX_BACKOFF: Duration = Duration::from_secs(30);

pub(crate) type Clock = Arc<dyn Fn() -> SystemTime + Send + Sync>;

/// Something that ends.
pub(crate) trait Ends: Send + Sync + 'static {
    /// Until when it is good.
    fn ends(&self) -> SystemTime;
}

/// A bounded cache of things that end. Each is renewed when it is used after half of its life. Clones are of the same
/// cache.
pub(crate) struct Renewed<K, V>(Arc<Shared<K, V>>);

/// What a caller gets.
#[derive(Debug)]
pub(crate) struct Kept<V> {
    pub(crate) value: Arc<V>,
    /// When to ask again: at half of its life or, where a renewal has failed, after a while.
    pub(crate) again: SystemTime,
}

struct Shared<K, V> {
    entries: Mutex<LruCache<K, Entry<V>>>,
    clock: Clock,
}

struct Entry<V> {
    held: Option<Held<V>>,
    flight: SingleFlight<Arc<V>>,
    failed: Option<Failed>,
}

struct Held<V> {
    value: Arc<V>,
    renew: SystemTime,
}

#[derive(Clone)]
struct Failed {
    when: Instant,
    wait: Duration,
    error: Error,
}

/// How a use that comes after half of a life is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Renewal {
    /// With the old one, while the next is on its way.
    #[cfg_attr(not(feature = "workload"), allow(dead_code, reason = "only sources ask so"))]
    Behind,
    /// With the next one, if it comes.
    Awaited,
}

impl<K, V> Renewed<K, V>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Ends,
{
    pub(crate) fn new(most: NonZeroUsize, clock: Clock) -> Self {
        let entries = Mutex::new(LruCache::new(most));
        Self(Arc::new(Shared { entries, clock }))
    }

    /// What is held for `key`, or what `fetch` brings: called once for all who ask meanwhile, and by a task, so that
    /// whoever gives up takes it from nobody.
    ///
    /// # Errors
    /// That of the fetch, if nothing is held that is still good.
    pub(crate) async fn get<F>(
        &self,
        key: &K,
        renewal: Renewal,
        fetch: impl FnOnce() -> F,
    ) -> Result<Kept<V>>
    where
        F: Future<Output = Result<V>> + Send + 'static,
    {
        let now = (self.0.clock)();
        let (good, failed) = {
            let mut entries = self.0.lock();
            let entry = entries.get(key);
            let held = entry.and_then(|entry| entry.held.as_ref());
            let held = held.filter(|held| now < held.value.ends());
            if let Some(held) = held.filter(|held| now < held.renew) {
                return Ok(Kept { value: Arc::clone(&held.value), again: held.renew });
            }
            let failed = entry.and_then(|entry| entry.failed.clone());
            (held.map(|held| Arc::clone(&held.value)), failed)
        };
        let Some(value) = good else {
            return match failed {
                // One error answers for a second, so that a crowd is one call.
                Some(failed) if failed.when.elapsed() < MIN_BACKOFF => Err(failed.error),
                _ => self.landed(key, fetch).await,
            };
        };
        let left = failed.and_then(|failed| failed.wait.checked_sub(failed.when.elapsed()));
        if let Some(left) = left.filter(|left| !left.is_zero()) {
            return Ok(Kept { value, again: now + left });
        }
        match renewal {
            Renewal::Behind => {
                // Nobody waits for it: what comes of it, the next use sees.
                self.fly(key, fetch)?;
                Ok(Kept { value, again: now + MIN_BACKOFF })
            }
            Renewal::Awaited => match self.landed(key, fetch).await {
                Err(_) => Ok(Kept { value, again: now + self.wait(key).max(MIN_BACKOFF) }),
                renewed => renewed,
            },
        }
    }

    /// Forgets what is held for keys that are not to be kept. What is on its way comes to who waits for it, and is not
    /// kept either.
    pub(crate) fn retain(&self, keep: impl Fn(&K) -> bool) {
        let mut entries = self.0.lock();
        let others: Vec<K> =
            entries.iter().map(|(key, _)| key).filter(|key| !keep(key)).cloned().collect();
        for key in others {
            entries.pop(&key);
        }
    }

    /// Forgets this value, wherever it is held.
    pub(crate) fn forget_value(&self, value: &Arc<V>) {
        for (_, entry) in self.0.lock().iter_mut() {
            entry.held.take_if(|held| Arc::ptr_eq(&held.value, value));
        }
    }

    async fn landed<F>(&self, key: &K, fetch: impl FnOnce() -> F) -> Result<Kept<V>>
    where
        F: Future<Output = Result<V>> + Send + 'static,
    {
        let value = self.fly(key, fetch)?.landed().await?;
        let now = (self.0.clock)();
        Ok(Kept { again: half(now, value.ends()), value })
    }

    fn fly<F>(&self, key: &K, fetch: impl FnOnce() -> F) -> Result<Flight<Arc<V>>>
    where
        F: Future<Output = Result<V>> + Send + 'static,
    {
        let start = Start::prepare()?;
        let mut entries = self.0.lock();
        let entry = entries.get_or_insert_mut(key.clone(), Entry::default);
        if let Some(flight) = entry.flight.join() {
            return Ok(flight);
        }
        let flight = entry.flight.begin(&start);
        drop(entries);
        let (shared, key) = (Arc::clone(&self.0), key.clone());
        let fetch = fetch();
        start.start(async move { fetch.await.map(Arc::new) }, move |flight, result| {
            shared.land(&key, flight, result);
        });
        Ok(flight)
    }

    fn wait(&self, key: &K) -> Duration {
        let entries = self.0.lock();
        let failed = entries.peek(key).and_then(|entry| entry.failed.as_ref());
        failed.map_or(Duration::ZERO, |failed| failed.wait)
    }
}

impl<K: Hash + Eq, V: Ends> Shared<K, V> {
    fn land(&self, key: &K, flight: &Flight<Arc<V>>, result: &Result<Arc<V>>) {
        let now = (self.clock)();
        let mut entries = self.lock();
        // It may have been evicted, or forgotten and asked for anew.
        let Some(entry) = entries.peek_mut(key) else { return };
        if !entry.flight.end(flight) {
            return;
        }
        match result {
            Ok(value) => {
                let renew = half(now, value.ends());
                entry.failed = None;
                entry.held = Some(Held { value: Arc::clone(value), renew });
            }
            Err(error) => {
                let last = entry.failed.as_ref().map(|failed| failed.wait);
                let wait = last.map_or(MIN_BACKOFF, |last| (last * 2).min(MAX_BACKOFF));
                entry.failed = Some(Failed { when: Instant::now(), wait, error: error.clone() });
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, LruCache<K, Entry<V>>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<V> Default for Entry<V> {
    fn default() -> Self {
        Self { held: None, flight: SingleFlight::default(), failed: None }
    }
}

impl<K, V> Clone for Renewed<K, V> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<K, V> fmt::Debug for Renewed<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Renewed").finish_non_exhaustive()
    }
}

fn half(from: SystemTime, to: SystemTime) -> SystemTime {
    from + to.duration_since(from).unwrap_or_default() / 2
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

    use bulla::ErrorKind;
    use futures_util::future::join_all;
    use tokio::time::{advance, sleep};

    use super::*;

    /// What was fetched when, and until when it is good.
    #[derive(Debug)]
    struct Fetched(usize, SystemTime);

    impl Ends for Fetched {
        fn ends(&self) -> SystemTime {
            self.1
        }
    }

    /// A cache on virtual time, over something that can be cut off.
    struct World {
        cache: Renewed<&'static str, Fetched>,
        clock: Clock,
        calls: Arc<AtomicUsize>,
        cut: bool,
    }

    const LIFE: Duration = Duration::from_secs(100);

    impl World {
        fn new(most: usize) -> Self {
            let began = Instant::now();
            let clock: Clock = Arc::new(move || SystemTime::UNIX_EPOCH + began.elapsed());
            let cache = Renewed::new(NonZeroUsize::new(most).unwrap(), Arc::clone(&clock));
            Self { cache, clock, calls: Arc::default(), cut: false }
        }

        async fn get(&self, key: &'static str, renewal: Renewal) -> Result<Kept<Fetched>> {
            let (calls, clock, cut) = (Arc::clone(&self.calls), Arc::clone(&self.clock), self.cut);
            let fetch = || async move {
                let call = calls.fetch_add(1, SeqCst) + 1;
                sleep(Duration::from_millis(10)).await;
                match cut {
                    true => Err(Error::new(ErrorKind::Unavailable, "cut off")),
                    false => Ok(Fetched(call, clock() + LIFE)),
                }
            };
            self.cache.get(&key, renewal, fetch).await
        }

        async fn which(&self, renewal: Renewal) -> Result<usize> {
            self.get("key", renewal).await.map(|kept| kept.value.0)
        }

        fn calls(&self) -> usize {
            self.calls.load(SeqCst)
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_crowd_is_one_fetch_and_who_gives_up_takes_it_from_nobody() {
        let world = World::new(8);
        let given_up =
            tokio::time::timeout(Duration::from_millis(1), world.which(Renewal::Awaited));
        given_up.await.unwrap_err();
        let all = join_all((0..50).map(|_| world.which(Renewal::Awaited))).await;
        assert!(all.into_iter().all(|which| which.unwrap() == 1));
        assert_eq!(world.calls(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn half_of_a_life_is_a_renewal_awaited_or_behind() {
        for (renewal, at_once) in [(Renewal::Awaited, 2), (Renewal::Behind, 1)] {
            let world = World::new(8);
            assert_eq!(world.which(renewal).await.unwrap(), 1);
            advance(Duration::from_secs(49)).await;
            assert_eq!(world.which(renewal).await.unwrap(), 1);
            advance(Duration::from_secs(2)).await;
            assert_eq!(world.which(renewal).await.unwrap(), at_once);
            sleep(Duration::from_millis(20)).await;
            assert_eq!(world.which(renewal).await.unwrap(), 2);
            assert_eq!(world.calls(), 2);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn failures_wait_longer_each_and_the_old_one_serves_until_it_ends() {
        let mut world = World::new(8);
        world.which(Renewal::Awaited).await.unwrap();
        advance(Duration::from_secs(51)).await;
        world.cut = true;
        let before = Instant::now();
        let mut fetches = Vec::new();
        while before.elapsed() < Duration::from_secs(45) {
            let calls = world.calls();
            let kept = world.get("key", Renewal::Awaited).await.unwrap();
            assert_eq!(kept.value.0, 1);
            assert!(kept.again > (world.clock)());
            if world.calls() > calls {
                fetches.push(before.elapsed().as_secs());
            }
            advance(Duration::from_millis(500)).await;
        }
        assert_eq!(fetches, [0, 1, 3, 7, 15, 31]);
        advance(Duration::from_secs(10)).await;
        assert_eq!(world.which(Renewal::Awaited).await.unwrap_err().kind(), ErrorKind::Unavailable);
        world.cut = false;
        advance(Duration::from_secs(1)).await;
        world.which(Renewal::Awaited).await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn an_error_answers_a_crowd_for_a_second() {
        let mut world = World::new(8);
        world.cut = true;
        for _ in 0..100 {
            world.which(Renewal::Awaited).await.unwrap_err();
        }
        assert_eq!(world.calls(), 1);
        advance(Duration::from_secs(1)).await;
        world.which(Renewal::Awaited).await.unwrap_err();
        assert_eq!(world.calls(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_not_to_be_kept_is_fetched_anew() {
        let world = World::new(8);
        for key in ["a", "b"] {
            world.get(key, Renewal::Awaited).await.unwrap();
        }
        let on_its_way = world.get("c", Renewal::Awaited);
        let forget = async {
            tokio::task::yield_now().await;
            world.cache.retain(|key| *key == "a");
        };
        let (landed, ()) = tokio::join!(on_its_way, forget);
        assert_eq!(landed.unwrap().value.0, 3);
        for (key, calls) in [("a", 3), ("b", 4), ("c", 5)] {
            world.get(key, Renewal::Awaited).await.unwrap();
            assert_eq!(world.calls(), calls, "{key}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_least_recently_used_goes_first() {
        let world = World::new(2);
        for key in ["a", "b", "a", "c", "a"] {
            world.get(key, Renewal::Awaited).await.unwrap();
        }
        assert_eq!(world.calls(), 3);
        world.get("b", Renewal::Awaited).await.unwrap();
        assert_eq!(world.calls(), 4);
    }
}
