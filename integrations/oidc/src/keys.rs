//! The keys of an issuer, kept and renewed.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use arc_swap::ArcSwapOption;
use async_trait::async_trait;
use bulla::{
    Result,
    flight::{Flight, Start},
    jwt::{JwkSet, KeySource},
};

use crate::{
    builder::RemoteKeysBuilder,
    fetch::Fetcher,
    origin::Origin,
    state::{Ended, Keys, State},
};

/// Keys that an issuer publishes, for a [`Verifier`](bulla::jwt::Verifier). Cheap to clone; clones
/// share what is kept.
///
/// Whoever needs keys that are being fetched waits for that one answer, and may give up without
/// ending it for others. Fresh keys are read without a lock. Fetches are tasks, so it needs tokio.
#[derive(Clone)]
pub struct RemoteKeys(Arc<Inner>);

struct Inner {
    origin: Origin,
    fetcher: Fetcher,
    kept: ArcSwapOption<Keys>,
    state: Mutex<State>,
}

impl RemoteKeys {
    /// Keys at this address: a JWK set of at most 256 KiB.
    pub fn jwks(url: impl Into<String>) -> RemoteKeysBuilder {
        RemoteKeysBuilder::address(url.into())
    }

    /// Keys of this issuer, at the address that its metadata states. The identifier is the one in
    /// the metadata to the byte, and behind it is `/.well-known/openid-configuration`.
    pub fn discover(issuer: impl Into<String>) -> RemoteKeysBuilder {
        RemoteKeysBuilder::issuer(issuer.into())
    }

    pub(crate) fn new(origin: Origin, fetcher: Fetcher) -> Self {
        let state = Mutex::new(State::new());
        Self(Arc::new(Inner { origin, fetcher, kept: ArcSwapOption::empty(), state }))
    }

    /// Fetches the keys now, or joins who is doing so, even shortly after a failure: at the start of
    /// a process, for a health check, or when the issuer is known to have changed its keys.
    ///
    /// # Errors
    /// Why they could not be fetched (see the [crate's](crate#errors) documentation). Keys at hand
    /// stay as they are.
    pub async fn refresh(&self) -> Result<()> {
        let flight = self.0.fetch(self.0.lock(), false)?;
        flight.landed().await.map(drop)
    }

    /// Forgets keys and metadata: the next verification fetches them. For a key that leaked, once
    /// the issuer has withdrawn it. Keys that are under way are not kept.
    pub fn invalidate(&self) {
        let mut state = self.0.lock();
        state.forget();
        self.0.kept.store(None);
        self.0.origin.forget();
    }

    /// The keys at hand and whether they are fresh, without asking anybody.
    #[must_use]
    pub fn at_hand(&self) -> Option<(Arc<JwkSet>, bool)> {
        let now = (self.0.fetcher.clock)();
        let kept = self.0.usable(now)?;
        let fresh = kept.is_fresh(now);
        Some((Arc::clone(&kept.value), fresh))
    }
}

#[async_trait]
impl KeySource for RemoteKeys {
    async fn keys(&self, kid: Option<&str>) -> Result<Arc<JwkSet>> {
        let uses = &self.0.fetcher.telemetry.uses;
        let result = self.0.keys(kid).await;
        let (counter, result) = match result {
            Ok(Use::Hit(kept)) => (&uses.hit, Ok(kept)),
            Ok(Use::Fetched(kept)) => (&uses.fetched, Ok(kept)),
            Ok(Use::Stale(kept)) => (&uses.stale, Ok(kept)),
            Ok(Use::Unknown(kept)) => (&uses.unknown, Ok(kept)),
            Err(error) => (&uses.failed, Err(error)),
        };
        counter.increment(1);
        result.map(|kept| Arc::clone(&kept.value))
    }
}

/// How keys were come by.
enum Use {
    Hit(Arc<Keys>),
    Fetched(Arc<Keys>),
    Stale(Arc<Keys>),
    Unknown(Arc<Keys>),
}

enum Next {
    Use(Use),
    Wait(Flight<Arc<Keys>>),
}

fn has(kept: &Keys, kid: Option<&str>) -> bool {
    kid.is_none_or(|kid| kept.value.find(kid).is_some())
}

