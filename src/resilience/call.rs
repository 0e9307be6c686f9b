//! One call: past the breaker, under the deadline, attempt after attempt.

use std::{future::poll_fn, pin::Pin, sync::Arc, task::Poll, time::Duration};

use tokio::{
    task::unconstrained,
    time::{Instant, sleep, sleep_until},
};

use super::{
    Resilient,
    breaker::{Pass, Verdict},
};
use crate::error::{Error, ErrorKind, Operation, Result};

/// A call to the wrapped provider.
pub(super) type Attempt<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// How often a call may be tried.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Tries {
    /// Once, under the timeout of one attempt.
    One,
    /// As often as the policy says, under its deadline.
    Policy,
}

impl Resilient {
    /// Makes a call through all layers.
    pub(super) async fn run<'a, T>(
        &'a self,
        operation: Operation,
        tries: Tries,
        call: impl Fn() -> Attempt<'a, Result<T>> + Send,
    ) -> Result<T> {
        let start = Instant::now();
        let permit = self.admit(operation, tries, start)?;
        let (most, deadline) = match tries {
            Tries::One => (1, start + self.policy.attempt_timeout),
            Tries::Policy if permit.pass.probe => (1, start + self.policy.attempt_timeout),
            Tries::Policy => (self.policy.max_attempts, start + self.policy.deadline),
        };
        let (mut attempt, mut now) = (1, start);
        loop {
            let by = deadline.min(now + self.policy.attempt_timeout);
            let error = match within(by, call()).await {
                Some(Ok(value)) => {
                    permit.settle(Verdict::Up, None);
                    return Ok(value);
                }
                Some(Err(error)) => error,
                None => self.timed_out(operation, attempt, start),
            };
            let verdict = Verdict::of(error.kind());
            // Only availability is worth a second try, and `CircuitOpen` of a breaker further in
            // is not.
            let wait = (verdict == Verdict::Down && attempt < most)
                .then(|| self.plan_retry(permit.pass, attempt, &error, deadline))
                .flatten();
            let retry = match wait {
                Some(wait) => {
                    Box::pin(sleep(wait)).await;
                    now = Instant::now();
                    now < deadline && self.start_retry(permit.pass)
                }
                None => false,
            };
            if !retry {
                permit.settle(verdict, Some(&error));
                return Err(error);
            }
            attempt += 1;
        }
    }

    /// Gives any future the time of one attempt, past breaker and counters.
    pub(super) async fn ungated<T>(
        &self,
        operation: Operation,
        call: Attempt<'_, Result<T>>,
    ) -> Result<T> {
        let start = Instant::now();
        let answer = within(start + self.policy.attempt_timeout, call).await;
        answer.unwrap_or_else(|| Err(self.timed_out(operation, 1, start)))
    }

    fn admit(&self, operation: Operation, tries: Tries, now: Instant) -> Result<Permit<'_>> {
        let mut core = self.core();
        core.counters.calls += 1;
        if core.closed {
            drop(core);
            return Err(self.error(
                ErrorKind::Closed,
                operation,
                "the provider was closed before this call".to_owned(),
            ));
        }
        let refusal = match core.breaker.admit(now) {
            Ok(pass) => {
                core.counters.attempts += 1;
                if tries == Tries::Policy {
                    core.budget.deposit();
                }
                return Ok(Permit { owner: self, pass, settled: false });
            }
            Err(refusal) => refusal,
        };
        core.counters.refused += 1;
        drop(core);
        let error = self
            .error(ErrorKind::CircuitOpen, operation, refusal.to_string())
            .with_retry_after(refusal.retry_after);
        Err(match refusal.cause {
            Some(cause) => error.with_source(cause),
            None => error,
        })
    }

    /// How long to wait before the next attempt; `None` if there is to be none.
    fn plan_retry(
        &self,
        pass: Pass,
        attempt: u32,
        error: &Error,
        deadline: Instant,
    ) -> Option<Duration> {
        let left = deadline.saturating_duration_since(Instant::now());
        let at_least = error.retry_after().unwrap_or(Duration::ZERO);
        if at_least >= left {
            return None;
        }
        let most = self.policy.backoff_base.saturating_mul(1 << (attempt - 1));
        let most = most.min(self.policy.backoff_cap);
        let mut core = self.core();
        if !core.breaker.is_current(pass) {
            return None;
        }
        // On top of what the provider asked for, or everybody would come back at that moment.
        let wait = at_least + draw(&mut core.jitter, most);
        if wait >= left {
            return None;
        }
        if !core.budget.withdraw() {
            core.counters.over_budget += 1;
            return None;
        }
        Some(wait)
    }

    /// Counts another attempt, unless the breaker changed its state during the wait.
    fn start_retry(&self, pass: Pass) -> bool {
        let mut core = self.core();
        let go = core.breaker.is_current(pass);
        if go {
            core.counters.attempts += 1;
            core.counters.retries += 1;
        }
        go
    }

    fn timed_out(&self, operation: Operation, attempt: u32, start: Instant) -> Error {
        self.core().counters.timeouts += 1;
        let after = start.elapsed().as_secs_f64();
        self.error(
            ErrorKind::Timeout,
            operation,
            format!("no answer to attempt {attempt}; gave up {after:.1} s after the call began"),
        )
    }

    fn error(&self, kind: ErrorKind, operation: Operation, message: String) -> Error {
        Error::new(kind, message).with_provider(Arc::clone(&self.label)).with_operation(operation)
    }
}

/// Leave to make one call. Dropped unsettled, because its future was dropped or panicked, it says
/// nothing about the provider, and gives the place of the probe back.
struct Permit<'a> {
    owner: &'a Resilient,
    pass: Pass,
    settled: bool,
}

impl Permit<'_> {
    fn settle(mut self, verdict: Verdict, error: Option<&Error>) {
        self.settled = true;
        self.record(verdict, error);
    }

    fn record(&self, verdict: Verdict, error: Option<&Error>) {
        self.owner.core().breaker.record(self.pass, verdict, error);
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        if !self.settled && self.pass.probe {
            self.record(Verdict::Unknown, None);
        }
    }
}

/// Awaits `call` until `by`. A call that is ready at once needs no timer.
async fn within<T>(by: Instant, mut call: Attempt<'_, T>) -> Option<T> {
    let mut timer = None;
    poll_fn(move |cx| {
        if let Poll::Ready(value) = call.as_mut().poll(cx) {
            return Poll::Ready(Some(value));
        }
        // A call that uses up tokio's budget for this poll must not hide that its time is up.
        let timer = timer.get_or_insert_with(|| Box::pin(unconstrained(sleep_until(by))));
        timer.as_mut().poll(cx).map(|()| None)
    })
    .await
}

/// Evenly from zero to `most`.
fn draw(jitter: &mut fastrand::Rng, most: Duration) -> Duration {
    // A policy's durations are at most a day.
    let nanos = u64::try_from(most.as_nanos()).unwrap_or(u64::MAX);
    Duration::from_nanos(jitter.u64(0..=nanos))
}
