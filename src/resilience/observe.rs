//! What a call tells the outside: one span and a few numbers. ARCHITECTURE.md, "Observability", has
//! the table.
//!
//! Names and labels are bounded: the provider's label comes from configuration, operations and
//! outcomes are fixed sets. No key material, no plaintext, no context gets here.

use std::sync::{
    Arc, OnceLock,
    atomic::{AtomicU8, Ordering::Relaxed},
};

use metrics::{Counter, Gauge, Histogram};
use tokio::time::Instant;
use tracing::Span;

use super::BreakerState;
use crate::error::{ErrorKind, Operation, Result};

/// How a call ended: well, dropped by its caller, or in one of the kinds of error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Done,
    Dropped,
    Failed(ErrorKind),
}

impl Outcome {
    /// A stable lower-case name: the label of the metric and the field of the span.
    fn as_str(self) -> &'static str {
        match self {
            Self::Done => "ok",
            Self::Dropped => "dropped",
            Self::Failed(kind) => kind.as_str(),
        }
    }

    fn index(self) -> usize {
        match self {
            Self::Done => 0,
            Self::Dropped => 1,
            Self::Failed(kind) => 2 + kind as usize,
        }
    }
}

/// Metric handles of one provider. Made on first use and kept: a recorder must be installed before.
pub(super) struct Telemetry {
    provider: Arc<str>,
    operations: [OnceLock<OfOperation>; Operation::COUNT],
    breaker: OnceLock<Gauge>,
    /// The state that the gauge shows; more than any state before the first.
    shown: AtomicU8,
}

struct OfOperation {
    seconds: Histogram,
    retries: Counter,
    outcomes: [OnceLock<Counter>; 2 + ErrorKind::COUNT],
}

impl Telemetry {
    pub(super) fn new(provider: Arc<str>) -> Self {
        Self {
            provider,
            operations: std::array::from_fn(|_| OnceLock::new()),
            breaker: OnceLock::new(),
            shown: AtomicU8::new(u8::MAX),
        }
    }

    /// The span around a call; its outcome and attempts are filled in when it ends.
    fn span(&self, operation: Operation) -> Span {
        tracing::debug_span!(
            "bulla.call",
            provider = &*self.provider,
            operation = operation.as_str(),
            outcome = tracing::field::Empty,
            attempts = tracing::field::Empty,
        )
    }

    /// A call begins.
    pub(super) fn begin(&self, operation: Operation) -> Observed<'_> {
        Observed {
            telemetry: self,
            operation,
            begun: Instant::now(),
            span: self.span(operation),
            attempts: 0,
            outcome: Outcome::Dropped,
        }
    }

    fn ended(&self, call: &Observed<'_>) {
        let &Observed { operation, outcome, attempts, .. } = call;
        call.span.record("outcome", outcome.as_str());
        call.span.record("attempts", attempts);
        let Some(cell) = self.operations.get(operation as usize) else { return };
        let of = cell.get_or_init(|| OfOperation::new(&self.provider, operation));
        of.seconds.record(call.begun.elapsed().as_secs_f64());
        if attempts > 1 {
            of.retries.increment(u64::from(attempts - 1));
        }
        let Some(cell) = of.outcomes.get(outcome.index()) else { return };
        cell.get_or_init(|| {
            metrics::counter!(
                "bulla_calls_total",
                "provider" => Arc::clone(&self.provider),
                "operation" => operation.as_str(),
                "outcome" => outcome.as_str(),
            )
        })
        .increment(1);
    }

    /// Shows the breaker's state, and says so when it changed.
    pub(super) fn breaker(&self, state: BreakerState) {
        let (value, name) = match state {
            BreakerState::Closed => (0, "closed"),
            BreakerState::HalfOpen => (1, "half-open"),
            BreakerState::Open => (2, "open"),
        };
        let before = self.shown.swap(value, Relaxed);
        if before == value {
            return;
        }
        let gauge = self.breaker.get_or_init(
            || metrics::gauge!("bulla_breaker_state", "provider" => Arc::clone(&self.provider)),
        );
        gauge.set(f64::from(value));
        if before == u8::MAX && value == 0 {
            return; // the first call, and all is well
        }
        let provider = &*self.provider;
        match state {
            BreakerState::Closed => tracing::info!(provider, state = name, "circuit breaker"),
            _ => tracing::warn!(provider, state = name, "circuit breaker"),
        }
    }
}

/// A call under way. It is counted when it is dropped, and unless somebody said how it ended, as
/// dropped by its caller.
pub(super) struct Observed<'a> {
    telemetry: &'a Telemetry,
    operation: Operation,
    begun: Instant,
    pub(super) span: Span,
    pub(super) attempts: u32,
    outcome: Outcome,
}

impl Observed<'_> {
    pub(super) fn end<T>(mut self, result: &Result<T>) {
        self.outcome = match result {
            Ok(_) => Outcome::Done,
            Err(error) => Outcome::Failed(error.kind()),
        };
    }
}

impl Drop for Observed<'_> {
    fn drop(&mut self) {
        self.telemetry.ended(self);
    }
}

impl OfOperation {
    fn new(provider: &Arc<str>, operation: Operation) -> Self {
        Self {
            seconds: metrics::histogram!(
                "bulla_call_seconds",
                "provider" => Arc::clone(provider),
                "operation" => operation.as_str(),
            ),
            retries: metrics::counter!(
                "bulla_retries_total",
                "provider" => Arc::clone(provider),
                "operation" => operation.as_str(),
            ),
            outcomes: std::array::from_fn(|_| OnceLock::new()),
        }
    }
}
