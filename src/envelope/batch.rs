//! Batches: many values under one data key, and one call to the KMS.

use std::{collections::HashMap, fmt, ops::Deref, sync::Arc};

use super::{
    Opener, Sealer,
    cache::Wanted,
    sealer::Source,
    wrapping::{Fresh, MissingRecipient},
};
use crate::{
    context::{Context, EncryptionContext},
    error::{Error, Result},
    format::{Message, Opening, Preamble, derive::Schedule},
    key::Plaintext,
    provider::CryptoProvider,
};

/// One value of a batch and what ties it to its own place.
#[derive(Clone, Copy)]
pub struct BatchItem<'a> {
    /// The value.
    pub plaintext: &'a [u8],
    /// Its item context: not stored, not sent to a KMS.
    pub item_context: &'a EncryptionContext,
}

impl fmt::Debug for BatchItem<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BatchItem")
            .field("len", &self.plaintext.len())
            .field("item_context", self.item_context)
            .finish()
    }
}

/// The values of a batch, sealed.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SealedBatch {
    /// One result for each item, in their order.
    pub items: Vec<Result<Vec<u8>>>,
    /// The recipients that all of them lack: none, unless the write policy is
    /// [`WritePolicy::AtLeast`](crate::envelope::WritePolicy::AtLeast).
    pub missing: Vec<MissingRecipient>,
}

impl<P> Sealer<P>
where
    P: Deref<Target: CryptoProvider> + Send + Sync,
{
    /// Seals many values under one data key and one key context: one call a recipient for all of
    /// them, and none for an empty batch.
    ///
    /// Each result stands where its item stood, and each opens alone with
    /// [`Opener::open`]. One that fails costs the others nothing.
    ///
    /// # Security
    /// The messages share a data key, and their headers say so: **whoever may open one of them can
    /// open all**. What keeps them apart is the item context.
    ///
    /// # Errors
    /// The outer error is the providers', before anything was sealed. The inner ones are
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) for an item context that repeats a key of
    /// the key context or is over the limits.
    pub async fn seal_batch(
        &self,
        items: &[BatchItem<'_>],
        key_context: &EncryptionContext,
    ) -> Result<SealedBatch> {
        if items.is_empty() {
            return Ok(SealedBatch { items: Vec::new(), missing: Vec::new() });
        }
        let bytes = items.iter().map(|item| item.plaintext.len() as u64).sum();
        let wanted = Wanted { messages: items.len() as u64, bytes };
        let Source { key, shared } = self.data_key(key_context, wanted).await?;
        let Fresh { schedule, missing, .. } = &*key;
        let message = Message { suite: self.suite(), shared, padded: None };
        let seal = |item: &BatchItem<'_>| {
            let context = Context::from_parts(key_context.clone(), item.item_context.clone())?;
            message.seal(schedule, key.head(), &context, item.plaintext)
        };
        Ok(SealedBatch { items: items.iter().map(seal).collect(), missing: missing.clone() })
    }
}

impl<P> Opener<P>
where
    P: Deref<Target: CryptoProvider> + Send + Sync,
{
    /// Opens many values, from one batch, from several or from none: one `unwrap_data_key` for
    /// each data key among them.
    ///
    /// Each result stands where its item stood, and is what [`open`](Self::open) would have said.
    pub async fn open_batch(&self, items: &[(&[u8], &Context)]) -> Vec<Result<Plaintext>> {
        let mut calls = HashMap::new();
        let mut opened = Vec::with_capacity(items.len());
        for (sealed, context) in items {
            opened.push(self.open_one(sealed, context, &mut calls).await);
        }
        opened
    }

    async fn open_one(
        &self,
        sealed: &[u8],
        context: &Context,
        calls: &mut HashMap<Vec<u8>, Result<Arc<Schedule>>>,
    ) -> Result<Plaintext> {
        let (preamble, chunks) = Preamble::split(sealed)?;
        context.covers(preamble.header().stored_context())?;
        // Equal recipients and equal stored context are an equal call: its answer is reused, and so
        // is its refusal.
        let call = preamble.header().wraps();
        if let Some(answer) = calls.get(call) {
            return Opening::check(
                preamble,
                answer.as_ref().map_err(Error::clone)?,
                context.all(),
            )?
            .open_value(chunks);
        }
        let call = call.to_vec();
        match self.find(preamble.header()).await {
            Err(error) => {
                calls.insert(call, Err(error.clone()));
                Err(error)
            }
            Ok(found) => {
                calls.insert(call, Ok(Arc::clone(&found.schedule)));
                self.check(preamble, found, context.all())?.open_value(chunks)
            }
        }
    }
}
