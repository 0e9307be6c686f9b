//! Data keys that were unwrapped, for values that are read again or share one.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use tokio::time::Instant;

use super::{
    policy::CachePolicy,
    stats::{CacheStats, Event, Tally},
    table::{Keep, Kept, Table},
};
use crate::{
    context::EncryptionContext,
    crypto::{Backend, Preferred},
    error::Result,
    format::{Familiar, Header, derive::Schedule},
};

/// The data keys of one opener, and so of one set of providers, by what was unwrapped: the digest
/// of stored context and recipients.
#[derive(Debug)]
pub(in crate::envelope) struct OpeningCache {
    policy: CachePolicy,
    keys: Arc<Table<[u8; 32], Unwrapped>>,
    tally: Tally,
}

#[derive(Debug)]
pub(in crate::envelope) struct Unwrapped {
    pub(in crate::envelope) schedule: Arc<Schedule>,
    /// The context that is stored with the wraps, which a header was held against.
    pub(in crate::envelope) stored: EncryptionContext,
    begun: Instant,
    policy: CachePolicy,
}

impl Unwrapped {
    fn is_stale(&self, now: Instant) -> bool {
        now >= self.begun + self.policy.max_age
    }
}

/// A data key, and whether it is in the cache yet.
pub(in crate::envelope) struct Found {
    pub(in crate::envelope) schedule: Arc<Schedule>,
    new: Option<New>,
}

impl Found {
    /// One that is in no cache and goes into none.
    pub(in crate::envelope) fn once(schedule: Arc<Schedule>) -> Self {
        Self { schedule, new: None }
    }
}

struct New {
    id: [u8; 32],
    unwrapped: Arc<Unwrapped>,
    generation: u64,
}

impl Kept for Unwrapped {
    fn expires(&self) -> Instant {
        self.begun + self.policy.max_age + self.policy.stale_reads
    }
}

impl OpeningCache {
    pub(in crate::envelope) fn new(policy: CachePolicy) -> Self {
        let keys = Table::new(policy.capacity, Keep::Confirmed);
        Self { policy, keys, tally: Tally::new("open") }
    }

    /// The data key of a message with this header; `unwrap` has the providers unwrap it.
    ///
    /// The caller holds the header against the key, as `Opening::check` does, and then lets it be
    /// [kept](Self::keep). That is not done in the call that many may wait for, since the header
    /// of one of them may be forged, which is no reason for the others to fail.
    pub(in crate::envelope) async fn data_key(
        &self,
        header: &Header,
        unwrap: impl FnOnce() -> BoxFuture<'static, Result<Arc<Schedule>>> + Send,
    ) -> Result<Found> {
        let id = Preferred::sha256(&[header.wraps()]);
        let policy = self.policy;
        let begin = || -> BoxFuture<'static, Result<Unwrapped>> {
            let (unwrapped, stored) = (unwrap(), header.stored.clone());
            Box::pin(async move {
                let schedule = unwrapped.await?;
                Ok(Unwrapped { schedule, stored, begun: Instant::now(), policy })
            })
        };
        let now = Instant::now();
        let held = self.keys.value(&id, now);
        if let Some(held) = held.as_ref().filter(|held| !held.is_stale(now)) {
            self.tally.add(Event::Hit, 1);
            if now >= held.begun + policy.renewal_age()
                && self.keys.renew(&id, policy.renewal_pause(), begin)
            {
                self.tally.add(Event::Renewal, 1);
            }
            return Ok(Found { schedule: Arc::clone(&held.schedule), new: None });
        }
        self.tally.add(Event::Miss, 1);
        let (flight, generation) = self.keys.fetch(&id, begin)?;
        match (flight.landed().await, held) {
            (Ok(unwrapped), _) => Ok(Found {
                schedule: Arc::clone(&unwrapped.schedule),
                new: Some(New { id, unwrapped, generation }),
            }),
            (Err(error), Some(held)) if error.is_retryable() && held.expires() > Instant::now() => {
                self.tally.add(Event::Stale, 1);
                Ok(Found { schedule: Arc::clone(&held.schedule), new: None })
            }
            (Err(error), _) => Err(error),
        }
    }

    /// The data key of a value whose header need not be parsed for it: one that is kept, and not due
    /// for renewal. Anything else is for [`data_key`](Self::data_key).
    pub(in crate::envelope) fn familiar(&self, value: &Familiar<'_>) -> Option<Arc<Unwrapped>> {
        let now = Instant::now();
        let held = self.keys.value(&Preferred::sha256(&[value.wraps()]), now)?;
        if now >= held.begun + self.policy.renewal_age() {
            return None;
        }
        self.tally.add(Event::Hit, 1);
        Some(held)
    }

    /// Keeps a data key that a header was held against. Before that, whoever can change a header
    /// could fill the cache, and so empty it of what others use.
    pub(in crate::envelope) fn keep(&self, found: Found) {
        if let Some(New { id, unwrapped, generation }) = found.new {
            self.keys.keep(&id, &unwrapped, generation);
        }
    }

    pub(in crate::envelope) fn stats(&self) -> CacheStats {
        self.tally.stats(self.keys.len())
    }

    pub(in crate::envelope) fn clear(&self) {
        self.keys.clear();
    }
}
