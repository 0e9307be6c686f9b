//! Where a ring is kept.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use bulla::Result;

/// Where a ring is kept: one document, replaced by whoever has read it last.
///
/// A store looks at no byte of it. Documents have up to [`MAX_RING_LEN`](super::MAX_RING_LEN) bytes, and
/// the private halves in them are sealed; but whoever may write a document says which keys sign and which
/// are published, so a store is to be written to by those alone who may.
#[async_trait]
pub trait RingStore: Send + Sync {
    /// The document, or `None` if there is none yet.
    ///
    /// # Errors
    /// Why it can't be read; that nobody can tell is an error, and never `None`.
    async fn load(&self) -> Result<Option<Vec<u8>>>;

    /// Replaces the document if it still is `expected`, or if there is none where that is `None`:
    /// `false` if it is another by now. Of several who replace the same document, one does.
    ///
    /// When this returns `Ok(true)`, the document outlives a crash of the machine.
    ///
    /// # Errors
    /// If it could not be written, or nobody can tell.
    async fn replace(&self, expected: Option<&[u8]>, document: &[u8]) -> Result<bool>;
}

#[async_trait]
impl<S: RingStore + ?Sized> RingStore for Arc<S> {
    async fn load(&self) -> Result<Option<Vec<u8>>> {
        (**self).load().await
    }

    async fn replace(&self, expected: Option<&[u8]>, document: &[u8]) -> Result<bool> {
        (**self).replace(expected, document).await
    }
}

/// A ring in memory, for tests and for processes that make their keys anew. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct MemoryRing(Arc<Mutex<Option<Vec<u8>>>>);

impl MemoryRing {
    /// No ring yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}

#[async_trait]
impl RingStore for MemoryRing {
    async fn load(&self) -> Result<Option<Vec<u8>>> {
        Ok(self.0.lock().unwrap_or_else(PoisonError::into_inner).clone())
    }

    async fn replace(&self, expected: Option<&[u8]>, document: &[u8]) -> Result<bool> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_expected = kept.as_deref() == expected;
        if is_expected {
            *kept = Some(document.to_owned());
        }
        Ok(is_expected)
    }
}
