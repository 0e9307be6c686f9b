//! Sealing: one data key, wrapped for every recipient.

use std::{ops::Deref, sync::Arc};

use futures_util::future::BoxFuture;

use super::{
    cache::{CachePolicy, CacheStats, Lease, SealingCache, Wanted},
    wrapping::{Fresh, MissingRecipient, WritePolicy, fresh_data_key},
};
use crate::{
    context::{Context, EncryptionContext},
    error::{Error, ErrorKind, Operation, Result},
    format::{self, Head, Header, MAX_RECIPIENTS, Message, Sealing, Suite, recipient},
    key::MAX_WRAPPED_LEN,
    provider::{ContextBinding, CryptoProvider},
};

/// The length to which headers of streams are padded, or a multiple of which: 1 KiB.
pub const DEFAULT_HEADER_LEN: u16 = 1024;

/// What is set aside for a key context where nobody said how long a header shall be.
const ROOM_FOR_CONTEXT: usize = 256;

/// Seals values and streams to one or more recipients, any one of which opens.
///
/// `P` is whatever leads to a provider: `&dyn CryptoProvider`, `Arc<dyn CryptoProvider>`, `&Local`.
///
/// ```
/// use bulla::{Context, CryptoProvider, Opener, Sealer};
///
/// # async fn example(primary: &dyn CryptoProvider, backup: &dyn CryptoProvider) -> bulla::Result<()> {
/// let sealer = Sealer::builder().recipient(primary).recipient(backup).build()?;
/// let context = Context::new().with_key("tenant", "acme")?.with_item("row", "7")?;
/// let sealed = sealer.seal(b"card number", &context).await?;
///
/// // The backup alone opens it.
/// let opened = Opener::new([backup]).open(&sealed, &context).await?;
/// assert_eq!(&*opened, b"card number");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Sealer<P> {
    recipients: Arc<[P]>,
    suite: Suite,
    header_len: u16,
    policy: WritePolicy,
    cache: Option<Cache<P>>,
}

#[derive(Clone, Debug)]
struct Cache<P> {
    leases: Arc<SealingCache>,
    make: Make<P>,
}

/// Makes a data key in a task, for which the recipients must not be borrowed.
type Make<P> = fn(&Arc<[P]>, WritePolicy, &EncryptionContext) -> BoxFuture<'static, Result<Fresh>>;

