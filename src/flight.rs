//! One fetch for all who want what it fetches.
//!
//! For the crates of this repository, which share it rather than write it twice. It is hidden since
//! it is no part of the interface: what implements [`KeySource`](crate::jwt::KeySource) elsewhere may
//! share its fetches as it likes.
//!
//! A fetch is a task. Whoever waits for it may give up without ending it for others, and without
//! making the next one pay for it again.

use std::{fmt, future::Future};

use tokio::{runtime::Handle, sync::watch};

use crate::error::{Error, ErrorKind, Result};

/// Room for one fetch. It belongs under the lock under which its answer is kept, so that nobody asks
/// for what has just come.
pub struct SingleFlight<T>(Option<Flight<T>>);

/// A fetch under way: what is waited for. Clones are of the same fetch.
pub struct Flight<T>(watch::Receiver<Option<Result<T>>>);

/// A fetch that is about to begin. It is made before the lock is taken and started when that is free
/// again, since a runtime that is shutting down ends a task where it is spawned.
#[must_use]
pub struct Start<T> {
    runtime: Handle,
    done: watch::Sender<Option<Result<T>>>,
    flight: Flight<T>,
}

impl<T> SingleFlight<T> {
    /// The fetch under way, if there is one.
    #[must_use]
    pub fn join(&self) -> Option<Flight<T>> {
        self.0.as_ref().filter(|flight| flight.is_under_way()).cloned()
    }

    /// Takes the place for a fetch that is about to begin.
    pub fn begin(&mut self, start: &Start<T>) -> Flight<T> {
        self.0 = Some(start.flight.clone());
        start.flight.clone()
    }

    /// Frees the place, if it is still this fetch's. If not, its answer is to an older question.
    pub fn end(&mut self, flight: &Flight<T>) -> bool {
        self.0.take_if(|held| held.is(flight)).is_some()
    }

    /// Frees the place. Who waits for the fetch under way still gets its answer.
    pub fn forget(&mut self) {
        self.0 = None;
    }

    /// Whether nothing is being fetched.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.join().is_none()
    }
}

impl<T> Flight<T> {
    fn is_under_way(&self) -> bool {
        self.0.has_changed().is_ok()
    }

    fn is(&self, other: &Self) -> bool {
        self.0.same_channel(&other.0)
    }
}

impl<T: Clone + Send + Sync> Flight<T> {
    /// Waits for the answer, which is everybody's.
    ///
    /// # Errors
    /// That of the fetch; [`Unavailable`](ErrorKind::Unavailable) if its task ended without one.
    pub async fn landed(mut self) -> Result<T> {
        let result = self.0.wait_for(Option::is_some).await.ok().and_then(|it| it.clone());
        result.unwrap_or_else(|| Err(abandoned()))
    }
}

impl<T: Clone + Send + Sync + 'static> Start<T> {
    /// A fetch on the runtime of the caller.
    ///
    /// # Errors
    /// [`InvalidInput`](ErrorKind::InvalidInput) if there is none.
    pub fn prepare() -> Result<Self> {
        let runtime = Handle::try_current().map_err(|_| {
            Error::invalid("what many wait for is fetched by a task: it needs tokio")
        })?;
        let (done, flight) = watch::channel(None);
        Ok(Self { runtime, done, flight: Flight(flight) })
    }

    /// Begins it. When it has ended, `land` keeps its answer and frees its place, before anybody is
    /// given the answer; it is called once, also if the fetch panics or its runtime ends.
    pub fn start(
        self,
        fetch: impl Future<Output = Result<T>> + Send + 'static,
        land: impl FnOnce(&Flight<T>, &Result<T>) + Send + 'static,
    ) {
        let Self { runtime, done, flight } = self;
        let landing = Landing { done, flight, land: Some(land) };
        runtime.spawn(async move {
            let mut landing = landing;
            let result = fetch.await;
            landing.land(result);
        });
    }
}

struct Landing<T, L: FnOnce(&Flight<T>, &Result<T>)> {
    done: watch::Sender<Option<Result<T>>>,
    flight: Flight<T>,
    land: Option<L>,
}

impl<T, L: FnOnce(&Flight<T>, &Result<T>)> Landing<T, L> {
    fn land(&mut self, result: Result<T>) {
        if let Some(land) = self.land.take() {
            land(&self.flight, &result);
            self.done.send_replace(Some(result));
        }
    }
}

impl<T, L: FnOnce(&Flight<T>, &Result<T>)> Drop for Landing<T, L> {
    fn drop(&mut self) {
        self.land(Err(abandoned()));
    }
}

fn abandoned() -> Error {
    let message =
        "the task that fetched it ended without an answer: its runtime did, or it panicked";
    Error::new(ErrorKind::Unavailable, message)
}

impl<T> Default for SingleFlight<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<T> Clone for Flight<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T> fmt::Debug for SingleFlight<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SingleFlight").field("is_idle", &self.is_idle()).finish()
    }
}

impl<T> fmt::Debug for Flight<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Flight").field("is_under_way", &self.is_under_way()).finish()
    }
}

