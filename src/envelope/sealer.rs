//! Sealing: one data key, wrapped for every recipient.

use std::{fmt, ops::Deref};

use super::{
    derive::{self, BodyKeys, Salt},
    header::{self, Header, MAX_RECIPIENTS},
    suite::Suite,
    wrapping::{Fresh, MissingRecipient, WritePolicy, fresh_data_key},
};
use crate::{
    context::{Context, EncryptionContext},
    error::{Error, ErrorKind, Operation, Result},
    key::{DataKey, MAX_WRAPPED_LEN, Wrapped},
    provider::{ContextBinding, CryptoProvider},
    stream::chunk::ChunkSealer,
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
    recipients: Vec<P>,
    suite: Suite,
    header_len: u16,
    policy: WritePolicy,
}

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
            policy: WritePolicy::All,
            require_bound: false,
        }
    }

    /// Seals a value. The header is as short as it can be.
    ///
    /// One `generate_data_key` at the first recipient, one `wrap_data_key` at each other. What a
    /// write policy lets go missing is told by [`seal_and_report`](Self::seal_and_report).
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
        let Fresh { data_key, recipients, missing } = self.fresh_data_key(context.key()).await?;
        let message = Message { suite: self.suite, shared: false, padded: None };
        Ok((message.seal(&data_key, recipients, context, plaintext)?, missing))
    }

    /// Begins a stream: everything that needs the KMS is done when this returns, and the rest is
    /// local. The header is padded to the sealer's length.
    ///
    /// A stream always has a data key of its own.
    ///
    /// # Errors
    /// As for [`seal`](Self::seal).
    pub async fn begin(&self, context: &Context) -> Result<SealedHeader> {
        let message = Message { suite: self.suite, shared: false, padded: Some(self.header_len) };
        check_fit(needed_len(&self.recipients, context.key()), self.header_len)?;
        let Fresh { data_key, recipients, missing } = self.fresh_data_key(context.key()).await?;
        Ok(SealedHeader { missing, ..message.begin(&data_key, recipients, context)? })
    }

    /// Whether a message is sealed to exactly these recipients, under their current versions. No
    /// call to a provider's backend.
    #[must_use]
    pub fn is_current(&self, header: &Header) -> bool {
        header.recipients.len() == self.recipients.len()
            && self.recipients.iter().all(|p| header.recipients.iter().any(|r| p.is_current(r)))
    }

    pub(super) fn suite(&self) -> Suite {
        self.suite
    }

    pub(super) async fn fresh_data_key(&self, context: &EncryptionContext) -> Result<Fresh> {
        fresh_data_key(&self.recipients, self.policy, context).await
    }
}

