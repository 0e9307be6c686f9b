use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use async_trait::async_trait;
use bulla::{EncryptionContext, Error, ErrorKind, Operation, Result};
use bulla_conformance::{Hook, Hooked, Memory};

/// A KMS that counts its calls, and fails when it is told to.
#[derive(Debug, Default)]
pub(crate) struct Kms {
    fails: Mutex<Option<ErrorKind>>,
    takes: Mutex<Duration>,
    generated: AtomicUsize,
    unwrapped: AtomicUsize,
    contexts: Mutex<Vec<EncryptionContext>>,
}

pub(crate) type SharedKms = Arc<Hooked<Kms>>;

impl Kms {
    pub(crate) fn new() -> SharedKms {
        Self::of(Memory::new("key"))
    }

    pub(crate) fn with_key(key: &[u8; 32]) -> SharedKms {
        Self::of(Memory::with_key("key", key))
    }

    fn of(memory: Memory) -> SharedKms {
        Arc::new(Hooked::new(Arc::new(memory), Self::default()))
    }

    pub(crate) fn fail(&self, kind: ErrorKind) {
        *self.fails.lock().unwrap() = Some(kind);
    }

    pub(crate) fn recover(&self) {
        *self.fails.lock().unwrap() = None;
    }

    pub(crate) fn take(&self, time: Duration) {
        *self.takes.lock().unwrap() = time;
    }

    /// How often a data key was made, and unwrapped, since this was asked last.
    pub(crate) fn calls(&self) -> (usize, usize) {
        (self.generated.swap(0, SeqCst), self.unwrapped.swap(0, SeqCst))
    }

    /// The contexts that it was told since this was asked last.
    pub(crate) fn contexts(&self) -> Vec<EncryptionContext> {
        std::mem::take(&mut self.contexts.lock().unwrap())
    }
}

#[async_trait]
impl Hook for Kms {
    async fn before(
        &self,
        operation: Operation,
        context: Option<&EncryptionContext>,
    ) -> Result<()> {
        let counter = match operation {
            Operation::GenerateDataKey => &self.generated,
            Operation::UnwrapDataKey => &self.unwrapped,
            _ => return Ok(()),
        };
        counter.fetch_add(1, SeqCst);
        self.contexts.lock().unwrap().extend(context.cloned());
        let takes = *self.takes.lock().unwrap();
        if !takes.is_zero() {
            tokio::time::sleep(takes).await;
        }
        match *self.fails.lock().unwrap() {
            Some(kind) => Err(Error::new(kind, "as the test asked")),
            None => Ok(()),
        }
    }
}
