//! Uploads in parts: the caller's are of any size, those beneath all of one.
//!
//! What is stored is one sealed message, cut anew: at every [`part_len`](crate::EncryptedStoreBuilder::part_len)
//! bytes of it, wherever in a chunk that is. The chunk at such a cut is sealed at once and goes to both
//! parts, the others of a part are sealed by a thread, and parts are handed to the store beneath in order.

mod cut;
mod line;

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use bulla::{Error, ErrorKind, stream::RunSealer};
use futures_util::{FutureExt, StreamExt, TryStreamExt, future::ready, stream};
use object_store::{
    MultipartUpload, ObjectStore, PutMultipartOptions, PutPayload, PutResult, Result, UploadPart,
    path::Path,
};
use tokio::{runtime::Handle, sync::Semaphore};

use self::{cut::Cutter, line::Line};
use crate::{error::failed, headers::Headers, store::Shared};

/// How many parts beneath one of the caller's are uploaded at the same time.
const AT_ONCE: usize = 4;

/// Begins an upload to a location, of what is bound to a location, mostly the same. The KMS is asked
/// first: where it is out, no upload begins.
pub(crate) async fn begin<S: ObjectStore>(
    shared: &Shared<S>,
    bound_to: &Path,
    location: &Path,
    opts: PutMultipartOptions,
) -> Result<EncryptedUpload> {
    let told = |error| failed(location, error);
    let context = shared.bound.to_seal(bound_to).map_err(told)?;
    let sealing = shared.sealer.begin(&context).await.map_err(told)?;
    let (preamble, runs) = RunSealer::new(sealing);
    let upload = shared.inner.put_multipart_opts(location, opts).await?;
    Ok(EncryptedUpload {
        location: location.clone(),
        headers: Arc::clone(&shared.headers),
        sealing: Arc::clone(&shared.sealing),
        width: shared.width,
        cutter: Some(Cutter::new(preamble, runs, shared.part_len)),
        line: Line::new(location.clone(), upload),
    })
}

/// An object that is uploaded in parts, and not there before [`complete`](MultipartUpload::complete).
pub(crate) struct EncryptedUpload {
    location: Path,
    headers: Arc<Headers>,
    sealing: Arc<Semaphore>,
    width: usize,
    /// Gone once the last chunk was cut, or something has failed.
    cutter: Option<Cutter>,
    line: Arc<Line>,
}

impl EncryptedUpload {
    /// Cuts off the parts that are whole, and has them sealed. Their numbers.
    fn take_on(&mut self, data: PutPayload) -> bulla::Result<Vec<usize>> {
        let Some(cutter) = &mut self.cutter else { return Err(ended()) };
        cutter.push(data);
        let mut parts = Vec::new();
        while let Some(part) = cutter.next_part()? {
            parts.push(part);
        }
        let seal = |part: cut::Part| {
            let number = self.line.expect();
            let (line, sealing) = (Arc::clone(&self.line), Arc::clone(&self.sealing));
            let width = self.width;
            let seal = async move { line.sealed(number, part.seal(line.location(), width).await) };
            match Handle::try_current() {
                Ok(runtime) => drop(runtime.spawn(async move {
                    // A semaphore that nobody closes.
                    let _turn = sealing.acquire_owned().await;
                    seal.await;
                })),
                // Then it waits for nothing.
                Err(_) => drop(seal.now_or_never()),
            }
            number
        };
        Ok(parts.into_iter().map(seal).collect())
    }

    async fn finish(&mut self) -> Result<PutResult> {
        let cutter = self.cutter.take();
        let told = |error| failed(&self.location, error);
        let mut upload = self.line.close()?;
        let done = async {
            self.line.check_whole()?;
            let part = cutter.ok_or_else(|| told(ended()))?.last().map_err(told)?;
            for last in part.seal_last(&self.location, self.width).await? {
                upload.put_part(last).await?;
            }
            upload.complete().await
        };
        let done = done.await;
        if done.is_err() {
            give_up(&self.location, upload).await;
        }
        done
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl MultipartUpload for EncryptedUpload {
    /// Seals in the background at once, and uploads when it is polled.
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        let parts = match self.take_on(data) {
            Ok(parts) => parts,
            Err(error) => {
                self.cutter.take();
                let error = failed(&self.location, error);
                self.line.fail();
                return ready(Err(error)).boxed();
            }
        };
        let line = Arc::clone(&self.line);
        async move {
            let uploads = parts.into_iter().map(|number| Arc::clone(&line).upload(number));
            stream::iter(uploads).buffer_unordered(AT_ONCE).try_collect::<()>().await?;
            line.check()
        }
        .boxed()
    }

    async fn complete(&mut self) -> Result<PutResult> {
        let done = self.finish().await;
        self.headers.forget(&self.location);
        done
    }

    async fn abort(&mut self) -> Result<()> {
        self.cutter.take();
        match self.line.take() {
            Some(mut upload) => upload.abort().await,
            None => Ok(()),
        }
    }
}

impl Drop for EncryptedUpload {
    /// Does what the upload beneath does when it is dropped. One that has failed is aborted, if there is a
    /// runtime: who saw the error may have thought that enough.
    fn drop(&mut self) {
        let has_failed = self.line.has_failed();
        let Some(upload) = self.line.take() else { return };
        if let (true, Ok(runtime)) = (has_failed, Handle::try_current()) {
            let location = self.location.clone();
            runtime.spawn(async move { give_up(&location, upload).await });
        }
    }
}

/// Aborts an upload that has failed, so that the store keeps no parts of it.
async fn give_up(location: &Path, mut upload: Box<dyn MultipartUpload>) {
    if let Err(error) = upload.abort().await {
        tracing::warn!(%location, %error, "an upload that failed could not be aborted");
    }
}

fn ended() -> Error {
    Error::new(ErrorKind::Closed, "the upload has ended, or has failed")
}

impl fmt::Debug for EncryptedUpload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EncryptedUpload").field("location", &self.location).finish_non_exhaustive()
    }
}
