//! Timeouts, retries and a circuit breaker around any provider.
//!
//! [`Resilient`] wraps a provider and is one itself. A call goes through, outside in: the breaker,
//! which refuses it at once while the provider is known to be down; the deadline of the whole call;
//! the retries; the timeout of one attempt. So a timeout counts as a failure of the provider, and a
//! caller who gives up does not.
//!
//! ```
//! # fn wrap(kms: std::sync::Arc<dyn bulla::CryptoProvider>) -> bulla::Result<()> {
//! use std::time::Duration;
//! use bulla::resilience::{Policy, Resilient};
//!
//! let policy = Policy::builder().deadline(Duration::from_secs(8)).max_attempts(3).build()?;
//! let kms = Resilient::new(kms, policy);
//! # Ok(())
//! # }
//! ```
//!
//! # What is tried again
//!
//! `Throttled`, `Unavailable` and `Timeout`, and nothing else. Every operation may be: none changes
//! a key, so a call of which only the answer was lost did no harm. Its second run makes another
//! data key, wrap or signature, as good as the first, and may cost another fee and another line in
//! the provider's audit log.
//!
//! # Several regions
//!
//! [`Failover`] puts several providers that hold the same keys behind one: what one of them can't
//! serve, the next one does.
//!
//! # Runtime
//!
//! Timers are tokio's: a call that is not ready at its first poll must run in a runtime with
//! `enable_time`, or tokio panics. One that is ready needs no timer. Timers tick in milliseconds,
//! and a call ends at the first poll after its deadline.

mod breaker;
mod budget;
mod call;
mod failover;
mod observe;
mod policy;
mod provider;
#[cfg(test)]
mod tests;

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

pub use breaker::BreakerState;
pub use failover::Failover;
pub use policy::{Policy, PolicyBuilder};

use self::{breaker::Breaker, budget::Budget, call::Tries, observe::Telemetry};
use crate::{
    error::{Operation, Result},
    key::KeyName,
    provider::{CryptoProvider, Disabled},
};

/// A provider with timeouts, retries and a circuit breaker around it.
///
/// Wrap a provider once and share the wrapper: breaker and retry budget are the wrapper's own.
///
/// * A call fails with [`Timeout`](crate::ErrorKind::Timeout) after the policy's deadline at the
///   latest, and with [`CircuitOpen`](crate::ErrorKind::CircuitOpen), without asking the provider,
///   while the breaker is open. [`Error::retry_after`](crate::Error::retry_after) then says when
///   the provider is tried again, and the error's source is the failure that opened the breaker.
/// * `health` is one attempt. It counts for the breaker like any other call, and is refused like
///   any other.
/// * `describe_keys` fails as a whole if no key could be described. While the provider can't be
///   asked, the list has the keys of its last answer, or before that the sealing key, with the
///   error for each.
/// * `close` is not held up by the breaker and not retried. From then on every call fails with
///   [`Closed`](crate::ErrorKind::Closed).
/// * What needs no I/O passes straight to the provider, except `availability`, which the breaker
///   can make worse.
pub struct Resilient {
    inner: Arc<dyn CryptoProvider>,
    label: Arc<str>,
    policy: Policy,
    /// Never held across an await.
    core: Mutex<Core>,
    /// The names in the last answer to `describe_keys`.
    known: Mutex<Vec<KeyName>>,
    telemetry: Telemetry,
}

struct Core {
    breaker: Breaker,
    budget: Budget,
    jitter: fastrand::Rng,
    counters: Counters,
    closed: bool,
}

/// What happened since the wrapper was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counters {
    /// Calls made, refused ones included.
    pub calls: u64,
    /// Times that the provider was asked.
    pub attempts: u64,
    /// Of those, all but the first of each call.
    pub retries: u64,
    /// Retries not made because the budget was spent.
    pub over_budget: u64,
    /// Attempts that took too long.
    pub timeouts: u64,
    /// Calls that the breaker refused.
    pub refused: u64,
    /// Times that the breaker opened, after a failed probe too.
    pub opens: u64,
    /// Calls let through to find out whether the provider is back.
    pub probes: u64,
}

/// A [`Resilient`] at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Snapshot {
    /// The breaker's state.
    pub state: BreakerState,
    /// Calls in a row that failed.
    pub consecutive_failures: u32,
    /// Since when the breaker has not been closed.
    pub opened_since: Option<Instant>,
    /// How long until a call is let through again; `None` while the breaker is closed.
    pub next_try: Option<Duration>,
    /// What happened so far.
    pub counters: Counters,
}

impl Resilient {
    /// Wraps `provider`.
    #[must_use]
    pub fn new(provider: Arc<dyn CryptoProvider>, policy: Policy) -> Self {
        let label = provider.label().into();
        let mut new = Self::around_nothing(label, policy);
        new.put(provider);
        new
    }

    /// Connects to a provider under the policy, and wraps it. `connect` may be called as often as the policy
    /// says; `label` is the name in errors, logs and metrics.
    ///
    /// ```
    /// # async fn connect() -> bulla::Result<bulla::SharedProvider> {
    /// #     Ok(std::sync::Arc::new(bulla::provider::Disabled))
    /// # }
    /// # async fn wrap() -> bulla::Result<()> {
    /// use bulla::resilience::{Policy, Resilient};
    ///
    /// let kms = Resilient::connect("primary", Policy::default(), || connect()).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Timeout`](crate::ErrorKind::Timeout) after the deadline at the latest; otherwise the last
    /// error of `connect`.
    pub async fn connect<F>(
        label: impl Into<Arc<str>>,
        policy: Policy,
        connect: impl Fn() -> F + Send + Sync,
    ) -> Result<Self>
    where
        F: Future<Output = Result<Arc<dyn CryptoProvider>>> + Send,
    {
        let mut new = Self::around_nothing(label.into(), policy);
        let provider = new.run(Operation::Build, Tries::Policy, || Box::pin(connect())).await?;
        new.put(provider);
        Ok(new)
    }

    fn put(&mut self, provider: Arc<dyn CryptoProvider>) {
        self.known = Mutex::new(provider.sealing_key().cloned().into_iter().collect());
        self.inner = provider;
    }

    fn around_nothing(label: Arc<str>, policy: Policy) -> Self {
        let seed = policy.seed.or_else(|| getrandom::u64().ok());
        let core = Core {
            breaker: Breaker::new(&policy),
            budget: Budget::new(policy.retry_percent, policy.retry_reserve),
            jitter: seed.map_or_else(fastrand::Rng::new, fastrand::Rng::with_seed),
            counters: Counters::default(),
            closed: false,
        };
        Self {
            telemetry: Telemetry::new(Arc::clone(&label)),
            label,
            known: Mutex::default(),
            inner: Arc::new(Disabled),
            policy,
            core: Mutex::new(core),
        }
    }

    /// The breaker's state and the counters, now.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        let now = Instant::now();
        let Core { breaker, counters, .. } = &*self.core();
        Snapshot {
            state: breaker.state(now),
            consecutive_failures: breaker.failures(),
            opened_since: breaker.opened_since(),
            next_try: breaker.next_try(now),
            counters: Counters { opens: breaker.opens, probes: breaker.probes, ..*counters },
        }
    }

    fn core(&self) -> MutexGuard<'_, Core> {
        lock(&self.core)
    }
}

impl fmt::Debug for Resilient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Resilient")
            .field("provider", &self.inner)
            .field("policy", &self.policy)
            .field("snapshot", &self.snapshot())
            .finish()
    }
}

/// Nothing panics under these locks; if it did, what they guard would still be whole.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
