//! The store: every method of [`ObjectStore`], written out.

use std::{
    fmt::{self, Debug, Display},
    ops::Range,
    sync::Arc,
};

use async_trait::async_trait;
use bulla::{Opener, Sealer, SharedProvider};
use bytes::Bytes;
use futures_util::{StreamExt, stream::BoxStream};
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, RenameOptions, Result, path::Path,
};
use tokio::sync::Semaphore;

use crate::{
    binding::Bound, builder::EncryptedStoreBuilder, headers::Headers, spare::Spare, upload,
};

/// An object store whose objects are sealed before they reach the store beneath, and opened when they
/// come back.
///
/// It implements [`ObjectStore`], so what works with one works with it, and
/// [`ObjectStoreExt`](object_store::ObjectStoreExt) is there too. Clones share what is known of headers.
///
/// ```
/// use std::sync::Arc;
///
/// use bulla::{Opener, Sealer, SharedProvider};
/// use bulla_object_store::EncryptedStore;
/// use object_store::{ObjectStore, ObjectStoreExt, memory::InMemory, path::Path};
///
/// # async fn example(kms: SharedProvider) -> Result<(), Box<dyn std::error::Error>> {
/// let s3: Arc<dyn ObjectStore> = Arc::new(InMemory::new()); // or any other
/// let store = EncryptedStore::new(Arc::clone(&s3), Sealer::new(kms.clone())?, Opener::new([kms]));
///
/// let report = Path::from("reports/2026.csv");
/// store.put(&report, "a,b,c".into()).await?;
/// assert_eq!(store.get_range(&report, 2..3).await?, "b");
/// assert_eq!(store.head(&report).await?.size, 5);
/// assert!(s3.get(&report).await?.bytes().await?.starts_with(b"bulla")); // all that S3 sees
/// # Ok(())
/// # }
/// # let kms: SharedProvider = Arc::new(bulla_conformance::Memory::new("key"));
/// # tokio::runtime::Runtime::new().unwrap().block_on(example(kms)).unwrap();
/// ```
pub struct EncryptedStore<S> {
    pub(crate) shared: Arc<Shared<S>>,
}

/// What clones of a store, and streams of it, have in common.
#[derive(Debug)]
pub(crate) struct Shared<S> {
    pub(crate) inner: S,
    pub(crate) sealer: Sealer<SharedProvider>,
    pub(crate) opener: Opener<SharedProvider>,
    pub(crate) bound: Bound,
    pub(crate) headers: Arc<Headers>,
    pub(crate) part_len: usize,
    pub(crate) reads_plaintext: bool,
    /// How many runs are sealed or opened at the same time for one object.
    pub(crate) width: usize,
    pub(crate) spare: Arc<Spare>,
    /// How many parts of uploads are sealed at the same time.
    pub(crate) sealing: Arc<Semaphore>,
}

impl<S: ObjectStore> EncryptedStore<S> {
    /// A store over `inner` with the defaults of [`builder`](Self::builder).
    #[must_use]
    pub fn new(inner: S, sealer: Sealer<SharedProvider>, opener: Opener<SharedProvider>) -> Self {
        Self::builder(inner, sealer, opener).finish()
    }

    /// A store to choose the settings of. `sealer` seals new objects, and its suite and header length
    /// should be those of the objects that are there: sizes in listings go by them. `opener` may have more
    /// providers.
    #[must_use]
    pub fn builder(
        inner: S,
        sealer: Sealer<SharedProvider>,
        opener: Opener<SharedProvider>,
    ) -> EncryptedStoreBuilder<S> {
        EncryptedStoreBuilder::new(inner, sealer, opener)
    }

    /// The store beneath, which has the sealed objects.
    #[must_use]
    pub fn inner(&self) -> &S {
        &self.shared.inner
    }

    /// How many headers are kept now.
    #[must_use]
    pub fn cached_headers(&self) -> usize {
        self.shared.headers.len()
    }

    /// Drops all headers that are kept, and their keys, as after a permission was taken away. What the
    /// opener keeps is [its own](Opener::clear_cache).
    pub fn clear_header_cache(&self) {
        self.shared.headers.clear();
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<S: ObjectStore> ObjectStore for EncryptedStore<S> {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        opts: PutOptions,
    ) -> Result<PutResult> {
        self.shared.put(location, payload, opts).await
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        opts: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        Ok(Box::new(upload::begin(&self.shared, location, location, opts).await?))
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.shared.get(location, options).await
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.shared.get_ranges(location, ranges).await
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        let headers = Arc::clone(&self.shared.headers);
        let deleted = self.shared.inner.delete_stream(locations);
        deleted.inspect(move |path| path.iter().for_each(|path| headers.forget(path))).boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let sizes = self.shared.sizes();
        self.shared.inner.list(prefix).map(move |meta| meta.map(|meta| sizes.of(meta))).boxed()
    }

    fn list_with_offset(
        &self,
        prefix: Option<&Path>,
        offset: &Path,
    ) -> BoxStream<'static, Result<ObjectMeta>> {
        let sizes = self.shared.sizes();
        let listed = self.shared.inner.list_with_offset(prefix, offset);
        listed.map(move |meta| meta.map(|meta| sizes.of(meta))).boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        let sizes = self.shared.sizes();
        let ListResult { common_prefixes, objects, extensions } =
            self.shared.inner.list_with_delimiter(prefix).await?;
        let objects = objects.into_iter().map(|meta| sizes.of(meta)).collect();
        Ok(ListResult { common_prefixes, objects, extensions })
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.shared.copy(from, to, options).await
    }

    async fn rename_opts(&self, from: &Path, to: &Path, options: RenameOptions) -> Result<()> {
        self.shared.rename(from, to, options).await
    }
}

impl<S> Clone for EncryptedStore<S> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

impl<S: Debug> Debug for EncryptedStore<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EncryptedStore")
            .field("inner", &self.shared.inner)
            .field("bound", &self.shared.bound)
            .field("reads_plaintext", &self.shared.reads_plaintext)
            .finish_non_exhaustive()
    }
}

impl<S: Display> Display for EncryptedStore<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EncryptedStore({})", self.shared.inner)
    }
}
