//! The token that calls are made with: had when it is needed, renewed before it ends, replaced when it is
//! dead.
//!
//! Whatever is done about it is one task at a time, which all who need it wait for: of many calls that find
//! a token dead, one logs in. Who gives up ends nothing.

use std::{
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    time::Duration,
};

use arc_swap::ArcSwapOption;
use bulla::{
    Error, ErrorKind, Result,
    flight::{Flight, SingleFlight, Start},
};
use tokio::{
    sync::Notify,
    task::AbortHandle,
    time::{Instant, timeout_at},
};

use crate::{job::Job, login::Desk, token::Token};

/// How long it takes at least from one login to the next, and from a failure to the next attempt.
pub(crate) const COOLDOWN: Duration = Duration::from_secs(1);

/// The same for credentials that go on being refused: attempts with them lock accounts.
const MAX_COOLDOWN: Duration = Duration::from_secs(60);

pub(crate) struct Session {
    pub(crate) desk: Desk,
    /// The cluster that keys are named by, if it was asked and not given.
    pub(crate) cluster: Option<String>,
    pub(crate) current: ArcSwapOption<Token>,
    state: Mutex<State>,
    changed: Arc<Notify>,
    closed: AtomicBool,
}

#[derive(Default)]
struct State {
    flight: SingleFlight<Arc<Token>>,
    /// How many tokens there were.
    number: u64,
    /// When the last login ended.
    logged_in: Option<Instant>,
    failed: Option<Failed>,
    /// When a renewal that failed is tried again, and how many did in a row.
    renewing: Option<(Instant, u32)>,
    keeper: Option<AbortHandle>,
}

/// A token that could not be had. Until its time is up, that is everybody's answer.
struct Failed {
    until: Instant,
    in_a_row: u32,
    error: Error,
}

/// What to do about a job.
enum Next {
    Done(Arc<Token>),
    /// For a flight, and whether it was begun for this.
    Wait(Flight<Arc<Token>>, bool),
}

impl Session {
    pub(crate) fn new(desk: Desk, cluster: Option<String>) -> Self {
        let (current, state) = (ArcSwapOption::empty(), Mutex::default());
        let (changed, closed) = (Arc::default(), AtomicBool::new(false));
        Self { desk, cluster, current, state, changed, closed }
    }

    /// Has the first token, and sees to it from then on that there is one.
    pub(crate) async fn begin(self: &Arc<Self>) -> Result<()> {
        self.token().await?;
        let keeper = tokio::spawn(keep(Arc::downgrade(self)));
        self.lock().keeper = Some(keeper.abort_handle());
        Ok(())
    }

    /// A token that is good, as far as is known here.
    ///
    /// # Errors
    /// Why there is none; [`ErrorKind::Closed`] after [`close`](Self::close).
    pub(crate) async fn token(self: &Arc<Self>) -> Result<Arc<Token>> {
        self.check_open()?;
        if let Some(token) = self.current.load_full().filter(|token| !token.lease.has_ended()) {
            if token.lease.is_due() {
                self.tend();
            }
            return Ok(token);
        }
        match self.join_or_start(Job::Obtain)? {
            Next::Done(token) => Ok(token),
            Next::Wait(flight, _) => flight.landed().await,
        }
    }

    /// Another token, after a call with this one was refused; none if it is good, and lacks a right.
    ///
    /// # Errors
    /// Why there is no other.
    pub(crate) async fn refused(
        self: &Arc<Self>,
        token: &Arc<Token>,
    ) -> Result<Option<Arc<Token>>> {
        for _ in 0..2 {
            self.check_open()?;
            let (flight, started) = match self.join_or_start(Job::Doubt(Arc::clone(token)))? {
                Next::Done(other) => return Ok(Some(other)),
                Next::Wait(flight, started) => (flight, started),
            };
            let landed = flight.landed().await?;
            if landed.number != token.number {
                return Ok(Some(landed));
            }
            // A flight under way may have looked at the token before it died.
            if started {
                break;
            }
        }
        Ok(None)
    }

    pub(crate) fn check_open(&self) -> Result<()> {
        match self.closed.load(SeqCst) {
            true => Err(closed()),
            false => Ok(()),
        }
    }

    /// Whether a token is there or can be had, as far as is known.
    pub(crate) fn is_failing(&self) -> bool {
        self.lock().failed.is_some()
    }

    /// Ends the session, and the token if it was logged in for.
    pub(crate) async fn close(&self) -> Result<()> {
        self.closed.store(true, SeqCst);
        let keeper = self.lock().keeper.take();
        if let Some(keeper) = keeper {
            keeper.abort();
        }
        match self.current.swap(None).filter(|token| token.own) {
            Some(token) => self.desk.revoke(&token.header).await,
            None => Ok(()),
        }
    }

