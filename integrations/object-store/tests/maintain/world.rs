//! Objects sealed as an encrypted store seals them, and rotations of their keys.

use std::{io::Read as _, sync::Arc};

use bulla::{Context, Opener, Sealer, stream::EncryptReader};
use bulla_object_store::maintain::{Outcome, Report, Rotation, RotationBuilder};
use bytes::Bytes;
use object_store::{ObjectStore, ObjectStoreExt as _, memory::InMemory, path::Path};

use crate::{
    counted::Counted,
    keys::{Key, Provider, SharedKey},
};

pub(crate) struct World {
    pub(crate) store: Arc<Counted>,
    pub(crate) old: SharedKey,
    pub(crate) new: SharedKey,
}

impl World {
    pub(crate) fn new() -> Self {
        Self::over(Arc::new(InMemory::new()))
    }

    pub(crate) fn over(store: Arc<dyn ObjectStore>) -> Self {
        Self { store: Counted::new(store), old: Key::new("old"), new: Key::new("new") }
    }

    pub(crate) async fn put(&self, path: &str, key: &SharedKey, plaintext: &[u8]) {
        let sealed = seal(&[key], plaintext).await;
        self.store.put(&Path::from(path), sealed.into()).await.unwrap();
    }

    pub(crate) async fn put_bytes(&self, path: &str, bytes: impl Into<Bytes>) {
        self.store.put(&Path::from(path), bytes.into().into()).await.unwrap();
    }

    pub(crate) async fn read(&self, path: &str) -> Bytes {
        self.store.get(&Path::from(path)).await.unwrap().bytes().await.unwrap()
    }

    /// From the old key to the new one.
    pub(crate) fn rotation(&self) -> RotationBuilder<Provider> {
        let store: Arc<dyn ObjectStore> = Arc::clone(&self.store) as _;
        Rotation::builder(store, self.opener()).from_key(&self.old.name()).to(provider(&self.new))
    }

    pub(crate) fn opener(&self) -> Opener<Provider> {
        Opener::new([provider(&self.old), provider(&self.new)])
    }

    pub(crate) async fn run(&self) -> Report {
        run(self.rotation()).await
    }
}

pub(crate) async fn run(rotation: RotationBuilder<Provider>) -> Report {
    let tell = |path: &Path, outcome: &Outcome| {
        if let Outcome::Failed(failure) = outcome {
            eprintln!("{path}: {failure}");
        }
    };
    rotation.build().unwrap().run(std::future::pending(), tell).await.unwrap()
}

pub(crate) fn provider(key: &SharedKey) -> Provider {
    Arc::clone(key) as _
}

pub(crate) fn context() -> Context {
    Context::new().with_key("tenant", "acme").unwrap().with_item("row", "7").unwrap()
}

/// A stream, whose header is padded.
pub(crate) async fn seal(keys: &[&SharedKey], plaintext: &[u8]) -> Bytes {
    let sealer = keys.iter().fold(Sealer::builder(), |sealer, key| sealer.recipient(provider(key)));
    let sealing = sealer.build().unwrap().begin(&context()).await.unwrap();
    let mut sealed = Vec::new();
    EncryptReader::new(sealing, plaintext).read_to_end(&mut sealed).unwrap();
    sealed.into()
}

/// What it opens to with one key alone.
pub(crate) async fn open(key: &SharedKey, sealed: &[u8]) -> bulla::Result<Vec<u8>> {
    Opener::new([provider(key)]).open(sealed, &context()).await.map(|plain| plain.to_vec())
}

/// Bytes that don't repeat soon.
#[cfg(feature = "aws")]
pub(crate) fn noise(len: usize) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(5);
    (0..len).map(|_| random.u8(..)).collect()
}
