//! A provider that remembers its answers, so that a case which opens one message a hundred thousand
//! times calls a live server once.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
};

use async_trait::async_trait;
use bulla::{CryptoProvider, DataKey, EncryptionContext, Operation, Result, Wrapped};

use crate::{Hook, Hooked};

#[derive(Debug, Default)]
pub(crate) struct Remember {
    /// Only answers that came back well: a changed request is a new one and goes to the server.
    unwrapped: Mutex<HashMap<(Wrapped, EncryptionContext), DataKey>>,
    pub(crate) generate_calls: AtomicUsize,
    pub(crate) wrap_calls: AtomicUsize,
    pub(crate) unwrap_calls: AtomicUsize,
}

impl Remember {
    pub(crate) fn in_front_of(provider: Arc<dyn CryptoProvider>) -> Arc<Hooked<Self>> {
        Arc::new(Hooked::new(provider, Self::default()))
    }
}

#[async_trait]
impl Hook for Remember {
    async fn before(&self, operation: Operation, _: Option<&EncryptionContext>) -> Result<()> {
        let calls = match operation {
            Operation::GenerateDataKey => &self.generate_calls,
            Operation::WrapDataKey => &self.wrap_calls,
            Operation::UnwrapDataKey => &self.unwrap_calls,
            _ => return Ok(()),
        };
        calls.fetch_add(1, SeqCst);
        Ok(())
    }

    async fn unwrap_data_key(
        &self,
        provider: &dyn CryptoProvider,
        wrapped: &Wrapped,
        context: &EncryptionContext,
    ) -> Result<DataKey> {
        let request = (wrapped.clone(), context.clone());
        let known = self
            .unwrapped
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&request)
            .map(DataKey::share);
        if let Some(key) = known {
            return Ok(key);
        }
        let key = provider.unwrap_data_key(wrapped, context).await?;
        let mut unwrapped = self.unwrapped.lock().unwrap_or_else(PoisonError::into_inner);
        unwrapped.insert(request, key.share());
        Ok(key)
    }
}
