//! A key store in the place of a KMS, which counts every call.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::SeqCst},
};

use async_trait::async_trait;
use bulla::{EncryptionContext, Operation, Result};
use bulla_conformance::{Hook, Hooked};
use bulla_local::{KeyType, Local, Protection, Store};
use tempfile::TempDir;

#[derive(Debug)]
pub(crate) struct Kms {
    _dir: TempDir,
    /// Calls that a KMS would be paid for, and whose outage is its own.
    calls: AtomicUsize,
}

pub(crate) type SharedKms = Arc<Hooked<Kms>>;

impl Kms {
    pub(crate) fn new() -> SharedKms {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::at(dir.path().join("bulla"));
        store.create_key("kek", KeyType::Aes256, &Protection::None).unwrap();
        let local = Local::builder(store).sealing_key("kek").build().unwrap();
        let kms = Self { _dir: dir, calls: AtomicUsize::new(0) };
        Arc::new(Hooked::new(Arc::new(local), kms))
    }

    /// How many calls there were since this was last asked.
    pub(crate) fn calls(&self) -> usize {
        self.calls.swap(0, SeqCst)
    }
}

#[async_trait]
impl Hook for Kms {
    async fn before(&self, _: Operation, _: Option<&EncryptionContext>) -> Result<()> {
        self.calls.fetch_add(1, SeqCst);
        Ok(())
    }
}
