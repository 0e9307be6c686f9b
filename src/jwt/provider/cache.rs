//! The keys at hand, and when the provider is asked for others.

use std::{
    future::Future,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use arc_swap::ArcSwapOption;
use tokio::time::Instant;

use super::{Options, Snapshot};
use crate::{
    error::{Error, Result},
    flight::{Flight, SingleFlight, Start},
};

/// After a fetch that failed, how long its error answers instead of another fetch: a provider that
/// is down is not asked for every token.
const FAILED_FOR: Duration = Duration::from_secs(1);

/// What a caller needs the keys for.
#[derive(Clone, Copy)]
pub(super) enum Wanted<'a> {
    Any,
    /// A version that signs.
    Current,
    Kid(&'a str),
}

#[derive(Default)]
pub(super) struct Cache {
    kept: ArcSwapOption<Kept>,
    state: Mutex<State>,
}

struct Kept {
    snapshot: Arc<Snapshot>,
    fetched: Instant,
}

#[derive(Default)]
struct State {
    flight: SingleFlight<Arc<Snapshot>>,
    /// How the last fetch ended, if it failed.
    failed: Option<(Instant, Error)>,
    /// When it was last asked because the keys at hand did not have what was wanted. It is noted
    /// before the answer: a search costs the same whatever comes of it, and whoever waits for it.
    searched: Option<Instant>,
}

/// What a caller does who did not find what it wants.
enum Next {
    Use(Arc<Snapshot>),
    Wait(Flight<Arc<Snapshot>>),
}

impl Cache {
    /// Forgets the keys. An answer that is under way is to an older question, and not kept.
    pub(super) fn invalidate(&self) {
        let mut state = self.lock();
        state.flight.forget();
        state.failed = None;
        self.kept.store(None);
    }

    /// Forgets the keys if they are those, and not newer ones that somebody else has fetched.
    pub(super) fn invalidate_if(&self, are_those: impl Fn(&Snapshot) -> bool) {
        if self.kept.load().as_ref().is_some_and(|kept| are_those(&kept.snapshot)) {
            self.invalidate();
        }
    }

    /// The keys, if they are fresh and have what is wanted.
    pub(super) fn known(&self, ttl: Duration, wanted: Wanted<'_>) -> Option<Arc<Snapshot>> {
        self.fresh(ttl).filter(|snapshot| has(snapshot, wanted))
    }

    fn fresh(&self, ttl: Duration) -> Option<Arc<Snapshot>> {
        let kept = self.kept.load();
        let kept = kept.as_ref()?;
        (kept.fetched.elapsed() < ttl).then(|| Arc::clone(&kept.snapshot))
    }

    /// Fetches, unless somebody else does or just did.
    pub(super) async fn fetch<F>(
        self: &Arc<Self>,
        options: &Options,
        wanted: Wanted<'_>,
        fetch: impl FnOnce() -> F + Send,
    ) -> Result<Arc<Snapshot>>
    where
        F: Future<Output = Result<Snapshot>> + Send + 'static,
    {
        match self.next(options, wanted, fetch)? {
            Next::Use(snapshot) => Ok(snapshot),
            Next::Wait(flight) => flight.landed().await,
        }
    }

    fn next<F>(
        self: &Arc<Self>,
        options: &Options,
        wanted: Wanted<'_>,
        fetch: impl FnOnce() -> F,
    ) -> Result<Next>
    where
        F: Future<Output = Result<Snapshot>> + Send + 'static,
    {
        let start = Start::prepare()?;
        let mut state = self.lock();
        if let Some(flight) = state.flight.join() {
            return Ok(Next::Wait(flight));
        }
        let now = Instant::now();
        let failed = state.failed.as_ref();
        match self.fresh(options.ttl) {
            Some(fresh) if has(&fresh, wanted) => return Ok(Next::Use(fresh)),
            Some(fresh) => {
                if state.searched.is_some_and(|when| now - when < options.cooldown) {
                    // After a search in vain nobody can tell whether there is such a key by now.
                    return failed.map_or(Ok(Next::Use(fresh)), |(_, error)| Err(error.clone()));
                }
                state.searched = Some(now);
            }
            None => {
                if let Some((_, error)) = failed.filter(|(when, _)| now - *when < FAILED_FOR) {
                    return Err(error.clone());
                }
            }
        }
        let flight = state.flight.begin(&start);
        drop(state);
        let (this, fetched) = (Arc::clone(self), fetch());
        let fetch = async move { fetched.await.map(Arc::new) };
        start.start(fetch, move |flight, result| this.land(flight, now, result));
        Ok(Next::Wait(flight))
    }

    fn land(&self, flight: &Flight<Arc<Snapshot>>, asked: Instant, result: &Result<Arc<Snapshot>>) {
        let mut state = self.lock();
        if !state.flight.end(flight) {
            return;
        }
        match result {
            Ok(snapshot) => {
                state.failed = None;
                let kept = Kept { snapshot: Arc::clone(snapshot), fetched: asked };
                self.kept.store(Some(Arc::new(kept)));
            }
            Err(error) => state.failed = Some((Instant::now(), error.clone())),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn has(snapshot: &Snapshot, wanted: Wanted<'_>) -> bool {
    match wanted {
        Wanted::Any => true,
        Wanted::Current => snapshot.current.is_ok(),
        Wanted::Kid(kid) => snapshot.set.find(kid).is_some(),
    }
}