/// Builds a [`Sealer`].
#[derive(Clone, Debug)]
pub struct SealerBuilder<P> {
    recipients: Vec<P>,
    suite: Suite,
    header_len: Option<u16>,
    policy: WritePolicy,
    require_bound: bool,
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
        let Self { recipients, suite, header_len, policy, require_bound } = self;
        if !(1..=MAX_RECIPIENTS).contains(&recipients.len()) {
            return Err(at_build(Error::invalid("data is sealed to 1 to 8 recipients")));
        }
        if matches!(policy, WritePolicy::AtLeast(n) if n == 0 || n > recipients.len()) {
            let message = "a write policy asks for at least 1 recipient and at most all of them";
            return Err(at_build(Error::invalid(message)));
        }
        let mut names = Vec::new();
        for provider in &recipients {
            let labelled = |e: Error| at_build(e).with_provider(provider.label());
            check_recipient(&**provider, require_bound).map_err(labelled)?;
            let name = provider.sealing_key().ok_or_else(|| {
                labelled(Error::invalid("no sealing key is bound to this provider"))
            })?;
            if names.contains(&name) {
                return Err(labelled(Error::invalid("two recipients are the same key")));
            }
            names.push(name);
        }
        let needed = needed_len(&recipients, &EncryptionContext::new());
        let header_len = match header_len {
            Some(len) => len,
            None => {
                let len = (needed + ROOM_FOR_CONTEXT).next_multiple_of(DEFAULT_HEADER_LEN.into());
                u16::try_from(len).unwrap_or(u16::MAX)
            }
        };
        check_fit(needed, header_len).map_err(at_build)?;
        Ok(Sealer { recipients, suite, header_len, policy })
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
    recipients.iter().fold(header::fixed_len(stored), |sum, provider| {
        let wrapped = provider.capabilities().max_wrapped_len.min(MAX_WRAPPED_LEN);
        sum + provider.sealing_key().map_or(0, |key| header::recipient_len(key, wrapped))
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

/// What is the same for every message sealed in one way.
pub(super) struct Message {
    pub(super) suite: Suite,
    /// Flag bit 0: the data key serves other messages too.
    pub(super) shared: bool,
    pub(super) padded: Option<u16>,
}

impl Message {
    /// Seals a value under a data key that was wrapped for these recipients.
    pub(super) fn seal(
        &self,
        data_key: &DataKey,
        recipients: Vec<Wrapped>,
        context: &Context,
        plaintext: &[u8],
    ) -> Result<Vec<u8>> {
        let SealedHeader { mut bytes, mut chunks, .. } =
            self.begin(data_key, recipients, context)?;
        let body_len = u64::try_from(plaintext.len())
            .ok()
            .and_then(|len| self.suite.sealed_len(len))
            .and_then(|len| usize::try_from(len).ok())
            .ok_or_else(|| Error::invalid("the value is too long"))?;
        let start = bytes.len();
        bytes.resize(start + body_len, 0);
        let mut out =
            bytes.get_mut(start..).unwrap_or_default().chunks_mut(self.suite.sealed_chunk_len());
        let mut input = plaintext.chunks(self.suite.chunk_len());
        // One chunk of output for each of input, and an empty one behind a full last chunk.
        out.try_for_each(|out| chunks.seal(input.next().unwrap_or_default(), out))?;
        Ok(bytes)
    }

    fn begin(
        &self,
        data_key: &DataKey,
        recipients: Vec<Wrapped>,
        context: &Context,
    ) -> Result<SealedHeader> {
        self.begin_with_salt(data_key, recipients, context, Salt::random()?)
    }

    pub(super) fn begin_with_salt(
        &self,
        data_key: &DataKey,
        recipients: Vec<Wrapped>,
        context: &Context,
        salt: Salt,
    ) -> Result<SealedHeader> {
        let &Self { suite, shared, padded } = self;
        context.refuse_reserved()?;
        let mut header = Header::write(suite, shared, context.key().clone(), recipients, padded)?;
        let x = derive::binding(suite, context.all());
        let keys = BodyKeys::derive(suite, data_key, &salt, &x)?;
        let tag = derive::header_tag(data_key, header.untagged(), &salt, &keys.commitment)?;
        header.set_tag(&tag);
        let bytes = [header.as_bytes(), &salt.0, &keys.commitment].concat();
        Ok(SealedHeader { bytes, chunks: ChunkSealer::new(suite, keys), missing: Vec::new() })
    }
}

/// The beginning of a message whose data key is in hand: the KMS's part is done.
///
/// Hand it to an [`Encryptor`](crate::stream::Encryptor) or one of the adapters in
/// [`stream`](crate::stream). It serves one message and can't be cloned.
#[must_use = "an `Encryptor` or an adapter takes it on"]
pub struct SealedHeader {
    pub(crate) bytes: Vec<u8>,
    pub(crate) chunks: ChunkSealer,
    missing: Vec<MissingRecipient>,
}

impl SealedHeader {
    /// The recipients that the message lacks: none, unless the write policy is
    /// [`WritePolicy::AtLeast`].
    #[must_use]
    pub fn missing(&self) -> &[MissingRecipient] {
        &self.missing
    }

    /// How many bytes the sealed form of `plaintext` bytes will have in all, or `None` past 4 PiB.
    #[must_use]
    pub fn sealed_len(&self, plaintext: u64) -> Option<u64> {
        let body = self.chunks.suite().sealed_len(plaintext)?;
        body.checked_add(u64::try_from(self.bytes.len()).ok()?)
    }
}

impl fmt::Debug for SealedHeader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SealedHeader").field("len", &self.bytes.len()).finish_non_exhaustive()
    }
}