    /// Begins to renew the token. Nobody waits for it: the token at hand is still good.
    fn tend(self: &Arc<Self>) {
        let Some(token) = self.current.load_full().filter(|token| token.lease.is_due()) else {
            return;
        };
        let waits = self.lock().renewing.is_some_and(|(until, _)| until > Instant::now());
        if !waits {
            let _ = self.join_or_start(Job::Renew(token));
        }
    }

    /// The flight under way, or a new one. Whether there is need of it is looked at under the lock under
    /// which tokens are kept, so that nobody asks for what has just come.
    fn join_or_start(self: &Arc<Self>, job: Job) -> Result<Next> {
        let start = Start::prepare()?;
        let mut state = self.lock();
        if let Some(flight) = state.flight.join() {
            return Ok(Next::Wait(flight, false));
        }
        let current = self.current.load_full();
        if let Some(current) = current.filter(|current| job.is_done(current)) {
            return Ok(Next::Done(current));
        }
        let renews = matches!(job, Job::Renew(_));
        let now = Instant::now();
        if let Some(failed) = state.failed.as_ref().filter(|f| !renews && f.until > now) {
            let error = failed.error.clone();
            return Err(match error.is_retryable() {
                // Before that, trying again finds the same.
                true => error.with_retry_after(failed.until - now),
                false => error,
            });
        }
        let flight = state.flight.begin(&start);
        drop(state);
        let (this, lander) = (Arc::clone(self), Arc::clone(self));
        let fetch = async move { this.run(job).await };
        start.start(fetch, move |flight, result| lander.land(flight, result, renews));
        Ok(Next::Wait(flight, true))
    }

    fn land(&self, flight: &Flight<Arc<Token>>, result: &Result<Arc<Token>>, renews: bool) {
        let mut state = self.lock();
        state.flight.end(flight);
        match result {
            Ok(token) => {
                (state.failed, state.renewing) = (None, None);
                if self.check_open().is_ok() {
                    self.current.store(Some(Arc::clone(token)));
                }
            }
            Err(error) if renews => {
                let times = state.renewing.map_or(1, |(_, times)| times.saturating_add(1));
                state.renewing = Some((Instant::now() + backoff(times), times));
                let kind = error.kind().as_str();
                tracing::warn!(error = kind, "the token could not be renewed");
            }
            Err(error) => {
                let lasts = !error.is_retryable();
                let before = state.failed.as_ref().map_or(0, |failed| failed.in_a_row);
                let in_a_row = if lasts { before.saturating_add(1) } else { 0 };
                let until = Instant::now() + backoff(in_a_row.max(1));
                state.failed = Some(Failed { until, in_a_row, error: error.clone() });
            }
        }
        drop(state);
        self.changed.notify_one();
    }

    pub(crate) fn next_number(&self) -> u64 {
        let mut state = self.lock();
        state.number += 1;
        state.number
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// When the last login ended, if there was one.
    pub(crate) fn logged_in(&self) -> Option<Instant> {
        self.lock().logged_in
    }

    pub(crate) fn note_login(&self) {
        self.lock().logged_in = Some(Instant::now());
    }

    /// When the token is to be looked after next.
    fn next(&self) -> Option<Instant> {
        let due = self.current.load().as_ref().and_then(|token| token.lease.due)?;
        let wait = self.lock().renewing.map(|(until, _)| until);
        Some(wait.map_or(due, |wait| wait.max(due)))
    }
}

/// Renews while nobody calls: a token that ended meanwhile could not be had back, if it was given. Holds
/// the session only while it does something.
async fn keep(session: Weak<Session>) {
    while let Some(this) = session.upgrade() {
        let (next, changed) = (this.next(), Arc::clone(&this.changed));
        match next {
            Some(at) if at <= Instant::now() => {
                let Some(token) = this.current.load_full() else { continue };
                // If no task can be had, the runtime is ending.
                let Ok(next) = this.join_or_start(Job::Renew(token)) else { return };
                if let Next::Wait(flight, _) = next {
                    drop(flight.landed().await);
                }
            }
            Some(at) => {
                drop(this);
                // A change may bring the time forward.
                drop(timeout_at(at, changed.notified()).await);
            }
            None => {
                drop(this);
                changed.notified().await;
            }
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if let Some(keeper) = self.lock().keeper.take() {
            keeper.abort();
        }
    }
}

fn backoff(times: u32) -> Duration {
    COOLDOWN.saturating_mul(1 << times.saturating_sub(1).min(6)).min(MAX_COOLDOWN)
}

pub(crate) fn closed() -> Error {
    Error::new(ErrorKind::Closed, "the provider was closed; build another one")
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("address", self.desk.http.address())
            .field("auth", &self.desk.auth)
            .field("token", &self.current.load())
            .finish_non_exhaustive()
    }
}
