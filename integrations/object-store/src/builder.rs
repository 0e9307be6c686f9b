//! Settings of a store.

use std::{num::NonZeroUsize, sync::Arc, thread};

use bulla::{Context, Error, ErrorKind, Opener, Operation, Result, Sealer, SharedProvider};
use object_store::path::Path;
use tokio::sync::Semaphore;

use crate::{
    binding::{Binding, Bound},
    headers::{HeaderCache, Headers},
    store::{EncryptedStore, Shared},
};

/// The shortest part that S3 takes, but for the last: 5 MiB.
const LEAST_PART: usize = 5 << 20;

/// The longest part that Azure takes: 4,000 MiB.
const MOST_PART: usize = 4000 << 20;

const DEFAULT_PART: usize = 8 << 20;

/// How many parts of uploads are sealed at the same time, each on as many threads as there are processors.
const PARTS_AT_ONCE: usize = 2;

/// Builds an [`EncryptedStore`].
#[derive(Debug)]
pub struct EncryptedStoreBuilder<S> {
    inner: S,
    sealer: Sealer<SharedProvider>,
    opener: Opener<SharedProvider>,
    bound: Bound,
    headers: HeaderCache,
    part_len: usize,
    reads_plaintext: bool,
}

impl<S> EncryptedStoreBuilder<S> {
    pub(crate) fn new(
        inner: S,
        sealer: Sealer<SharedProvider>,
        opener: Opener<SharedProvider>,
    ) -> Self {
        Self {
            inner,
            sealer,
            opener,
            bound: Bound { binding: Binding::default(), context: None },
            headers: HeaderCache::default(),
            part_len: DEFAULT_PART,
            reads_plaintext: false,
        }
    }

    /// What objects are bound to: an id of their own, unless said.
    #[must_use]
    pub fn binding(mut self, binding: Binding) -> Self {
        self.bound.binding = binding;
        self
    }

    /// The context of each object by its location, such as its tenant: none unless said. Its key context
    /// is stored in headers and bound by the KMS. A copy or rename to a location with another context is
    /// read and sealed anew.
    ///
    /// ```
    /// use bulla::{Context, Error, ErrorKind, Result};
    /// use object_store::path::Path;
    ///
    /// fn tenant(location: &Path) -> Result<Context> {
    ///     let tenant = location.parts().next();
    ///     let tenant = tenant.ok_or_else(|| Error::new(ErrorKind::InvalidInput, "no tenant"))?;
    ///     Context::new().with_key("tenant", tenant.as_ref())
    /// }
    /// # assert!(tenant(&Path::from("acme/report")).is_ok());
    /// ```
    #[must_use]
    pub fn context(
        mut self,
        context: impl Fn(&Path) -> Result<Context> + Send + Sync + 'static,
    ) -> Self {
        self.bound.context = Some(Arc::new(context));
        self
    }

    /// How many headers are kept for range reads, and for how long: 1,000 for 5 minutes unless said.
    #[must_use]
    pub fn header_cache(mut self, cache: HeaderCache) -> Self {
        self.headers = cache;
        self
    }

    /// The bytes of each part of an upload in parts, as it is stored: 8 MiB unless said, from 5 MiB (the
    /// least of S3) to 4,000 MiB (the most of Azure). All parts but the last have it, which Cloudflare R2
    /// asks for.
    ///
    /// S3 takes 10,000 parts, so 8 MiB makes objects of 78 GiB. Where the caller's first part is longer
    /// than this, the parts of that upload are as long as it, up to 1 GiB: then there are never more of them
    /// than the caller had.
    #[must_use]
    pub fn part_len(mut self, len: usize) -> Self {
        self.part_len = len;
        self
    }

    /// Reads objects that were never sealed too, as they are: while a store is migrated.
    ///
    /// # Security
    /// **Whoever can write to the store can then make up any object**: what does not begin as sealed data
    /// does is handed out, with nothing that vouches for it. An object that was sealed can't be read as
    /// plaintext, nor altered, but it can be replaced by a plain one. Copy what is there by way of a store
    /// in this mode (a `get` and a `put` for each object seal it), and then go without it. Nothing but the
    /// first bytes of an object decides: no attribute, tag or name.
    ///
    /// Sizes in listings are those of sealed objects, so those of plain ones are too small by the length of
    /// a header and more; `head` tells them right.
    #[must_use]
    pub fn allow_plaintext_reads(mut self) -> Self {
        self.reads_plaintext = true;
        self
    }

    /// Checks the settings.
    ///
    /// # Errors
    /// [`InvalidInput`](ErrorKind::InvalidInput) for a length of parts or limits of the cache that are out
    /// of their ranges.
    pub fn build(self) -> Result<EncryptedStore<S>> {
        let invalid = |text: &'static str| {
            Err(Error::new(ErrorKind::InvalidInput, text).with_operation(Operation::Build))
        };
        if !(LEAST_PART..=MOST_PART).contains(&self.part_len) {
            return invalid("a part of an upload has 5 MiB to 4,000 MiB");
        }
        let HeaderCache { entries, max_age } = self.headers;
        if entries > HeaderCache::MOST || max_age > HeaderCache::LONGEST {
            return invalid("100,000 headers at most are kept, and each for 24 hours at most");
        }
        Ok(self.finish())
    }

    /// The store, of settings that are good.
    pub(crate) fn finish(self) -> EncryptedStore<S> {
        let Self { inner, sealer, opener, bound, headers, part_len, reads_plaintext } = self;
        let width = thread::available_parallelism().map_or(1, NonZeroUsize::get);
        let shared = Shared {
            inner,
            sealer,
            opener,
            bound,
            headers: Headers::new(headers),
            part_len,
            reads_plaintext,
            width,
            spare: Arc::default(),
            sealing: Arc::new(Semaphore::new(PARTS_AT_ONCE)),
        };
        EncryptedStore { shared: Arc::new(shared) }
    }
}
