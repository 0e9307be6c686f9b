//! Opening: any one recipient, and then no byte before it is authenticated.

use std::{ops::Deref, pin::pin, sync::Arc};

use futures_util::{
    StreamExt,
    future::{BoxFuture, Either, select},
    stream::FuturesUnordered,
};

use super::{
    cache::{CachePolicy, CacheStats, Found, OpeningCache},
    hedge::{Hedge, Hedging},
};
use crate::{
    context::{Context, EncryptionContext},
    error::{Error, ErrorKind, Operation, Result},
    format::{Familiar, Header, Opening, Preamble, derive::Schedule},
    key::{DataKey, Plaintext, Wrapped},
    provider::{CryptoProvider, DataKeys as _},
};

/// Opens what was sealed to any of the keys that its providers may open with.
///
/// Where several providers can open, the more available one is asked first; one that fails is
/// passed over for the next. A data key that does not match the header ends it: then somebody
/// tampered, and no other recipient is tried.
#[derive(Clone, Debug)]
pub struct Opener<P> {
    providers: Arc<[P]>,
    hedging: Option<Arc<Hedging>>,
    cache: Option<Cache<P>>,
}

#[derive(Clone, Debug)]
struct Cache<P> {
    keys: Arc<OpeningCache>,
    unwrap: Unwrap<P>,
}

