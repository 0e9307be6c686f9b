//! Data keys that were unwrapped, for values that are read again or share one.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use tokio::time::Instant;

use super::{
    policy::CachePolicy,
    stats::{CacheStats, Event, Tally},
    table::{Kept, Table},
};
use crate::{
    crypto::{Backend, Preferred},
    error::Result,
    format::Header,
    key::DataKey,
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
struct Unwrapped {
    data_key: DataKey,
    begun: Instant,
    policy: CachePolicy,
}

impl Unwrapped {
    fn is_stale(&self) -> bool {
        self.begun.elapsed() >= self.policy.max_age
    }
}

impl Kept for Unwrapped {
    fn expires(&self) -> Instant {
        self.begun + self.policy.max_age + self.policy.stale_reads
    }
}

impl OpeningCache {
    pub(in crate::envelope) fn new(policy: CachePolicy) -> Self {
        Self { policy, keys: Table::new(policy.capacity), tally: Tally::new("open") }
    }

    /// The data key of a message with this header; `unwrap` has the providers unwrap it.
    ///
    /// The caller holds the header against the key, as `Opening::check` does. That is not done
    /// in the call that many may wait for, since the header of one of them may be forged, which is
    /// no reason for the others to fail.
    pub(in crate::envelope) async fn data_key(
        &self,
        header: &Header,
        unwrap: impl FnOnce() -> BoxFuture<'static, Result<DataKey>> + Send,
    ) -> Result<DataKey> {
        let id = Preferred::sha256(&[&header.wraps()]);
        let policy = self.policy;
        let begin = || -> BoxFuture<'static, Result<Unwrapped>> {
            let unwrapped = unwrap();
            Box::pin(async move {
                let data_key = unwrapped.await?;
                Ok(Unwrapped { data_key, begun: Instant::now(), policy })
            })
        };
        let held = self.keys.value(&id);
        if let Some(held) = held.as_ref().filter(|held| !held.is_stale()) {
            self.tally.add(Event::Hit, 1);
            if held.begun.elapsed() >= policy.renewal_age()
                && self.keys.renew(&id, policy.renewal_pause(), begin)
            {
                self.tally.add(Event::Renewal, 1);
            }
            return Ok(held.data_key.share());
        }
        self.tally.add(Event::Miss, 1);
        let unwrapped = self.keys.fetch(&id, begin)?.landed().await;
        match (unwrapped, held) {
            (Ok(unwrapped), _) => Ok(unwrapped.data_key.share()),
            (Err(error), Some(held)) if error.is_retryable() && held.expires() > Instant::now() => {
                self.tally.add(Event::Stale, 1);
                Ok(held.data_key.share())
            }
            (Err(error), _) => Err(error),
        }
    }

    pub(in crate::envelope) fn stats(&self) -> CacheStats {
        self.tally.stats(self.keys.len())
    }

    pub(in crate::envelope) fn clear(&self) {
        self.keys.clear();
    }
}
