use std::{
    fmt,
    ops::Range,
    sync::{Arc, Mutex},
};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{FutureExt, StreamExt, stream::BoxStream};
use object_store::{
    CopyOptions, Error, GetOptions, GetRange, GetResult, GetResultPayload, ListResult,
    MultipartUpload, ObjectMeta, ObjectStore, PutMultipartOptions, PutOptions, PutPayload,
    PutResult, RenameOptions, Result, UploadPart, path::Path,
};

/// A request to the store beneath.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Call {
    Put(usize),
    Begin,
    Part(usize),
    Complete,
    Abort,
    Get(Option<Range<u64>>),
    Head,
    Delete,
    List,
    Copy,
    Rename,
}

type Hook = Box<dyn FnMut(&Call) -> Result<()> + Send>;

/// A store that writes down what it is asked, and does something before it answers.
pub(crate) struct Watched<S> {
    pub(crate) inner: S,
    log: Arc<Mutex<Vec<Call>>>,
    hook: Arc<Mutex<Option<Hook>>>,
    /// The bytes in which bodies come, if not as they are.
    pieces: Mutex<Option<usize>>,
    /// Uploads that were begun and neither completed nor aborted.
    open: Arc<Mutex<usize>>,
}

impl<S> Watched<S> {
    pub(crate) fn new(inner: S) -> Arc<Self> {
        Arc::new(Self {
            inner,
            log: Arc::default(),
            hook: Arc::default(),
            pieces: Mutex::default(),
            open: Arc::default(),
        })
    }

    /// What was asked since this was asked last.
    pub(crate) fn calls(&self) -> Vec<Call> {
        std::mem::take(&mut self.log.lock().unwrap())
    }

    /// Before each answer. An error is the answer.
    pub(crate) fn before(&self, hook: impl FnMut(&Call) -> Result<()> + Send + 'static) {
        *self.hook.lock().unwrap() = Some(Box::new(hook));
    }

    pub(crate) fn leave_alone(&self) {
        *self.hook.lock().unwrap() = None;
    }

    /// Lets bodies come in pieces of this length.
    pub(crate) fn in_pieces(&self, len: usize) {
        *self.pieces.lock().unwrap() = Some(len);
    }

    pub(crate) fn open_uploads(&self) -> usize {
        *self.open.lock().unwrap()
    }

    fn called(&self, call: Call) -> Result<()> {
        called(&self.log, &self.hook, call)
    }
}

fn called(log: &Mutex<Vec<Call>>, hook: &Mutex<Option<Hook>>, call: Call) -> Result<()> {
    log.lock().unwrap().push(call.clone());
    let taken = hook.lock().unwrap().take();
    let Some(mut own) = taken else { return Ok(()) };
    let done = own(&call);
    hook.lock().unwrap().get_or_insert(own);
    done
}

pub(crate) fn broken() -> Error {
    Error::Generic { store: "Watched", source: "as the test asked".into() }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<S: ObjectStore> ObjectStore for Watched<S> {
    async fn put_opts(
        &self,
        at: &Path,
        payload: PutPayload,
        opts: PutOptions,
    ) -> Result<PutResult> {
        self.called(Call::Put(payload.content_length()))?;
        self.inner.put_opts(at, payload, opts).await
    }

    async fn put_multipart_opts(
        &self,
        at: &Path,
        opts: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.called(Call::Begin)?;
        let inner = self.inner.put_multipart_opts(at, opts).await?;
        *self.open.lock().unwrap() += 1;
        let (log, hook, open) =
            (Arc::clone(&self.log), Arc::clone(&self.hook), Arc::clone(&self.open));
        Ok(Box::new(WatchedUpload { inner, log, hook, open }))
    }

    async fn get_opts(&self, at: &Path, options: GetOptions) -> Result<GetResult> {
        let range = options.range.clone().map(|range| match range {
            GetRange::Bounded(range) => range,
            other => panic!("ranges that depend on the length are not sent: {other:?}"),
        });
        self.called(if options.head { Call::Head } else { Call::Get(range) })?;
        let mut result = self.inner.get_opts(at, options).await?;
        if let Some(len) = *self.pieces.lock().unwrap() {
            let cut = move |bytes: Result<Bytes>| {
                let pieces = bytes.map(|bytes| super::cut(&bytes, len));
                let pieces = pieces.map_or_else(
                    |error| vec![Err(error)],
                    |pieces| pieces.into_iter().map(Ok).collect(),
                );
                futures_util::stream::iter(pieces)
            };
            if let GetResultPayload::Stream(stream) = result.payload {
                result.payload = GetResultPayload::Stream(stream.flat_map(cut).boxed());
            }
        }
        Ok(result)
    }

    async fn get_ranges(&self, _: &Path, _: &[Range<u64>]) -> Result<Vec<Bytes>> {
        panic!("it can't be held to an ETag")
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        match self.called(Call::Delete) {
            Ok(()) => self.inner.delete_stream(locations),
            Err(error) => futures_util::stream::once(async { Err(error) }).boxed(),
        }
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.called(Call::List).unwrap();
        self.inner.list(prefix)
    }

    fn list_with_offset(
        &self,
        prefix: Option<&Path>,
        offset: &Path,
    ) -> BoxStream<'static, Result<ObjectMeta>> {
        self.called(Call::List).unwrap();
        self.inner.list_with_offset(prefix, offset)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.called(Call::List)?;
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.called(Call::Copy)?;
        self.inner.copy_opts(from, to, options).await
    }

    async fn rename_opts(&self, from: &Path, to: &Path, options: RenameOptions) -> Result<()> {
        self.called(Call::Rename)?;
        self.inner.rename_opts(from, to, options).await
    }
}

struct WatchedUpload {
    inner: Box<dyn MultipartUpload>,
    log: Arc<Mutex<Vec<Call>>>,
    hook: Arc<Mutex<Option<Hook>>>,
    open: Arc<Mutex<usize>>,
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl MultipartUpload for WatchedUpload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        let call = Call::Part(data.content_length());
        let part = self.inner.put_part(data);
        let (log, hook) = (Arc::clone(&self.log), Arc::clone(&self.hook));
        async move {
            called(&log, &hook, call)?;
            part.await
        }
        .boxed()
    }

    async fn complete(&mut self) -> Result<PutResult> {
        called(&self.log, &self.hook, Call::Complete)?;
        let done = self.inner.complete().await?;
        *self.open.lock().unwrap() -= 1;
        Ok(done)
    }

    async fn abort(&mut self) -> Result<()> {
        called(&self.log, &self.hook, Call::Abort)?;
        *self.open.lock().unwrap() -= 1;
        self.inner.abort().await
    }
}

impl<S: fmt::Display> fmt::Display for Watched<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Watched({})", self.inner)
    }
}

impl<S: fmt::Debug> fmt::Debug for Watched<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watched").field("inner", &self.inner).finish_non_exhaustive()
    }
}

impl fmt::Debug for WatchedUpload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WatchedUpload").finish_non_exhaustive()
    }
}
