//! The circuit breaker: a state machine without I/O, told the time.
//!
//! `failsafe`'s policy counts and decides when to open and for how long. The states are our own,
//! since `failsafe`'s half-open lets every caller through; see ARCHITECTURE.md.

use std::{fmt, time::Duration};

use failsafe::{
    FailurePolicy,
    backoff::{Constant, constant},
    failure_policy::{ConsecutiveFailures, consecutive_failures},
};
use tokio::time::Instant;

use super::policy::Policy;
use crate::error::{Error, ErrorKind};

/// What a finished call says about the dependency.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It did what was asked.
    Up,
    /// It could not be reached or could not serve.
    Down,
    /// It answered, with an error that is the caller's or the key's affair.
    Answered,
    /// It was not asked, or nobody waited for the answer.
    Unknown,
}

impl Verdict {
    pub(super) const fn of(kind: ErrorKind) -> Self {
        match kind {
            ErrorKind::Unavailable | ErrorKind::Timeout | ErrorKind::Throttled => Self::Down,
            ErrorKind::NotAuthentic
            | ErrorKind::InvalidInput
            | ErrorKind::Unsupported
            | ErrorKind::NotFound
            | ErrorKind::AlreadyExists
            | ErrorKind::Denied
            | ErrorKind::Disabled
            | ErrorKind::PendingDeletion
            | ErrorKind::Destroyed
            | ErrorKind::Damaged
            | ErrorKind::QuotaExceeded
            | ErrorKind::Internal => Self::Answered,
            // Found before the network, or said by another breaker further in.
            ErrorKind::Malformed
            | ErrorKind::ContextMismatch
            | ErrorKind::NoRecipient
            | ErrorKind::CircuitOpen
            | ErrorKind::Closed
            | ErrorKind::InvalidToken
            | ErrorKind::Io => Self::Unknown,
        }
    }
}

/// The state of a breaker, as others see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BreakerState {
    /// Calls pass.
    Closed,
    /// Calls are refused without asking the provider.
    Open,
    /// The time is up: one call is or will be let through, the others are refused.
    HalfOpen,
}

impl BreakerState {
    /// A stable lower-case name, fit for a metrics label.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::HalfOpen => "half-open",
        }
    }
}

impl fmt::Display for BreakerState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Leave to make one call. Stands for a stretch between two changes of state: what comes back
/// after the next change is not counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pass {
    epoch: u64,
    /// Whether this is the one call that finds out if the dependency is back.
    pub(super) probe: bool,
}

/// Why a call was refused.
#[derive(Clone, Debug)]
pub(super) struct Refusal {
    pub(super) open: Duration,
    /// When asking again may help, at the earliest.
    pub(super) retry_after: Duration,
    pub(super) failures: u32,
    pub(super) probing: bool,
    /// What failed last.
    pub(super) cause: Option<Error>,
}

#[derive(Debug)]
enum State {
    Closed,
    /// From `until` on, the next call is the probe.
    Open {
        until: Instant,
    },
    /// A probe is out. It is expected back at `due`; at `lost` its place is given to another, since
    /// then nobody polls it any more.
    Probing {
        due: Instant,
        lost: Instant,
    },
}

#[derive(Debug)]
pub(super) struct Breaker {
    state: State,
    counter: ConsecutiveFailures<Constant>,
    epoch: u64,
    /// The same count as `counter`'s, which tells nobody.
    failures: u32,
    /// When it left `Closed`, and what failed last.
    opened: Option<(Instant, Option<Error>)>,
    attempt_timeout: Duration,
    cool_down: Duration,
    pub(super) opens: u64,
    pub(super) probes: u64,
}

impl Breaker {
    pub(super) fn new(policy: &Policy) -> Self {
        Self {
            state: State::Closed,
            counter: consecutive_failures(policy.breaker_threshold, constant(policy.cool_down)),
            epoch: 0,
            failures: 0,
            opened: None,
            attempt_timeout: policy.attempt_timeout,
            cool_down: policy.cool_down,
            opens: 0,
            probes: 0,
        }
    }

