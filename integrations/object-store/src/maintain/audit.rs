//! Which objects name which keys.

use std::{fmt, ops::Deref, sync::Arc};

use async_trait::async_trait;
use bulla::{
    CryptoProvider, Error, KeyName, Opener, Result,
    envelope::Rewrap,
    format::{Preamble, Suite, Transform},
    key::WrapAlgorithm,
};
use futures_util::{StreamExt as _, stream::BoxStream};
use object_store::{ObjectMeta, ObjectStore, path::Path};

use super::head::{self, Head, Read, State, Unread};

/// What one request reads of an object. Headers of streams have 1,080 bytes with salt and commitment.
const FIRST: u64 = 4096;

/// How many objects are read at a time if nobody says.
const CONCURRENCY: usize = 32;

/// The most that may be read at a time.
pub(super) const MAX_CONCURRENCY: usize = 1024;

/// Reads which keys open which objects, by one request an object and without calls to any key.
///
/// # Security
/// What it says is read from headers that **nobody has authenticated**: whoever can write to the store can
/// write any. [`verify`](AuditBuilder::verify) asks the keys.
#[derive(Clone)]
pub struct Audit {
    store: Arc<dyn ObjectStore>,
    prefix: Option<Path>,
    concurrency: usize,
    verifier: Option<Arc<dyn Verify>>,
}

/// Builds an [`Audit`].
#[derive(Clone)]
pub struct AuditBuilder(Audit);

/// What an audit found out of one object.
#[derive(Debug)]
pub struct Row {
    /// Which object.
    pub location: Path,
    /// Its length in bytes, sealed as it is.
    pub size: u64,
    /// What it is.
    pub state: State,
    /// What its header says, if it is [sealed](State::Sealed).
    pub sealed: Option<SealedRow>,
    /// What is to be said of its state, in words that may change.
    pub detail: Option<String>,
    /// Whether a key opened it and its header is authentic, where that was tried.
    pub verified: Option<Result<()>>,
}

/// What the header of a sealed object says.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SealedRow {
    /// How the body is encrypted.
    pub suite: Suite,
    /// Who opens it: any one of them.
    pub recipients: Vec<Recipient>,
    /// Whether its data key serves other objects too.
    pub shared: bool,
    /// The keys of the stored context. Its values, which may be personal data, are left where they are.
    pub context_keys: Vec<String>,
    /// How the plaintext was transformed before sealing, such as `zstd`.
    pub transform: Option<String>,
    /// The bytes of the header, with padding and tag.
    pub header_len: usize,
    /// The bytes of plaintext, as it was sealed: after its transformation.
    pub plaintext_len: u64,
}

/// A key that opens an object.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Recipient {
    /// Its name.
    pub key: KeyName,
    /// The version, as text, where the wrapped bytes themselves don't carry it.
    pub version: Option<String>,
    /// The stable name of how the data key was wrapped.
    pub algorithm: &'static str,
}

impl Audit {
    /// An audit of all objects of a store.
    #[must_use]
    pub fn builder(store: Arc<dyn ObjectStore>) -> AuditBuilder {
        AuditBuilder(Self { store, prefix: None, concurrency: CONCURRENCY, verifier: None })
    }

    /// A row for every object, in no particular order. Whatever is the matter with one object is said in
    /// its row.
    ///
    /// # Errors
    /// The store can't be listed; nothing comes after that.
    #[must_use]
    pub fn rows(&self) -> BoxStream<'static, object_store::Result<Row>> {
        let Self { store, prefix, concurrency, verifier } = self.clone();
        let listed = store.list(prefix.as_ref());
        let rows = listed.map(move |listed| {
            let (store, verifier) = (Arc::clone(&store), verifier.clone());
            async move { Ok::<_, object_store::Error>(row(&*store, listed?, verifier).await) }
        });
        // After a failure of the listing there is nothing that is known to be all.
        let mut failed = false;
        rows.buffer_unordered(concurrency)
            .take_while(move |row| {
                let ended = std::mem::replace(&mut failed, row.is_err());
                std::future::ready(!ended)
            })
            .boxed()
    }
}

impl AuditBuilder {
    /// Only objects below this path.
    #[must_use]
    pub fn prefix(mut self, prefix: Path) -> Self {
        self.0.prefix = Some(prefix).filter(|prefix| !prefix.is_root());
        self
    }