impl<P> Sealer<P>
where
    P: Deref<Target: CryptoProvider> + Send + Sync,
{
    /// A sealer to one recipient, with suite 1.
    ///
    /// # Errors
    /// As for [`SealerBuilder::build`].
    pub fn new(recipient: P) -> Result<Self> {
        Self::builder().recipient(recipient).build()
    }

    /// A sealer to choose the recipients, suite and header length of.
    #[must_use]
    pub fn builder() -> SealerBuilder<P> {
        SealerBuilder {
            recipients: Vec::new(),
            suite: Suite::default(),
            header_len: None,
            room: ROOM_FOR_CONTEXT,
            policy: WritePolicy::All,
            require_bound: false,
            cache: None,
        }
    }

    /// Seals a value. The header is as short as it can be.
    ///
    /// One `generate_data_key` at the first recipient, one `wrap_data_key` at each other; with a
    /// [`cache`](SealerBuilder::cache), mostly none. What a write policy lets go missing is told by
    /// [`seal_and_report`](Self::seal_and_report).
    ///
    /// # Errors
    /// What the providers said; [`InvalidInput`](ErrorKind::InvalidInput) for a context or
    /// recipients that the header can't hold.
    pub async fn seal(&self, plaintext: &[u8], context: &Context) -> Result<Vec<u8>> {
        Ok(self.seal_and_report(plaintext, context).await?.0)
    }

    /// Seals a value, and says which recipients it lacks: none, unless the write policy is
    /// [`WritePolicy::AtLeast`].
    ///
    /// # Errors
    /// As for [`seal`](Self::seal).
    pub async fn seal_and_report(
        &self,
        plaintext: &[u8],
        context: &Context,
    ) -> Result<(Vec<u8>, Vec<MissingRecipient>)> {
        let wanted = Wanted { messages: 1, bytes: plaintext.len() as u64 };
        let Source { key, shared } = self.data_key(context.key(), wanted).await?;
        let message = Message { suite: self.suite, shared, padded: None };
        let sealed = message.seal(&key.schedule, key.head(), context, plaintext)?;
        Ok((sealed, key.missing.clone()))
    }

    /// Seals a value under a header that is padded to the sealer's length, as those of streams are: for
    /// a store that tells lengths of plaintexts by lengths of objects. The cache serves it as it serves
    /// [`seal`](Self::seal), which a stream's it does not.
    ///
    /// # Errors
    /// As for [`seal`](Self::seal).
    pub async fn seal_padded(&self, plaintext: &[u8], context: &Context) -> Result<Vec<u8>> {
        check_fit(needed_len(&self.recipients, context.key()), self.header_len)?;
        let wanted = Wanted { messages: 1, bytes: plaintext.len() as u64 };
        let Source { key, shared } = self.data_key(context.key(), wanted).await?;
        let message = Message { suite: self.suite, shared, padded: Some(self.header_len) };
        message.seal(&key.schedule, Head::Recipients(&key.recipients), context, plaintext)
    }

    /// Begins a stream: everything that needs the KMS is done when this returns, and the rest is
    /// local. The header is padded to the sealer's length.
    ///
    /// A stream always has a data key of its own, cache or not.
    ///
    /// # Errors
    /// As for [`seal`](Self::seal).
    pub async fn begin(&self, context: &Context) -> Result<Sealing> {
        Ok(self.begin_and_report(context).await?.0)
    }

    /// Begins a stream, and says which recipients it lacks: none, unless the write policy is
    /// [`WritePolicy::AtLeast`].
    ///
    /// # Errors
    /// As for [`seal`](Self::seal).
    pub async fn begin_and_report(
        &self,
        context: &Context,
    ) -> Result<(Sealing, Vec<MissingRecipient>)> {
        let message = Message { suite: self.suite, shared: false, padded: Some(self.header_len) };
        check_fit(needed_len(&self.recipients, context.key()), self.header_len)?;
        let Fresh { schedule, recipients, missing } = self.fresh_data_key(context.key()).await?;
        Ok((message.begin(&schedule, &recipients, context)?, missing))
    }

    /// The suite that it seals with.
    #[must_use]
    pub fn suite(&self) -> Suite {
        self.suite
    }

    /// The length to which it pads headers of streams, in bytes. Salt and commitment, 56 bytes, and the
    /// chunks are behind that.
    #[must_use]
    pub fn header_len(&self) -> u16 {
        self.header_len
    }

    /// Whether a message is sealed to exactly these recipients, under their current versions. No
    /// call to a provider's backend.
    #[must_use]
    pub fn is_current(&self, header: &Header) -> bool {
        header.recipients.len() == self.recipients.len()
            && self.recipients.iter().all(|p| header.recipients.iter().any(|r| p.is_current(r)))
    }

    /// What the cache of data keys has done, if there is one.
    #[must_use]
    pub fn cache_stats(&self) -> Option<CacheStats> {
        self.cache.as_ref().map(|cache| cache.leases.stats())
    }

    /// Drops all cached data keys: what is sealed from here on asks the providers.
    pub fn clear_cache(&self) {
        if let Some(cache) = &self.cache {
            cache.leases.clear();
        }
    }

    /// A data key for values: one that was used before, where there is a cache that it fits into.
    pub(super) async fn data_key(
        &self,
        context: &EncryptionContext,
        wanted: Wanted,
    ) -> Result<Source> {
        match &self.cache {
            Some(Cache { leases, make }) if leases.admits(wanted) => {
                let make = || make(&self.recipients, self.policy, context);
                let lease = leases.reserve(context, wanted, make).await?;
                Ok(Source { key: Key::Leased(lease), shared: true })
            }
            _ => {
                let fresh = self.fresh_data_key(context).await?;
                Ok(Source { key: Key::Own(Box::new(fresh)), shared: wanted.messages > 1 })
            }
        }
    }

    async fn fresh_data_key(&self, context: &EncryptionContext) -> Result<Fresh> {
        fresh_data_key(&self.recipients, self.policy, context).await
    }
}

