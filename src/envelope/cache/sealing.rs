//! Data keys that seal many values, all to the same recipients and under the same key context.

use std::sync::{Arc, Mutex, PoisonError};

use futures_util::future::BoxFuture;
use tokio::time::Instant;

use super::{
    policy::CachePolicy,
    stats::{CacheStats, Event, Tally},
    table::{Keep, Kept, Table},
};
use crate::{
    context::EncryptionContext,
    envelope::wrapping::Fresh,
    error::Result,
    format::{Message, Suite},
};

/// The data keys of one sealer, and so of one suite and one set of recipients, by key context:
/// whoever may open one message of a data key may open them all, and so it serves no others.
#[derive(Debug)]
pub(in crate::envelope) struct SealingCache {
    message: Message,
    policy: CachePolicy,
    leases: Arc<Table<EncryptionContext, Lease>>,
    tally: Tally,
}

/// A data key and what is left of it.
#[derive(Debug)]
pub(in crate::envelope) struct Lease {
    pub(in crate::envelope) fresh: Fresh,
    /// The header that all its messages have, but for their tags.
    pub(in crate::envelope) head: Vec<u8>,
    begun: Instant,
    policy: CachePolicy,
    used: Mutex<Used>,
}

#[derive(Debug, Default)]
struct Used {
    messages: u64,
    bytes: u64,
}

/// What a sealing takes out of a lease, before it is done.
#[derive(Clone, Copy, Debug)]
pub(in crate::envelope) struct Wanted {
    pub(in crate::envelope) messages: u64,
    pub(in crate::envelope) bytes: u64,
}

impl SealingCache {
    /// For values of this suite.
    pub(in crate::envelope) fn new(policy: CachePolicy, suite: Suite) -> Self {
        let message = Message { suite, shared: true, padded: None };
        let leases = Table::new(policy.capacity, Keep::Fetched);
        Self { message, policy, leases, tally: Tally::new("seal") }
    }

    /// Whether a lease can ever hold this much.
    pub(in crate::envelope) fn admits(&self, wanted: Wanted) -> bool {
        wanted.messages <= self.policy.max_messages && wanted.bytes <= self.policy.max_bytes
    }

    /// A data key out of which `wanted` is reserved; `make` has the providers make one.
    pub(in crate::envelope) async fn reserve(
        &self,
        context: &EncryptionContext,
        wanted: Wanted,
        make: impl Fn() -> BoxFuture<'static, Result<Fresh>> + Send + Sync,
    ) -> Result<Arc<Lease>> {
        let Self { message, policy, .. } = *self;
        let begin = || -> BoxFuture<'static, Result<Lease>> {
            let (fresh, stored) = (make(), context.clone());
            Box::pin(async move {
                let fresh = fresh.await?;
                let head = message.write_head(&fresh.recipients, &stored)?;
                Ok(Lease::new(fresh, head, policy))
            })
        };
        let mut waited = false;
        loop {
            let now = Instant::now();
            if let Some(lease) = self.leases.value(context, now) {
                if lease.take(wanted, now) {
                    if !waited {
                        self.tally.add(Event::Hit, wanted.messages);
                    }
                    let due = lease.is_due(now);
                    if due && self.leases.renew(context, policy.renewal_pause(), begin) {
                        self.tally.add(Event::Renewal, 1);
                    }
                    return Ok(lease);
                }
                self.leases.remove(context, &lease);
            }
            if !waited {
                self.tally.add(Event::Miss, wanted.messages);
            }
            waited = true;
            let (flight, _) = self.leases.fetch(context, begin)?;
            let lease = flight.landed().await?;
            if lease.take(wanted, Instant::now()) {
                return Ok(lease);
            }
            // Others who waited as well have used it up.
        }
    }

    pub(in crate::envelope) fn stats(&self) -> CacheStats {
        self.tally.stats(self.leases.len())
    }

    pub(in crate::envelope) fn clear(&self) {
        self.leases.clear();
    }
}

impl Lease {
    fn new(fresh: Fresh, head: Vec<u8>, policy: CachePolicy) -> Self {
        Self { fresh, head, begun: Instant::now(), policy, used: Mutex::default() }
    }

    /// Takes all of `wanted`, or nothing if that is more than is left.
    fn take(&self, wanted: Wanted, now: Instant) -> bool {
        if now >= self.begun + self.policy.max_age {
            return false;
        }
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        let messages = used.messages.saturating_add(wanted.messages);
        let bytes = used.bytes.saturating_add(wanted.bytes);
        if messages > self.policy.max_messages || bytes > self.policy.max_bytes {
            return false;
        }
        *used = Used { messages, bytes };
        true
    }

    /// Whether the next one should be fetched, so that nobody has to wait when this one ends.
    fn is_due(&self, now: Instant) -> bool {
        let age = now.saturating_duration_since(self.begun);
        if !self.fresh.missing.is_empty() && age >= self.policy.repair_age() {
            return true;
        }
        let used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        age >= self.policy.renewal_age()
            || used.messages >= nearly(self.policy.max_messages)
            || used.bytes >= nearly(self.policy.max_bytes)
    }
}

/// Four fifths.
fn nearly(most: u64) -> u64 {
    most - most / 5
}

impl Kept for Lease {
    fn expires(&self) -> Instant {
        self.begun + self.policy.max_age
    }
}