    /// How many objects are read at a time; otherwise 32.
    #[must_use]
    pub fn concurrency(mut self, objects: usize) -> Self {
        self.0.concurrency = objects;
        self
    }

    /// Has the data key of every object unwrapped and its header's tag checked: one call to a key an object.
    /// The body is not read.
    #[must_use]
    pub fn verify<P>(mut self, opener: Opener<P>) -> Self
    where
        P: Deref<Target: CryptoProvider> + Send + Sync + 'static,
    {
        self.0.verifier = Some(Arc::new(opener));
        self
    }

    /// The audit.
    ///
    /// # Errors
    /// [`InvalidInput`](bulla::ErrorKind::InvalidInput) unless 1 to 1,024 objects are read at a time.
    pub fn build(self) -> Result<Audit> {
        check_concurrency(self.0.concurrency)?;
        Ok(self.0)
    }
}

pub(super) fn check_concurrency(objects: usize) -> Result<()> {
    match (1..=MAX_CONCURRENCY).contains(&objects) {
        true => Ok(()),
        false => Err(Error::new(
            bulla::ErrorKind::InvalidInput,
            format!("1 to {MAX_CONCURRENCY} objects are worked on at a time, not {objects}"),
        )),
    }
}

async fn row(
    store: &dyn ObjectStore,
    listed: ObjectMeta,
    verifier: Option<Arc<dyn Verify>>,
) -> Row {
    let ObjectMeta { location, size, .. } = listed.clone();
    let mut read = head::read(store, &listed, FIRST).await;
    if matches!(read, Err(Unread::Changed)) {
        read = head::read(store, &listed, FIRST).await;
    }
    let without = |state, detail| Row {
        location: location.clone(),
        size,
        state,
        sealed: None,
        detail,
        verified: None,
    };
    match read {
        Err(Unread::Gone) => without(State::Gone, None),
        Err(Unread::Changed) => {
            without(State::Unread, Some("it was replaced while it was read".to_owned()))
        }
        Err(Unread::Store(error)) => without(State::Unread, Some(error.to_string())),
        Ok(Read { head: Head::Other(state, detail), meta, .. }) => {
            Row { size: meta.size, ..without(state, detail) }
        }
        Ok(Read { head: Head::Sealed(preamble), meta, .. }) => {
            let verified = match verifier {
                None => None,
                Some(verifier) => Some(verifier.verify(&preamble).await),
            };
            let sealed = SealedRow::new(&preamble, meta.size);
            Row { size: meta.size, sealed, verified, ..without(State::Sealed, None) }
        }
    }
}

impl SealedRow {
    fn new(preamble: &Preamble, size: u64) -> Option<Self> {
        let header = preamble.header();
        let (suite, context) = (header.suite(), header.stored_context());
        Some(Self {
            suite,
            recipients: header.recipients().iter().map(Recipient::new).collect(),
            shared: header.is_data_key_shared(),
            context_keys: context.iter().map(|(key, _)| key.to_owned()).collect(),
            transform: context.get(Transform::KEY).map(str::to_owned),
            header_len: header.as_bytes().len(),
            plaintext_len: suite.plaintext_len(size.checked_sub(preamble.len() as u64)?)?,
        })
    }
}

impl Recipient {
    fn new(wrapped: &bulla::Wrapped) -> Self {
        let bulla::Wrapped { key, version, algorithm, blob: _ } = wrapped;
        Self {
            key: key.clone(),
            version: version.as_ref().map(|version| version.as_str().to_owned()),
            algorithm: WrapAlgorithm::as_str(*algorithm),
        }
    }
}

/// Asks the keys whether a header is authentic.
#[async_trait]
trait Verify: Send + Sync {
    async fn verify(&self, preamble: &Preamble) -> Result<()>;
}

#[async_trait]
impl<P> Verify for Opener<P>
where
    P: Deref<Target: CryptoProvider> + Send + Sync + 'static,
{
    /// A plan that changes nothing unwraps the data key and checks the tag, and needs no context.
    async fn verify(&self, preamble: &Preamble) -> Result<()> {
        self.rewrap(preamble, &Rewrap::new()).await.map(drop)
    }
}

impl fmt::Debug for Audit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Audit")
            .field("store", &self.store)
            .field("prefix", &self.prefix)
            .field("concurrency", &self.concurrency)
            .field("verify", &self.verifier.is_some())
            .finish()
    }
}

impl fmt::Debug for AuditBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