impl<T> fmt::Debug for Start<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Start").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::{
            Arc, Mutex,
            atomic::{AtomicUsize, Ordering::SeqCst},
        },
        time::Duration,
    };

    use futures_util::future::join_all;
    use tokio::{
        runtime::{Builder, Runtime},
        time::{sleep, timeout},
    };

    use super::*;

    /// What an owner of a place for fetches looks like: one lock over place and answer.
    #[derive(Clone, Default)]
    struct Owner(Arc<Mutex<State>>);

    #[derive(Default)]
    struct State {
        flight: SingleFlight<u32>,
        kept: Option<u32>,
        failures: usize,
    }

    impl Owner {
        fn join_or_start(
            &self,
            fetch: impl Future<Output = Result<u32>> + Send + 'static,
        ) -> Result<Flight<u32>> {
            let start = Start::prepare()?;
            let mut state = self.0.lock().unwrap();
            if let Some(flight) = state.flight.join() {
                return Ok(flight);
            }
            let flight = state.flight.begin(&start);
            drop(state);
            let this = self.clone();
            start.start(fetch, move |flight, result| {
                let mut state = this.0.lock().unwrap();
                if state.flight.end(flight) {
                    state.kept = result.as_ref().ok().copied();
                    state.failures += usize::from(result.is_err());
                }
            });
            Ok(flight)
        }

        fn kept(&self) -> Option<u32> {
            self.0.lock().unwrap().kept
        }

        fn failures(&self) -> usize {
            self.0.lock().unwrap().failures
        }
    }

    async fn slow(calls: Arc<AtomicUsize>, result: Result<u32>) -> Result<u32> {
        calls.fetch_add(1, SeqCst);
        sleep(Duration::from_secs(1)).await;
        result
    }

    fn runtime() -> Runtime {
        Builder::new_current_thread().enable_all().build().unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn many_who_wait_are_one_fetch_and_share_its_answer_or_its_error() {
        for result in [Ok(7), Err(Error::new(ErrorKind::Throttled, "slowly"))] {
            let (owner, calls) = (Owner::default(), Arc::<AtomicUsize>::default());
            let waiting = (0..100).map(|_| {
                owner.join_or_start(slow(Arc::clone(&calls), result.clone())).unwrap().landed()
            });
            for landed in join_all(waiting).await {
                assert_eq!(landed.map_err(|e| e.kind()), result.clone().map_err(|e| e.kind()));
            }
            assert_eq!((calls.load(SeqCst), owner.kept()), (1, result.ok()));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_gives_up_neither_ends_a_fetch_nor_pays_for_another() {
        let (owner, calls) = (Owner::default(), Arc::<AtomicUsize>::default());
        for _ in 0..100 {
            let flight = owner.join_or_start(slow(Arc::clone(&calls), Ok(7))).unwrap();
            timeout(Duration::from_millis(5), flight.landed()).await.unwrap_err();
        }
        sleep(Duration::from_secs(1)).await;
        assert_eq!((calls.load(SeqCst), owner.kept()), (1, Some(7)));
    }

    #[tokio::test(start_paused = true)]
    async fn who_sees_the_answer_sees_it_kept() {
        let (owner, calls) = (Owner::default(), Arc::<AtomicUsize>::default());
        for n in 1..10 {
            let flight = owner.join_or_start(slow(Arc::clone(&calls), Ok(n))).unwrap();
            assert_eq!(flight.landed().await.unwrap(), n);
            assert_eq!(owner.kept(), Some(n));
            assert!(owner.0.lock().unwrap().flight.is_idle());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_forgotten_is_not_kept_and_its_place_is_the_next_ones() {
        let (owner, calls) = (Owner::default(), Arc::<AtomicUsize>::default());
        let old = owner.join_or_start(slow(Arc::clone(&calls), Ok(1))).unwrap();
        sleep(Duration::from_millis(500)).await;
        owner.0.lock().unwrap().flight.forget();
        let new = owner.join_or_start(slow(Arc::clone(&calls), Ok(2))).unwrap();
        assert_eq!(old.landed().await.unwrap(), 1);
        assert_eq!(owner.kept(), None);
        assert!(!owner.0.lock().unwrap().flight.is_idle());
        assert_eq!(new.landed().await.unwrap(), 2);
        assert_eq!(owner.kept(), Some(2));
    }

    #[tokio::test(start_paused = true)]
    async fn a_panic_is_an_error_of_those_who_wait_and_frees_the_place() {
        let owner = Owner::default();
        let flight = owner.join_or_start(async { panic!("as the test asked") }).unwrap();
        let (one, other) = tokio::join!(flight.clone().landed(), flight.landed());
        assert_eq!(one.unwrap_err().kind(), ErrorKind::Unavailable);
        assert_eq!(other.unwrap_err().kind(), ErrorKind::Unavailable);
        assert_eq!(owner.failures(), 1);
        let flight = owner.join_or_start(async { Ok(7) }).unwrap();
        assert_eq!(flight.landed().await.unwrap(), 7);
    }

    #[test]
    fn a_runtime_that_ends_frees_the_place() {
        let owner = Owner::default();
        let first = runtime();
        let flight = first
            .block_on(async { owner.join_or_start(std::future::pending::<Result<u32>>()) })
            .unwrap();
        drop(first);
        let second = runtime();
        assert_eq!(second.block_on(flight.landed()).unwrap_err().kind(), ErrorKind::Unavailable);
        assert_eq!(owner.failures(), 1);
        let landed =
            second.block_on(async { owner.join_or_start(async { Ok(7) }).unwrap().landed().await });
        assert_eq!(landed.unwrap(), 7);
    }

    /// A task that is spawned on a runtime that is no more ends where it is spawned: not under the lock.
    #[test]
    fn a_runtime_that_has_ended_locks_nobody_out() {
        let owner = Owner::default();
        let ended = runtime();
        let handle = ended.handle().clone();
        drop(ended);
        let _context = handle.enter();
        let flight = owner.join_or_start(async { Ok(7) }).unwrap();
        let landed = futures_util::FutureExt::now_or_never(flight.landed());
        assert_eq!(landed.unwrap().unwrap_err().kind(), ErrorKind::Unavailable);
        assert_eq!(owner.failures(), 1);
    }

    #[test]
    fn without_a_runtime_it_says_so() {
        let error = Owner::default().join_or_start(async { Ok(7) }).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
    }
}