impl Inner {
    async fn keys(self: &Arc<Self>, kid: Option<&str>) -> Result<Use> {
        let now = (self.fetcher.clock)();
        if let Some(kept) = self.usable(now)
            && kept.is_fresh(now)
            && !kept.is_due(now)
            && has(&kept, kid)
        {
            return Ok(Use::Hit(kept));
        }
        let flight = match self.next(kid, now)? {
            Next::Use(at_hand) => return Ok(at_hand),
            Next::Wait(flight) => flight,
        };
        let error = match flight.landed().await {
            Ok(found) => {
                if let Some(kid) = kid.filter(|_| !has(&found, kid)) {
                    let until = now + self.fetcher.policy.unknown_for();
                    self.lock().not_found(kid, until);
                }
                return Ok(Use::Fetched(found));
            }
            Err(error) => error,
        };
        // Of an id that is not at hand, nobody can tell in an outage whether there is such a key.
        let stale = self.usable((self.fetcher.clock)()).filter(|kept| has(kept, kid));
        stale.map(Use::Stale).ok_or(error)
    }

    /// What to do when keys at hand are not simply used. They are looked at again under the lock,
    /// under which they are also replaced, so that nobody asks for what has just come.
    fn next(self: &Arc<Self>, kid: Option<&str>, now: Instant) -> Result<Next> {
        let mut state = self.lock();
        let paused = state.paused(now).cloned();
        let Some(kept) = self.usable(now) else {
            return match (state.join(), paused) {
                (Some(flight), _) => Ok(Next::Wait(flight)),
                (None, Some(error)) => Err(error),
                (None, None) => self.fetch(state, false).map(Next::Wait),
            };
        };
        let fresh = kept.is_fresh(now);
        if let Some(kid) = kid.filter(|_| !has(&kept, kid)) {
            if let Some(flight) = state.join() {
                state.search(now);
                return Ok(Next::Wait(flight));
            }
            let searched = state.has_searched(now, self.fetcher.policy.cooldown);
            // After a search that failed nobody can tell, and it is not made again so soon either.
            let failed = || state.failure().filter(|_| searched).cloned();
            if let Some(error) = paused.or_else(failed) {
                return Err(error);
            }
            if fresh && (searched || state.is_unknown(kid, now)) {
                return Ok(Next::Use(Use::Unknown(kept)));
            }
            state.search(now);
            return self.fetch(state, true).map(Next::Wait);
        }
        if !fresh && state.failure().is_none() {
            return self.fetch(state, false).map(Next::Wait);
        }
        if (!fresh || kept.is_due(now)) && paused.is_none() {
            // Nobody waits for it, nor in an outage that is known. Where there is no runtime to fetch
            // on, whoever has to wait is told.
            let _ = self.fetch(state, false);
        }
        Ok(Next::Use(if fresh { Use::Hit(kept) } else { Use::Stale(kept) }))
    }

    /// The keys at hand, if they may be used, be it as stale ones.
    fn usable(&self, now: Instant) -> Option<Arc<Keys>> {
        let stale = self.fetcher.policy.stale;
        self.kept.load().as_ref().filter(|kept| kept.is_usable(now, stale)).map(Arc::clone)
    }

    /// Joins the fetch under way, or begins one.
    fn fetch(
        self: &Arc<Self>,
        mut state: MutexGuard<'_, State>,
        search: bool,
    ) -> Result<Flight<Arc<Keys>>> {
        if let Some(flight) = state.join() {
            return Ok(flight);
        }
        let start = Start::prepare()?;
        let flight = state.begin(&start);
        drop(state);
        let (this, lander) = (Arc::clone(self), Arc::clone(self));
        let fetch = async move {
            let known = this.kept.load_full();
            this.origin.keys(&this.fetcher, known.as_deref(), search).await.map(Arc::new)
        };
        start.start(fetch, move |flight, result| lander.land(flight, result));
        Ok(flight)
    }

    fn land(&self, flight: &Flight<Arc<Keys>>, result: &Result<Arc<Keys>>) {
        let Fetcher { clock, policy, telemetry, .. } = &self.fetcher;
        let now = clock();
        let mut state = self.lock();
        let ended = state.end(flight, result, now, policy);
        if let (Ok(keys), false) = (result, ended == Ended::Forgotten) {
            self.kept.store(Some(Arc::clone(keys)));
        }
        drop(state);
        match (ended, result) {
            (Ended::Recovered, _) => telemetry.recovered(),
            (Ended::Failed, Err(error)) => {
                let age = self.kept.load().as_ref().map(|kept| kept.age(now));
                telemetry.not_renewed("jwks", error, age);
            }
            _ => {}
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for RemoteKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RemoteKeys")
            .field("address", &self.0.origin.configured().as_str())
            .field("policy", &self.0.fetcher.policy)
            .finish_non_exhaustive()
    }
}