/// A data key to seal values with.
pub(super) struct Source {
    pub(super) key: Key,
    /// Whether it serves other messages too.
    pub(super) shared: bool,
}

pub(super) enum Key {
    Own(Box<Fresh>),
    Leased(Arc<Lease>),
}

impl Key {
    /// What headers of messages without padding are made from.
    pub(super) fn head(&self) -> Head<'_> {
        match self {
            Self::Own(fresh) => Head::Recipients(&fresh.recipients),
            Self::Leased(lease) => Head::Written(&lease.head),
        }
    }
}

impl Deref for Key {
    type Target = Fresh;

    fn deref(&self) -> &Fresh {
        match self {
            Self::Own(fresh) => fresh,
            Self::Leased(lease) => &lease.fresh,
        }
    }
}

/// Builds a [`Sealer`].
#[derive(Clone, Debug)]
pub struct SealerBuilder<P> {
    recipients: Vec<P>,
    suite: Suite,
    header_len: Option<u16>,
    room: usize,
    policy: WritePolicy,
    require_bound: bool,
    cache: Option<(CachePolicy, Make<P>)>,
}

impl<P> SealerBuilder<P>
where
    P: Deref<Target: CryptoProvider> + Send + Sync,
{
    /// Adds a recipient. The first one generates the data keys.
    #[must_use]
    pub fn recipient(mut self, provider: P) -> Self {
        self.recipients.push(provider);
        self
    }

    /// Chooses the suite; suite 1 unless said.
    #[must_use]
    pub fn suite(mut self, suite: Suite) -> Self {
        self.suite = suite;
        self
    }

    /// The length to which headers of streams are padded, in bytes; unless said, the smallest
    /// multiple of [`DEFAULT_HEADER_LEN`] that these recipients fit into with a key context of up
    /// to 256 bytes. Leave room for the recipients that a rewrap may add.
    #[must_use]
    pub fn header_len(mut self, len: u16) -> Self {
        self.header_len = Some(len);
        self
    }

    /// Where no header length is given, leaves room for this key context too: for one that is known
    /// before the sealer is made, and may be longer than 256 bytes.
    #[must_use]
    pub fn room_for(mut self, context: &Context) -> Self {
        self.room = self.room.max(context.key().encoded_len());
        self
    }

    /// Says how many recipients must take part; all of them unless said.
    #[must_use]
    pub fn write_policy(mut self, policy: WritePolicy) -> Self {
        self.policy = policy;
        self
    }

    /// Refuses recipients whose backend can't authenticate the key context itself.
    #[must_use]
    pub fn require_bound_context(mut self) -> Self {
        self.require_bound = true;
        self
    }

    /// Checks everything that can be known before there is data.
    ///
    /// # Errors
    /// [`InvalidInput`](ErrorKind::InvalidInput) for no recipient, more than 8, one without a
    /// sealing key, the same key twice, or recipients that don't fit into the header length;
    /// [`Unsupported`](ErrorKind::Unsupported) for a provider without data keys or, if that is
    /// required, without a bound context.
    pub fn build(self) -> Result<Sealer<P>> {
        let Self { recipients, suite, header_len, room, policy, require_bound, cache } = self;
        if !(1..=MAX_RECIPIENTS).contains(&recipients.len()) {
            return Err(at_build(Error::invalid("data is sealed to 1 to 8 recipients")));
        }
        if matches!(policy, WritePolicy::AtLeast(n) if n == 0 || n > recipients.len()) {
            let message = "a write policy asks for at least 1 recipient and at most all of them";
            return Err(at_build(Error::invalid(message)));
        }
        for (index, provider) in recipients.iter().enumerate() {
            let labelled = |e: Error| at_build(e).with_provider(provider.label());
            check_recipient(&**provider, require_bound).map_err(labelled)?;
            let name = provider.sealing_key().ok_or_else(|| {
                labelled(Error::invalid("no sealing key is bound to this provider"))
            })?;
            // By either's word: replicas of one key have several names.
            let same = |other: &P| {
                other.is_sealing_key(name)
                    || other.sealing_key().is_some_and(|key| provider.is_sealing_key(key))
            };
            if recipients.iter().take(index).any(same) {
                return Err(labelled(Error::invalid("two recipients are the same key")));
            }
        }
        let needed = needed_len(&recipients, &EncryptionContext::new());
        let header_len = match header_len {
            Some(len) => len,
            None => {
                let len = (needed + room).next_multiple_of(DEFAULT_HEADER_LEN.into());
                u16::try_from(len).unwrap_or(u16::MAX)
            }
        };
        check_fit(needed, header_len).map_err(at_build)?;
        let cache = cache.map(|(policy, make)| {
            let leases = Arc::new(SealingCache::new(policy, suite));
            Cache { leases, make }
        });
        Ok(Sealer { recipients: recipients.into(), suite, header_len, policy, cache })
    }
}