impl<P> Opener<P>
where
    P: Deref<Target: CryptoProvider> + Send + Sync,
{
    /// An opener over these providers, without a cache or hedging.
    #[must_use]
    pub fn new(providers: impl IntoIterator<Item = P>) -> Self {
        Self { providers: providers.into_iter().collect(), hedging: None, cache: None }
    }

    /// An opener to choose the providers and settings of.
    #[must_use]
    pub fn builder() -> OpenerBuilder<P> {
        OpenerBuilder { providers: Vec::new(), hedge: None, cache: None }
    }

    /// Opens a value: all of it or nothing.
    ///
    /// `context` must hold exactly the pairs that were sealed under, of both kinds. At most one
    /// `unwrap_data_key` succeeds; a context that contradicts the stored one costs none.
    ///
    /// # Errors
    /// [`NotAuthentic`](ErrorKind::NotAuthentic), one text for whatever is altered, cut, extended,
    /// or sealed with another key or item context;
    /// [`ContextMismatch`](ErrorKind::ContextMismatch) if a stored pair is not in `context`, or if only
    /// one of the two says that the plaintext was [transformed](crate::format::Transform);
    /// [`NoRecipient`](ErrorKind::NoRecipient) if no provider has any of the keys;
    /// [`Malformed`](ErrorKind::Malformed) or [`Unsupported`](ErrorKind::Unsupported) if this is
    /// no sealed data of a known version; otherwise what the providers said.
    pub async fn open(&self, sealed: &[u8], context: &Context) -> Result<Plaintext> {
        if let Some(opened) = self.open_familiar(sealed, context) {
            return opened;
        }
        let (preamble, chunks) = Preamble::split(sealed)?;
        self.begin(preamble, context).await?.open_value(chunks)
    }

    /// Opens a value under **whatever context its own header claims**, plus the `unstored` pairs,
    /// and returns the pairs that were stored.
    ///
    /// # Security
    /// This gives up what the key context is for: a sealed value moved from one tenant's row to
    /// another's opens here. Look at the pairs before you use the plaintext.
    ///
    /// # Errors
    /// As for [`open`](Self::open); [`Unsupported`](ErrorKind::Unsupported) for a plaintext that was
    /// [transformed](crate::format::Transform) before it was sealed: whoever takes any context would take
    /// compressed bytes for the plaintext.
    pub async fn open_with_stored_context(
        &self,
        sealed: &[u8],
        unstored: &EncryptionContext,
    ) -> Result<(Plaintext, EncryptionContext)> {
        let (preamble, chunks) = Preamble::split(sealed)?;
        let opened = self.begin_with_stored_context(preamble, unstored).await?;
        let stored = opened.header().stored_context().clone();
        Ok((opened.open_value(chunks)?, stored))
    }

    /// Opens the preamble of a message: everything that needs the KMS is done when this returns, and
    /// header, context and commitment are checked.
    ///
    /// # Errors
    /// As for [`open`](Self::open).
    pub async fn begin(&self, preamble: Preamble, context: &Context) -> Result<Opening> {
        context.covers(&preamble.header.stored)?;
        self.begin_under(preamble, context.all()).await
    }

    /// Opens the preamble of a message under whatever context it claims, plus the `unstored` pairs.
    ///
    /// # Security
    /// As for [`open_with_stored_context`](Self::open_with_stored_context).
    ///
    /// # Errors
    /// As for [`open_with_stored_context`](Self::open_with_stored_context).
    pub async fn begin_with_stored_context(
        &self,
        preamble: Preamble,
        unstored: &EncryptionContext,
    ) -> Result<Opening> {
        preamble.header.stored.refuse_transform()?;
        let all = preamble.header.stored.union(unstored)?;
        self.begin_under(preamble, &all).await
    }

    /// What the cache of data keys has done, if there is one.
    #[must_use]
    pub fn cache_stats(&self) -> Option<CacheStats> {
        self.cache.as_ref().map(|cache| cache.keys.stats())
    }

    /// Drops all cached data keys, as after a permission was taken away.
    pub fn clear_cache(&self) {
        if let Some(cache) = &self.cache {
            cache.keys.clear();
        }
    }

    /// Opens a value whose data key is in the cache, if it is: the answer is the one that the long
    /// way has.
    fn open_familiar(&self, sealed: &[u8], context: &Context) -> Option<Result<Plaintext>> {
        let cache = self.cache.as_ref()?;
        let value = Familiar::split(sealed)?;
        let held = cache.keys.familiar(&value)?;
        let covered = context.covers(&held.stored);
        Some(covered.and_then(|()| value.open(&held.schedule, context.all())))
    }

    async fn begin_under(&self, preamble: Preamble, all: &EncryptionContext) -> Result<Opening> {
        let found = self.find(&preamble.header).await?;
        self.check(preamble, found, all)
    }

    /// The data key, from the cache if there is one. The header is still to be held against it.
    pub(super) async fn find(&self, header: &Header) -> Result<Found> {
        match &self.cache {
            None => self.ask_all(header).await.map(Found::once),
            Some(Cache { keys, unwrap }) => {
                keys.data_key(header, || unwrap(self, header.clone())).await
            }
        }
    }

    /// Holds header and context against the data key, which the cache keeps if they are good.
    pub(super) fn check(
        &self,
        preamble: Preamble,
        found: Found,
        all: &EncryptionContext,
    ) -> Result<Opening> {
        let opening = Opening::check(preamble, &found.schedule, all)?;
        if let Some(cache) = &self.cache {
            cache.keys.keep(found);
        }
        Ok(opening)
    }

    /// The data key as a provider unwraps it now, after it has checked the header.
    pub(super) async fn unwrap(&self, preamble: &Preamble) -> Result<Arc<Schedule>> {
        let schedule = self.ask_all(&preamble.header).await?;
        preamble.check_tag(&schedule)?;
        Ok(schedule)
    }

    /// The data key by the first recipient that yields one. If it does not match the header, no
    /// other recipient is tried.
    pub(super) async fn ask_all(&self, header: &Header) -> Result<Arc<Schedule>> {
        let mut candidates = self.candidates(header);
        candidates.sort_by_key(|c| c.provider.availability());
        let answer = match self.hedging.as_deref() {
            None => self.ask_in_turn(&candidates, header).await,
            Some(hedging) => self.ask_hedged(hedging, &candidates, header).await,
        };
        let data_key = answer.map_err(|failures| summarise(failures, header))?;
        Schedule::new(data_key).map(Arc::new)
    }

    async fn ask_in_turn(
        &self,
        candidates: &[Candidate<'_, P::Target>],
        header: &Header,
    ) -> Result<DataKey, Vec<Error>> {
        let mut failures = Vec::new();
        for candidate in candidates {
            match self.ask(candidate, header).await {
                Ok(data_key) => return Ok(data_key),
                Err(error) => failures.push(error),
            }
        }
        Err(failures)
    }

    async fn ask_hedged(
        &self,
        hedging: &Hedging,
        candidates: &[Candidate<'_, P::Target>],
        header: &Header,
    ) -> Result<DataKey, Vec<Error>> {
        let mut waiting = candidates.iter();
        let mut failures = Vec::new();
        let mut running = FuturesUnordered::new();
        let mut may_hedge = None;
        loop {
            if running.is_empty() {
                let Some(next) = waiting.next() else { return Err(failures) };
                may_hedge = hedging.delay(next.index);
                running.push(self.ask(next, header));
            }
            let hedge = may_hedge.take().filter(|_| waiting.len() > 0);
            let answered = match hedge {
                None => running.next().await,
                Some(delay) => {
                    let late = pin!(tokio::time::sleep(delay));
                    match select(running.next(), late).await {
                        Either::Left((answered, _)) => answered,
                        Either::Right(_) => {
                            if hedging.spend()
                                && let Some(next) = waiting.next()
                            {
                                running.push(self.ask(next, header));
                            }
                            continue;
                        }
                    }
                }
            };
            match answered {
                Some(Ok(data_key)) => return Ok(data_key),
                Some(Err(error)) => failures.push(error),
                None => {}
            }
        }
    }

    /// Lets one provider unwrap for one recipient.
    async fn ask(&self, candidate: &Candidate<'_, P::Target>, header: &Header) -> Result<DataKey> {
        let &Candidate { index, provider, recipient } = candidate;
        let label = |error: Error| match error.provider() {
            Some(_) => error,
            None => error.with_provider(provider.label()),
        };
        admit(provider, recipient).map_err(label)?;
        let started = self.hedging.as_deref().map(|hedging| {
            hedging.earn();
            (hedging, tokio::time::Instant::now())
        });
        let data_key = provider.unwrap_data_key(recipient, &header.stored).await;
        if let (Some((hedging, started)), Ok(_)) = (started, &data_key) {
            hedging.record(index, started.elapsed());
        }
        data_key.map_err(label)
    }

    fn candidates<'a>(&'a self, header: &'a Header) -> Vec<Candidate<'a, P::Target>> {
        let mut candidates = Vec::new();
        for recipient in &header.recipients {
            for (index, provider) in self.providers.iter().enumerate() {
                if provider.opens(&recipient.key).is_some() {
                    candidates.push(Candidate { index, provider: &**provider, recipient });
                }
            }
        }
        candidates
    }
}

/// Has providers unwrap in a task, for which they must not be borrowed.
type Unwrap<P> = fn(&Opener<P>, Header) -> BoxFuture<'static, Result<Arc<Schedule>>>;

/// Builds an [`Opener`].
#[derive(Clone, Debug)]
pub struct OpenerBuilder<P> {
    providers: Vec<P>,
    hedge: Option<Hedge>,
    cache: Option<(CachePolicy, Unwrap<P>)>,
}

impl<P> OpenerBuilder<P>
where
    P: Deref<Target: CryptoProvider> + Send + Sync,
{
    /// Adds a provider to open with.
    #[must_use]
    pub fn provider(mut self, provider: P) -> Self {
        self.providers.push(provider);
        self
    }

    /// Adds providers to open with.
    #[must_use]
    pub fn providers(mut self, providers: impl IntoIterator<Item = P>) -> Self {
        self.providers.extend(providers);
        self
    }

    /// Asks a second recipient when the first takes longer than usual. Needs tokio's timer.
    ///
    /// What is known of latencies belongs to the opener and its clones: keep one.
    #[must_use]
    pub fn hedge(mut self, hedge: Hedge) -> Self {
        self.hedge = Some(hedge);
        self
    }

    /// The opener. One without providers opens nothing, and says so then.
    #[must_use]
    pub fn build(self) -> Opener<P> {
        let Self { providers, hedge, cache } = self;
        let cache = cache
            .map(|(policy, unwrap)| Cache { keys: Arc::new(OpeningCache::new(policy)), unwrap });
        let hedging = hedge.map(|hedge| Arc::new(Hedging::new(hedge)));
        Opener { providers: providers.into(), hedging, cache }
    }
}

impl<P> OpenerBuilder<P>
where
    P: Deref<Target: CryptoProvider> + Send + Sync + 'static,
{
    /// Keeps data keys and uses them again, so that values that share one, or are read again, cost
    /// one call to a provider. Heads of streams are opened with it too.
    ///
    /// The cache belongs to the opener and its clones: keep one. Calls are made by tokio tasks, so
    /// opening needs a runtime, and a caller who gives up does not end the call that others wait
    /// for. A [`rewrap`](Opener::rewrap) always asks the provider.
    ///
    /// # Security
    /// What is cached opens without the provider, so a permission that is taken away there, or a
    /// disabled key, takes effect after [`max_age`](super::CachePolicyBuilder::max_age) at most.
    #[must_use]
    pub fn cache(mut self, policy: CachePolicy) -> Self {
        let unwrap: Unwrap<P> = |opener, header| {
            let providers = Arc::clone(&opener.providers);
            let opener = Opener { providers, hedging: opener.hedging.clone(), cache: None };
            Box::pin(async move { opener.ask_all(&header).await })
        };
        self.cache = Some((policy, unwrap));
        self
    }
}

/// A provider that may unwrap for a recipient.
struct Candidate<'a, C: ?Sized> {
    /// The provider's place in the opener, for what is remembered of it.
    index: usize,
    provider: &'a C,
    recipient: &'a Wrapped,
}

/// Holds a recipient record against what the owner configured for its key.
fn admit<C: CryptoProvider + ?Sized>(provider: &C, recipient: &Wrapped) -> Result<()> {
    let policy = provider
        .opens(&recipient.key)
        .ok_or_else(|| Error::new(ErrorKind::NoRecipient, "the key is not on the list"))?;
    if policy.algorithm != recipient.algorithm {
        return Err(Error::not_authentic());
    }
    if !policy.authenticates && !policy.accept_public_key_wraps {
        return Err(Error::new(
            ErrorKind::Denied,
            "anybody with the public key could have sealed this; to accept that, set \
             accept_public_key_wraps for the key",
        ));
    }
    Ok(())
}

/// One error for several recipients: what may pass if tried again comes first, then what an
/// operator can mend; and what is not authentic has its one text.
fn summarise(mut failures: Vec<Error>, header: &Header) -> Error {
    if failures.is_empty() {
        let names: Vec<_> = header.recipients.iter().map(|r| r.key.to_string()).collect();
        return Error::new(
            ErrorKind::NoRecipient,
            format!("sealed to {}, and none of these keys is configured here", names.join(", ")),
        )
        .with_operation(Operation::Open);
    }
    let rank = |e: &Error| match e.kind() {
        _ if e.is_retryable() => 0,
        ErrorKind::NotAuthentic => 2,
        _ => 1,
    };
    failures.sort_by_key(rank);
    let first = failures.swap_remove(0);
    match (first.kind(), failures.len()) {
        (ErrorKind::NotAuthentic, _) => Error::not_authentic(),
        (_, 0) => first,
        (kind, others) => {
            let message = format!("{} (and {others} other recipient(s) failed)", first.message());
            first.told_as(kind, message).with_operation(Operation::Open)
        }
    }
}
