//! One fetch at a time, and what came of the last.

use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
    time::Duration,
};

use arc_swap::ArcSwapOption;
use tokio::{sync::Mutex, time::Instant};

use super::{Options, Snapshot};
use crate::error::{Error, Result};

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
pub(super) struct Flight {
    kept: ArcSwapOption<Kept>,
    /// Counts invalidations: an answer to an older question is not kept.
    generation: AtomicU64,
    /// Counts fetches that ended, so that who waited knows that somebody asked in the meantime.
    ended: AtomicU64,
    turn: Mutex<Turn>,
}

struct Kept {
    snapshot: Arc<Snapshot>,
    fetched: Instant,
    generation: u64,
}

/// What only the one who fetches touches.
#[derive(Default)]
struct Turn {
    failed: Option<(Instant, u64, Error)>,
    /// When it was last asked, and answered, because the keys at hand did not have what was wanted.
    searched: Option<Instant>,
}

impl Flight {
    pub(super) fn invalidate(&self) {
        self.generation.fetch_add(1, SeqCst);
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
        let fresh = kept.generation == self.generation.load(SeqCst) && kept.fetched.elapsed() < ttl;
        fresh.then(|| Arc::clone(&kept.snapshot))
    }

    /// Fetches, unless somebody else does or just did.
    pub(super) async fn fetch<F: Future<Output = Result<Snapshot>>>(
        &self,
        options: &Options,
        wanted: Wanted<'_>,
        fetch: impl Fn() -> F,
    ) -> Result<Arc<Snapshot>> {
        let ended = self.ended.load(SeqCst);
        // Dropped with the future of whoever holds it, so a caller who gives up stalls nobody.
        let mut turn = self.turn.lock().await;
        let generation = self.generation.load(SeqCst);
        let waited = self.ended.load(SeqCst) != ended;
        if let Some((when, of, error)) = &turn.failed
            && *of == generation
            && (waited || when.elapsed() < FAILED_FOR)
        {
            return Err(error.clone());
        }
        let search = self.fresh(options.ttl);
        if let Some(fresh) = &search {
            let searched = turn.searched.is_some_and(|when| when.elapsed() < options.cooldown);
            if waited || searched || has(fresh, wanted) {
                return Ok(Arc::clone(fresh));
            }
        }
        let fetched = Instant::now();
        let result = fetch().await;
        self.ended.fetch_add(1, SeqCst);
        match result {
            Ok(snapshot) => {
                turn.failed = None;
                if search.is_some() {
                    turn.searched = Some(fetched);
                }
                let snapshot = Arc::new(snapshot);
                // Stored under the generation that it answers; if that has passed, it is not fresh.
                let kept = Kept { snapshot: Arc::clone(&snapshot), fetched, generation };
                self.kept.store(Some(Arc::new(kept)));
                Ok(snapshot)
            }
            Err(error) => {
                turn.failed = Some((Instant::now(), generation, error.clone()));
                Err(error)
            }
        }
    }
}

fn has(snapshot: &Snapshot, wanted: Wanted<'_>) -> bool {
    match wanted {
        Wanted::Any => true,
        Wanted::Current => snapshot.current.is_ok(),
        Wanted::Kid(kid) => snapshot.set.find(kid).is_some(),
    }
}
