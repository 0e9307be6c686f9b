//! JWT-SVIDs from a Workload API, kept.

use std::{
    fmt,
    num::NonZeroUsize,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use bulla::{Error, ErrorKind, Result};
use spiffe::{JwtSvid, SpiffeId, WorkloadApiClient, WorkloadApiError, transport::Endpoint};
use tokio::time::timeout;

use super::error::api_error;
use crate::renewed::{Clock, Ends, Renewal, Renewed};

/// Bytes in the longest token that is kept.
const MAX_TOKEN_LEN: usize = bulla::jwt::DEFAULT_MAX_LEN;

/// Audiences of one token, and bytes of one.
const MAX_AUDIENCES: usize = 16;
const MAX_AUDIENCE_LEN: usize = 2048;

/// JWT-SVIDs of this process, by SPIFFE ID and audiences. Cheap to clone; clones share what is kept.
///
/// The first use of an id and audiences is a call to the Workload API, one for all who want the same; after that they
/// are answered from memory, which takes no call and no wait. A use after half of a token's life begins a call for the
/// next one, for which nobody waits. If that fails, the old one is used until it expires, and the call is made anew
/// after 1 second, then 2, 4, and 30 at most.
#[derive(Clone)]
pub struct JwtSvids(Arc<Shared>);

struct Shared {
    kept: Renewed<Key, JwtSvid>,
    asker: Arc<Asker>,
}

/// Says how JWT-SVIDs are kept.
#[must_use]
pub struct JwtSvidsBuilder {
    endpoint: Endpoint,
    most: NonZeroUsize,
    timeout: Duration,
    clock: Clock,
}

struct Asker {
    endpoint: Endpoint,
    timeout: Duration,
    client: Mutex<Option<WorkloadApiClient>>,
    clock: Clock,
}

/// The id, if one was named, and the audiences, in order.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Key {
    id: Option<SpiffeId>,
    audience: Vec<String>,
}

impl JwtSvids {
    /// A token of the default identity for one audience or several.
    ///
    /// # Errors
    /// [`InvalidInput`](ErrorKind::InvalidInput) for no audience, more than 16, or one of other than 1 to 2,048 bytes;
    /// [`Denied`](ErrorKind::Denied) if this process has no identity; [`Unavailable`](ErrorKind::Unavailable) and
    /// [`Timeout`](ErrorKind::Timeout) if nobody answers and no token is kept that is valid still;
    /// [`Damaged`](ErrorKind::Damaged) for an answer that is no JWT-SVID, or another one than was asked for. Needs tokio.
    pub async fn svid<A>(&self, audience: impl IntoIterator<Item = A>) -> Result<Arc<JwtSvid>>
    where
        A: Into<String>,
    {
        self.get(None, audience.into_iter().take(MAX_AUDIENCES + 1).map(Into::into).collect()).await
    }

    /// The same of an identity that is named, for processes with several.
    ///
    /// # Errors
    /// As for [`svid`](Self::svid).
    pub async fn svid_of<A>(
        &self,
        id: &SpiffeId,
        audience: impl IntoIterator<Item = A>,
    ) -> Result<Arc<JwtSvid>>
    where
        A: Into<String>,
    {
        let audience = audience.into_iter().take(MAX_AUDIENCES + 1).map(Into::into).collect();
        self.get(Some(id.clone()), audience).await
    }

    /// Forgets a token: one that has been refused. The next use asks for another.
    pub fn forget(&self, svid: &Arc<JwtSvid>) {
        self.0.kept.forget_value(svid);
    }

    async fn get(&self, id: Option<SpiffeId>, mut audience: Vec<String>) -> Result<Arc<JwtSvid>> {
        if audience.is_empty() || audience.len() > MAX_AUDIENCES {
            return Err(Error::new(ErrorKind::InvalidInput, "a token has 1 to 16 audiences"));
        }
        if audience.iter().any(|one| one.is_empty() || one.len() > MAX_AUDIENCE_LEN) {
            return Err(Error::new(ErrorKind::InvalidInput, "an audience has 1 to 2,048 bytes"));
        }
        audience.sort_unstable();
        audience.dedup();
        let key = Key { id, audience };
        let asker = Arc::clone(&self.0.asker);
        let wanted = key.clone();
        let fetch = || async move { asker.ask(&wanted).await };
        let kept = self.0.kept.get(&key, Renewal::Behind, fetch).await?;
        Ok(kept.value)
    }
}

