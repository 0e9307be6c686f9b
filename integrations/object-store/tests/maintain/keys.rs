//! Keys in memory whose service can be out, and has its calls counted.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
};

use async_trait::async_trait;
use bulla::{CryptoProvider, EncryptionContext, Error, ErrorKind, KeyName, Operation, Result};
use bulla_conformance::{Hook, Hooked, Memory};

#[derive(Debug)]
pub(crate) struct Key {
    name: KeyName,
    down: AtomicBool,
    calls: AtomicUsize,
    /// After so many calls the service is out.
    breaks_after: AtomicUsize,
}

pub(crate) type SharedKey = Arc<Hooked<Key>>;

pub(crate) type Provider = Arc<dyn CryptoProvider>;

impl Key {
    pub(crate) fn new(id: &str) -> SharedKey {
        let memory = Memory::new(id);
        let key = Self {
            name: memory.sealing_key().unwrap().clone(),
            down: AtomicBool::new(false),
            calls: AtomicUsize::new(0),
            breaks_after: AtomicUsize::new(usize::MAX),
        };
        Arc::new(Hooked::new(Arc::new(memory), key))
    }

    pub(crate) fn name(&self) -> KeyName {
        self.name.clone()
    }

    pub(crate) fn set_down(&self, down: bool) {
        self.down.store(down, SeqCst);
        self.breaks_after.store(usize::MAX, SeqCst);
    }

    pub(crate) fn break_after(&self, calls: usize) {
        self.breaks_after.store(self.calls() + calls, SeqCst);
    }

    pub(crate) fn calls(&self) -> usize {
        self.calls.load(SeqCst)
    }
}

#[async_trait]
impl Hook for Key {
    async fn before(&self, operation: Operation, _: Option<&EncryptionContext>) -> Result<()> {
        use Operation::{GenerateDataKey, UnwrapDataKey, WrapDataKey};
        if !matches!(operation, GenerateDataKey | WrapDataKey | UnwrapDataKey) {
            return Ok(());
        }
        tokio::task::yield_now().await;
        let calls = self.calls.fetch_add(1, SeqCst);
        match self.down.load(SeqCst) || calls >= self.breaks_after.load(SeqCst) {
            true => Err(Error::new(ErrorKind::Unavailable, "the service is out")),
            false => Ok(()),
        }
    }
}