    /// Lets a call through, or says why not.
    pub(super) fn admit(&mut self, now: Instant) -> Result<Pass, Refusal> {
        let (retry_after, probing) = match self.state {
            State::Closed => return Ok(Pass { epoch: self.epoch, probe: false }),
            State::Open { until } if now < until => (until - now, false),
            State::Probing { due, lost } if now < lost => {
                (due.saturating_duration_since(now), true)
            }
            State::Open { .. } | State::Probing { .. } => return Ok(self.probe(now)),
        };
        Err(Refusal {
            open: self.opened.as_ref().map_or(Duration::ZERO, |(since, _)| now - *since),
            retry_after,
            failures: self.failures,
            probing,
            cause: self.opened.as_ref().and_then(|(_, cause)| cause.clone()),
        })
    }

    fn probe(&mut self, now: Instant) -> Pass {
        let due = now + self.attempt_timeout;
        self.change(State::Probing { due, lost: due + self.attempt_timeout });
        self.probes += 1;
        Pass { epoch: self.epoch, probe: true }
    }

    /// Whether the state is still the one that `pass` was given in.
    pub(super) fn is_current(&self, pass: Pass) -> bool {
        pass.epoch == self.epoch
    }

    /// Records how a call ended. `error` is what it failed with.
    pub(super) fn record(&mut self, pass: Pass, verdict: Verdict, error: Option<&Error>) {
        if !self.is_current(pass) {
            return;
        }
        match (&self.state, verdict) {
            (State::Closed, Verdict::Up) => {
                self.failures = 0;
                self.counter.record_success();
            }
            (State::Closed | State::Probing { .. }, Verdict::Down) => self.fail(error),
            (State::Probing { .. }, Verdict::Up | Verdict::Answered) => {
                self.failures = 0;
                self.counter.revived();
                self.opened = None;
                self.change(State::Closed);
            }
            (State::Probing { .. }, Verdict::Unknown) => {
                self.change(State::Open { until: Instant::now() })
            }
            (State::Closed, Verdict::Answered | Verdict::Unknown) | (State::Open { .. }, _) => {}
        }
    }

    fn fail(&mut self, error: Option<&Error>) {
        self.failures = self.failures.saturating_add(1);
        let probing = matches!(self.state, State::Probing { .. });
        let cool_down = self.counter.mark_dead_on_failure().or(probing.then_some(self.cool_down));
        if let Some(cool_down) = cool_down {
            let now = Instant::now();
            let since = self.opened.take().map_or(now, |(since, _)| since);
            self.opened = Some((since, error.cloned()));
            self.opens += 1;
            self.change(State::Open { until: now + cool_down });
        }
    }

    fn change(&mut self, state: State) {
        self.epoch += 1;
        self.state = state;
    }

    pub(super) fn state(&self, now: Instant) -> BreakerState {
        match self.state {
            State::Closed => BreakerState::Closed,
            State::Open { until } if now < until => BreakerState::Open,
            State::Open { .. } | State::Probing { .. } => BreakerState::HalfOpen,
        }
    }

    /// Calls in a row that failed.
    pub(super) fn failures(&self) -> u32 {
        self.failures
    }

    /// When the breaker left `Closed`, if it has not come back.
    pub(super) fn opened_since(&self) -> Option<Instant> {
        self.opened.as_ref().map(|(since, _)| *since)
    }

    /// How long until a call is let through.
    pub(super) fn next_try(&self, now: Instant) -> Option<Duration> {
        match self.state {
            State::Closed => None,
            State::Open { until: at } | State::Probing { due: at, .. } => {
                Some(at.saturating_duration_since(now))
            }
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { open, retry_after, failures, probing, .. } = self;
        let (open, wait) = (open.as_secs_f64(), retry_after.as_secs_f64());
        write!(f, "not asked: {failures} calls in a row failed; open for {open:.1} s, ")?;
        if *probing {
            write!(f, "one call is finding out now, for at most {wait:.1} s")
        } else {
            write!(f, "tried again in {wait:.1} s")
        }
    }
}
