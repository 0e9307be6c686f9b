//! Copies and renames: the store's own where the copy opens as it is, and by way of this process where it
//! is bound to its location.

use futures_util::TryStreamExt;
use object_store::{
    CopyMode, CopyOptions, GetOptions, GetResult, MultipartUpload as _, ObjectStore,
    ObjectStoreExt as _, PutMode, PutMultipartOptions, PutOptions, PutPayload, RenameOptions,
    RenameTargetMode, Result, path::Path,
};

use crate::{
    binding::new_id,
    error::failed,
    store::Shared,
    upload::{self, EncryptedUpload},
};

/// How many pieces of plaintext, of 1 MiB, are on their way into an upload.
const PIECES_AHEAD: usize = 32;

impl<S: ObjectStore> Shared<S> {
    pub(crate) async fn copy(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        let done = if self.opens_at(from, to)? {
            self.inner.copy_opts(from, to, options).await
        } else {
            self.copy_sealed_anew(from, to, options).await
        };
        self.headers.forget(to);
        done
    }

    pub(crate) async fn rename(
        &self,
        from: &Path,
        to: &Path,
        options: RenameOptions,
    ) -> Result<()> {
        let done = if self.opens_at(from, to)? {
            self.inner.rename_opts(from, to, options).await
        } else {
            let RenameOptions { target_mode, extensions } = options;
            let mode = match target_mode {
                RenameTargetMode::Overwrite => CopyMode::Overwrite,
                RenameTargetMode::Create => CopyMode::Create,
            };
            match self.copy_sealed_anew(from, to, CopyOptions { mode, extensions }).await {
                Ok(()) => self.inner.delete(from).await,
                failed => failed,
            }
        };
        self.headers.forget(from);
        self.headers.forget(to);
        done
    }

    fn opens_at(&self, from: &Path, to: &Path) -> Result<bool> {
        if from == to {
            return Ok(true);
        }
        self.bound.is_same_for(from, to).map_err(|error| failed(to, error))
    }

    /// Reads an object and seals it anew for its new place, under a new data key. Its attributes come
    /// along; tags can't be read, and don't.
    async fn copy_sealed_anew(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        let CopyOptions { mode, extensions } = options;
        let read = GetOptions { extensions: extensions.clone(), ..GetOptions::default() };
        let source = self.get(from, read).await?;
        let attributes = source.attributes.clone();
        if source.meta.size <= self.part_len as u64 {
            let mode = match mode {
                CopyMode::Overwrite => PutMode::Overwrite,
                CopyMode::Create => PutMode::Create,
            };
            let opts = PutOptions { mode, attributes, extensions, ..PutOptions::default() };
            // As many bytes as were said, or an error.
            let pieces: Vec<_> = source.into_stream().try_collect().await?;
            let payload: PutPayload = pieces.into_iter().collect();
            return self.put(to, payload, opts).await.map(drop);
        }
        let opts = PutMultipartOptions { attributes, extensions, ..PutMultipartOptions::default() };
        match mode {
            CopyMode::Overwrite => fill(upload::begin(self, to, to, opts).await?, source).await,
            CopyMode::Create => self.create_from(source, to, opts).await,
        }
    }

    /// Uploads in parts know no condition. So the object is made beside its place, sealed for it, and
    /// copied there by the store if nothing is there.
    async fn create_from(
        &self,
        source: GetResult,
        to: &Path,
        opts: PutMultipartOptions,
    ) -> Result<()> {
        let id = new_id().map_err(|error| failed(to, error))?;
        let beside = Path::parse(format!("{to}.{id}.copy"))?;
        fill(upload::begin(self, to, &beside, opts).await?, source).await?;
        let options = CopyOptions::new().with_mode(CopyMode::Create);
        let copied = self.inner.copy_opts(&beside, to, options).await;
        let removed = self.inner.delete(&beside).await;
        copied.and(removed)
    }
}

/// Writes all of an object into an upload, and completes it.
async fn fill(mut upload: EncryptedUpload, source: GetResult) -> Result<()> {
    let pieces = source.into_stream().map_ok(|piece| upload.put_part(piece.into()));
    let filled = pieces.try_buffer_unordered(PIECES_AHEAD).try_collect::<()>().await;
    match filled {
        Ok(()) => upload.complete().await.map(drop),
        Err(error) => {
            if let Err(error) = upload.abort().await {
                tracing::warn!(%error, "an upload that failed could not be aborted");
            }
            Err(error)
        }
    }
}
