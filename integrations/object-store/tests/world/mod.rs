//! What the tests stand on: a KMS that can fail, and stores that count, fail and let others in between.

#![allow(dead_code, unused_imports, reason = "each test uses a part of it")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

mod kms;
mod local;
mod suite;
mod watched;

use std::sync::Arc;

use bulla::{Opener, Sealer, SharedProvider};
use bulla_object_store::{EncryptedStore, EncryptedStoreBuilder};
use bytes::Bytes;
use object_store::{
    MultipartUpload, ObjectStore, ObjectStoreExt, PutPayload, Result, memory::InMemory, path::Path,
};

pub(crate) use kms::{Kms, SharedKms};
pub(crate) use local::Local;
pub(crate) use suite::suite;
pub(crate) use watched::{Call, Watched, broken};

/// Bytes of plaintext in a chunk.
pub(crate) const CHUNK: usize = 65_536;

/// Where the first chunk begins.
pub(crate) const HEAD: usize = 1024 + 56;

pub(crate) fn builder_with<S: ObjectStore>(inner: S, kms: &SharedKms) -> EncryptedStoreBuilder<S> {
    let provider: SharedProvider = Arc::clone(kms) as _;
    let sealer = Sealer::new(Arc::clone(&provider)).unwrap();
    EncryptedStore::builder(inner, sealer, Opener::new([provider]))
}

pub(crate) fn builder<S: ObjectStore>(inner: S) -> EncryptedStoreBuilder<S> {
    builder_with(inner, &Kms::new())
}

pub(crate) fn encrypted<S: ObjectStore>(inner: S) -> EncryptedStore<S> {
    builder(inner).build().unwrap()
}

/// An encrypted store in memory that is watched beneath.
pub(crate) fn in_memory() -> EncryptedStore<Arc<Watched<InMemory>>> {
    encrypted(Watched::new(InMemory::new()))
}

/// Bytes of which no two chunks are alike.
pub(crate) fn plaintext(len: usize) -> Bytes {
    let mut random = fastrand::Rng::with_seed(len as u64 + 1);
    let mut bytes = vec![0; len];
    random.fill(&mut bytes);
    bytes.into()
}

pub(crate) fn path(text: &str) -> Path {
    Path::from(text)
}

pub(crate) async fn read<S: ObjectStore>(store: &S, at: &str) -> Result<Bytes> {
    store.get(&path(at)).await?.bytes().await
}

/// Puts an object in parts, one after the other.
pub(crate) async fn upload<S: ObjectStore>(store: &S, at: &str, parts: &[Bytes]) -> Result<()> {
    let mut upload = store.put_multipart(&path(at)).await?;
    for part in parts {
        upload.put_part(PutPayload::from(part.clone())).await?;
    }
    upload.complete().await.map(drop)
}

/// Cuts bytes into parts of a length.
pub(crate) fn cut(bytes: &Bytes, len: usize) -> Vec<Bytes> {
    let starts = (0..bytes.len()).step_by(len.max(1));
    starts.map(|at| bytes.slice(at..bytes.len().min(at + len))).collect()
}