impl JwtSvidsBuilder {
    pub(super) fn new(endpoint: Endpoint) -> Self {
        let most = NonZeroUsize::new(256).unwrap_or(NonZeroUsize::MIN);
        let timeout = Duration::from_secs(10);
        Self { endpoint, most, timeout, clock: Arc::new(SystemTime::now) }
    }

    /// Keeps so many, at least 1: 256 otherwise. The least recently used go first.
    pub fn capacity(mut self, most: usize) -> Self {
        self.most = NonZeroUsize::new(most).unwrap_or(NonZeroUsize::MIN);
        self
    }

    /// Waits for so long for an answer, connecting included: 10 seconds otherwise.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Tells the time by this clock.
    #[doc(hidden)]
    pub fn clock(mut self, clock: impl Fn() -> SystemTime + Send + Sync + 'static) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// The tokens. None is fetched yet.
    #[must_use]
    pub fn build(self) -> JwtSvids {
        let Self { endpoint, most, timeout, clock } = self;
        let kept = Renewed::new(most, Arc::clone(&clock));
        let asker = Asker { endpoint, timeout, client: Mutex::default(), clock };
        JwtSvids(Arc::new(Shared { kept, asker: Arc::new(asker) }))
    }
}

impl Asker {
    async fn ask(&self, wanted: &Key) -> Result<JwtSvid> {
        let asked = timeout(self.timeout, self.call(wanted)).await.map_err(|_| {
            self.keep(None);
            Error::new(ErrorKind::Timeout, "the Workload API has not answered in time")
        })?;
        let svid = asked.map_err(api_error)?;
        self.check(wanted, &svid)?;
        Ok(svid)
    }

    async fn call(&self, wanted: &Key) -> Result<JwtSvid, WorkloadApiError> {
        let known = self.client.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(client) = known {
            match client.fetch_jwt_svid(&wanted.audience, wanted.id.as_ref()).await {
                // The agent may have been started anew since.
                Err(WorkloadApiError::Transport(_)) => self.keep(None),
                result => return result,
            }
        }
        let client = WorkloadApiClient::connect(self.endpoint.clone()).await?;
        let svid = client.fetch_jwt_svid(&wanted.audience, wanted.id.as_ref()).await?;
        self.keep(Some(client));
        Ok(svid)
    }

    fn keep(&self, client: Option<WorkloadApiClient>) {
        *self.client.lock().unwrap_or_else(PoisonError::into_inner) = client;
    }

    /// That it is what was asked for: a token for others would be kept, and sent to them.
    fn check(&self, wanted: &Key, svid: &JwtSvid) -> Result<()> {
        let damaged = |why: &'static str| Err(Error::new(ErrorKind::Damaged, why));
        if svid.token().len() > MAX_TOKEN_LEN {
            return damaged("the Workload API's token is over 16 KiB");
        }
        if wanted.id.as_ref().is_some_and(|id| id != svid.spiffe_id()) {
            return damaged("the Workload API's token is of another SPIFFE ID");
        }
        if wanted.audience.iter().any(|one| !svid.audience().contains(one)) {
            return damaged("the Workload API's token is not for all audiences");
        }
        if svid.ends() <= (self.clock)() {
            return damaged("the Workload API's token has expired: is the clock right?");
        }
        Ok(())
    }
}

impl Ends for JwtSvid {
    fn ends(&self) -> SystemTime {
        let seconds = u64::try_from(self.claims().exp()).unwrap_or_default();
        let after = Duration::from_secs(seconds);
        SystemTime::UNIX_EPOCH.checked_add(after).unwrap_or(SystemTime::UNIX_EPOCH)
    }
}

impl fmt::Debug for JwtSvids {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JwtSvids").field("endpoint", &self.0.asker.endpoint).finish_non_exhaustive()
    }
}

impl fmt::Debug for JwtSvidsBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JwtSvidsBuilder")
            .field("endpoint", &self.endpoint)
            .field("most", &self.most)
            .finish_non_exhaustive()
    }
}
