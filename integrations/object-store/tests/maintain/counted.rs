//! A store that counts what it is asked for, and lets tests step in.

use std::{
    collections::HashMap,
    fmt,
    ops::Range,
    sync::{Arc, Mutex},
};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::BoxStream;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, RenameOptions, Result, path::Path,
};

/// Called before an object is put.
pub(crate) type Before = dyn Fn(&Path) -> Option<object_store::Error> + Send + Sync;

pub(crate) struct Counted {
    inner: Arc<dyn ObjectStore>,
    /// Puts that were done, by object.
    pub(crate) puts: Mutex<HashMap<Path, usize>>,
    pub(crate) gets: Mutex<Vec<(Path, Option<u64>)>>,
    pub(crate) uploads: Mutex<usize>,
    before: Mutex<Option<Box<Before>>>,
}

impl Counted {
    pub(crate) fn new(inner: Arc<dyn ObjectStore>) -> Arc<Self> {
        Arc::new(Self {
            inner,
            puts: Mutex::default(),
            gets: Mutex::default(),
            uploads: Mutex::default(),
            before: Mutex::default(),
        })
    }

    pub(crate) fn before_put(
        &self,
        before: impl Fn(&Path) -> Option<object_store::Error> + Send + Sync + 'static,
    ) {
        *self.before.lock().unwrap() = Some(Box::new(before));
    }

    /// The store behind the counter.
    pub(crate) fn raw(&self) -> Arc<dyn ObjectStore> {
        Arc::clone(&self.inner)
    }

    pub(crate) fn forget(&self) {
        self.puts.lock().unwrap().clear();
        self.gets.lock().unwrap().clear();
    }

    pub(crate) fn put_count(&self) -> usize {
        self.puts.lock().unwrap().values().sum()
    }

    pub(crate) fn get_count(&self) -> usize {
        self.gets.lock().unwrap().len()
    }

    /// The most puts that one object has had.
    pub(crate) fn most_puts(&self) -> usize {
        self.puts.lock().unwrap().values().copied().max().unwrap_or(0)
    }
}

#[async_trait]
impl ObjectStore for Counted {
    async fn put_opts(&self, path: &Path, put: PutPayload, how: PutOptions) -> Result<PutResult> {
        let refused = self.before.lock().unwrap().as_ref().and_then(|before| before(path));
        if let Some(error) = refused {
            return Err(error);
        }
        // What is dropped here is not done.
        tokio::task::yield_now().await;
        let done = self.inner.put_opts(path, put, how).await?;
        *self.puts.lock().unwrap().entry(path.clone()).or_default() += 1;
        Ok(done)
    }

    async fn put_multipart_opts(
        &self,
        path: &Path,
        how: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        *self.uploads.lock().unwrap() += 1;
        self.inner.put_multipart_opts(path, how).await
    }

    async fn get_opts(&self, path: &Path, how: GetOptions) -> Result<GetResult> {
        let asked = match (how.head, &how.range) {
            (true, _) => Some(0),
            (_, Some(object_store::GetRange::Bounded(range))) => Some(range.end - range.start),
            _ => None,
        };
        self.gets.lock().unwrap().push((path.clone(), asked));
        tokio::task::yield_now().await;
        self.inner.get_opts(path, how).await
    }

    async fn get_ranges(&self, path: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.inner.get_ranges(path, ranges).await
    }

    fn delete_stream(
        &self,
        paths: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        self.inner.delete_stream(paths)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.inner.list(prefix)
    }

    fn list_with_offset(
        &self,
        prefix: Option<&Path>,
        offset: &Path,
    ) -> BoxStream<'static, Result<ObjectMeta>> {
        self.inner.list_with_offset(prefix, offset)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, how: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, how).await
    }

    async fn rename_opts(&self, from: &Path, to: &Path, how: RenameOptions) -> Result<()> {
        self.inner.rename_opts(from, to, how).await
    }
}

impl fmt::Debug for Counted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

impl fmt::Display for Counted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}