impl<P> SealerBuilder<P>
where
    P: Deref<Target: CryptoProvider> + Send + Sync + 'static,
{
    /// Uses a data key for many **values** of the same key context, within the limits of the
    /// policy. Streams go on having one each.
    ///
    /// The cache belongs to this sealer and its clones: keep one. Calls are made by tokio tasks, so
    /// sealing needs a runtime: callers who miss at the same time wait for one call, one who gives
    /// up ends it for nobody, and before a key ends the next is asked for in the background.
    ///
    /// # Security
    /// Messages of one data key are a cohort, and their headers say so: **whoever may open one of
    /// them can open all**. A cohort has one key context, so where tenants are kept apart by theirs,
    /// none of them shares a data key with another. Rotating a key shows in new messages after
    /// [`max_age`](super::CachePolicyBuilder::max_age) at most.
    #[must_use]
    pub fn cache(mut self, policy: CachePolicy) -> Self {
        let make: Make<P> = |recipients, policy, context| {
            let (recipients, context) = (Arc::clone(recipients), context.clone());
            Box::pin(async move { fresh_data_key(&recipients, policy, &context).await })
        };
        self.cache = Some((policy, make));
        self
    }
}

fn check_recipient<C: CryptoProvider + ?Sized>(provider: &C, require_bound: bool) -> Result<()> {
    match provider.capabilities().data_keys {
        ContextBinding::Bound => Ok(()),
        ContextBinding::LocalOnly if !require_bound => Ok(()),
        ContextBinding::LocalOnly => Err(Error::new(
            ErrorKind::Unsupported,
            "this backend can't bind the key context, and that is required here",
        )),
        ContextBinding::Refused => {
            Err(Error::new(ErrorKind::Unsupported, "this provider has no data keys"))
        }
    }
}

fn at_build(error: Error) -> Error {
    error.with_operation(Operation::Build)
}

/// The bytes that a header for these recipients and this context may need.
fn needed_len<P>(recipients: &[P], stored: &EncryptionContext) -> usize
where
    P: Deref<Target: CryptoProvider>,
{
    recipients.iter().fold(format::fixed_len(stored), |sum, provider| {
        let wrapped = provider.capabilities().max_wrapped_len.min(MAX_WRAPPED_LEN);
        sum + provider.sealing_key().map_or(0, |key| recipient::max_len(key, wrapped))
    })
}

fn check_fit(needed: usize, header_len: u16) -> Result<()> {
    if needed <= usize::from(header_len) {
        return Ok(());
    }
    Err(Error::invalid(format!(
        "the header may need {needed} bytes and {header_len} are set aside; use a longer header, \
         fewer recipients or a shorter key context"
    )))
}
