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
use secrecy::{ExposeSecret as _, SecretString};
use tokio::{
    sync::Notify,
    task::AbortHandle,
    time::{Instant, sleep_until, timeout_at},
};

use crate::{
    auth::Method,
    login::Desk,
    token::{self, Lease, Token},
};

/// How long it takes at least from one login to the next, and from a failure to the next attempt.
const COOLDOWN: Duration = Duration::from_secs(1);

/// The same for credentials that go on being refused: attempts with them lock accounts.
const MAX_COOLDOWN: Duration = Duration::from_secs(60);

pub(crate) struct Session {
    pub(crate) desk: Desk,
    /// The cluster that keys are named by, if it was asked and not given.
    cluster: Option<String>,
    current: ArcSwapOption<Token>,
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

/// What is to be done about the token.
#[derive(Clone)]
enum Job {
    /// There is none that is good.
    Obtain,
    /// It will end soon.
    Renew(Arc<Token>),
    /// A call with it was refused.
    Doubt(Arc<Token>),
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
        let (flight, _) = self.join_or_start(Job::Obtain)?;
        flight.landed().await
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
            let current = self.current.load_full();
            if let Some(other) = current.filter(|current| current.number != token.number) {
                return Ok(Some(other));
            }
            let (flight, started) = self.join_or_start(Job::Doubt(Arc::clone(token)))?;
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

    /// The flight under way, or a new one, and whether it is that.
    fn join_or_start(self: &Arc<Self>, job: Job) -> Result<(Flight<Arc<Token>>, bool)> {
        let start = Start::prepare()?;
        let mut state = self.lock();
        if let Some(flight) = state.flight.join() {
            return Ok((flight, false));
        }
        let renews = matches!(job, Job::Renew(_));
        if let Some(failed) = state.failed.as_ref().filter(|f| !renews && f.until > Instant::now())
        {
            return Err(failed.error.clone());
        }
        let flight = state.flight.begin(&start);
        drop(state);
        let (this, lander) = (Arc::clone(self), Arc::clone(self));
        let fetch = async move { this.run(job).await };
        start.start(fetch, move |flight, result| lander.land(flight, result, renews));
        Ok((flight, true))
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

    async fn run(&self, job: Job) -> Result<Arc<Token>> {
        let token = match job {
            Job::Obtain => self.obtain().await,
            Job::Renew(token) => self.renew(&token).await,
            Job::Doubt(token) => self.doubt(&token).await,
        }?;
        if self.closed.load(SeqCst) {
            // Nobody else will end it.
            if token.own {
                drop(self.desk.revoke(&token.header).await);
            }
            return Err(closed());
        }
        Ok(Arc::new(token))
    }

    async fn renew(&self, token: &Token) -> Result<Token> {
        let replaceable = self.desk.auth.method.logs_in_again();
        if token.lease.renewable {
            match self.desk.renew(&token.header).await {
                Ok(left) => {
                    let mut lease = Lease::new(left.seconds(), left.renewable, replaceable);
                    let first = token.lease.first.max(lease.first);
                    // At its longest life, a lease grows no more: it is replaced in time.
                    if left.seconds() == 0 || 2 * lease.first >= first || !replaceable {
                        lease.first = first;
                        return Ok(Token { lease, ..token.clone() });
                    }
                }
                // Dead, or without the right to renew itself.
                Err(error) if error.kind() == ErrorKind::Denied && replaceable => {}
                Err(error) => return Err(error),
            }
        }
        self.obtain().await
    }

    /// Finds out whether the token has died or lacks a right, and has another one if it is dead.
    async fn doubt(&self, token: &Token) -> Result<Token> {
        // One that was given is looked at where it is had.
        if !matches!(self.desk.auth.method, Method::Token(_))
            && self.desk.look_up(&token.header).await?.is_some()
        {
            return Ok(token.clone());
        }
        self.obtain().await
    }

    async fn obtain(&self) -> Result<Token> {
        if let Method::Token(_) = &self.desk.auth.method {
            return self.given().await;
        }
        let last = self.lock().logged_in;
        if let Some(last) = last {
            // Whatever is wrong with tokens, logging in is not done in a storm.
            sleep_until(last + COOLDOWN).await;
        }
        self.check_cluster(last.is_none()).await?;
        let secret = self.secret().await?;
        let granted = self.desk.log_in(secret.as_ref()).await?;
        self.lock().logged_in = Some(Instant::now());
        let lease = Lease::new(granted.seconds, granted.renewable, true);
        Ok(Token { header: granted.header, number: self.next_number(), own: true, lease })
    }

    /// The token that was given, or is in its file now.
    async fn given(&self) -> Result<Token> {
        let secret = self.secret().await?;
        let header = token::header(secret.as_ref().map_or("", |s| s.expose_secret()))?;
        let current = self.current.load_full();
        let known = current.filter(|current| current.is(&header));
        let replaceable = self.desk.auth.method.logs_in_again();
        let lease = match (self.desk.look_up(&header).await?, &known) {
            (Some(left), _) => Lease::new(left.seconds(), left.renewable, replaceable),
            // It may lack the right to look at itself. If it is dead, the first call tells.
            (None, None) => Lease::UNKNOWN,
            (None, Some(_)) => return Err(dead(replaceable)),
        };
        let number = known.as_ref().map_or_else(|| self.next_number(), |known| known.number);
        let first = known.map_or(lease.first, |known| known.lease.first.max(lease.first));
        Ok(Token { header, number, own: false, lease: Lease { first, ..lease } })
    }

    /// What is shown to log in.
    async fn secret(&self) -> Result<Option<SecretString>> {
        let Some(secret) = self.desk.auth.method.secret() else { return Ok(None) };
        let unwrap = async |wrapping: SecretString| self.desk.unwrap(&wrapping).await;
        secret.show(unwrap).await.map(Some)
    }

    /// What keys are called by must be what they were called by.
    async fn check_cluster(&self, first: bool) -> Result<()> {
        let Some(cluster) = self.cluster.as_ref().filter(|_| !first) else { return Ok(()) };
        match self.desk.cluster().await? == *cluster {
            true => Ok(()),
            false => Err(Error::new(
                ErrorKind::Unavailable,
                format!(
                    "the server at {} is another cluster than when this provider was built; check \
                     where that address leads",
                    self.desk.http.address()
                ),
            )),
        }
    }

    fn next_number(&self) -> u64 {
        let mut state = self.lock();
        state.number += 1;
        state.number
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
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
                let Ok((flight, _)) = this.join_or_start(Job::Renew(token)) else { return };
                drop(flight.landed().await);
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

fn dead(file: bool) -> Error {
    let message = match file {
        true => {
            "the token has expired or was revoked, and its file has no other one yet (or it lacks this \
             right, and that to look at itself)"
        }
        false => {
            "the token has expired or was revoked; give another one, or an auth method that logs in \
             again (or it lacks this right, and that to look at itself)"
        }
    };
    Error::new(ErrorKind::Denied, message)
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
