//! One range of an object.

use std::{ops::Range, sync::Arc};

use bulla::stream::RandomAccess;
use bytes::Bytes;
use object_store::{GetOptions, GetRange, GetResult, ObjectMeta, ObjectStore, Result, path::Path};

use super::{
    AT_ONCE, at_hand,
    body::Body,
    fetch::collect,
    header::{key, unconditional},
    opening::{Part, open_all, open_stream},
};
use crate::{
    error::{failed, may_be_another, out_of_range},
    headers::Known,
    store::Shared,
};

impl<S: ObjectStore> Shared<S> {
    pub(super) async fn get_range(
        &self,
        location: &Path,
        options: GetOptions,
        range: GetRange,
    ) -> Result<GetResult> {
        range.is_valid().map_err(out_of_range)?;
        if let Some(known) = self.find(location, &options) {
            match self.range_of(location, &known, &options, &range).await {
                // It may have been replaced: its header is read again, once.
                Err(error) if may_be_another(&error) => {
                    self.headers.remove(&key(location, &options), &known);
                }
                done => return done,
            }
        }
        let known = self.header(location, &options, &key(location, &options)).await?;
        self.range_of(location, &known, &unconditional(&options), &range).await
    }

    /// What is known of the object, if the caller's conditions let that pass.
    pub(super) fn find(&self, location: &Path, options: &GetOptions) -> Option<Arc<Known>> {
        let known = self.headers.find(&key(location, options))?;
        let passes = options.if_match.as_deref().is_none_or(|tags| known.pin.passes(tags));
        passes.then_some(known)
    }

    async fn range_of(
        &self,
        location: &Path,
        known: &Known,
        options: &GetOptions,
        range: &GetRange,
    ) -> Result<GetResult> {
        let Some(message) = self.open(location, known).await? else {
            return self.range_of_plain(location, known, options, range).await;
        };
        let layout = *message.layout();
        let wanted = range.as_range(layout.plaintext_len()).map_err(out_of_range)?;
        let chunks = with_end(&message, wanted.clone());
        let places = layout.sealed_places(chunks.clone());
        let meta = ObjectMeta { size: layout.plaintext_len(), ..known.meta.clone() };
        let part = Part { location: location.clone(), message, chunks, wanted: wanted.clone() };
        if places.end - places.start > AT_ONCE {
            if matches!(range, GetRange::Suffix(_)) {
                // Which bytes these are depends on where the end is.
                self.check_end(location, known, options, &part.message).await?;
            }
            let result = self.fetch(location, known, options, places).await?;
            let (attributes, extensions) = (result.attributes.clone(), result.extensions.clone());
            let payload = open_stream(Body::new(result), part, self.width);
            return Ok(GetResult { payload, meta, range: wanted, attributes, extensions });
        }
        let result = self.fetch(location, known, options, places).await?;
        let (attributes, extensions) = (result.attributes.clone(), result.extensions.clone());
        let payload = at_hand(open_all(result, part).await?);
        Ok(GetResult { payload, meta, range: wanted, attributes, extensions })
    }

    /// Opens the last chunk, and so finds out whether the object ends where the store says.
    async fn check_end(
        &self,
        location: &Path,
        known: &Known,
        options: &GetOptions,
        message: &RandomAccess,
    ) -> Result<()> {
        let layout = message.layout();
        let last = layout.last_chunk()..layout.chunk_count();
        let places = layout.sealed_places(last.clone());
        let result = self.fetch(location, known, options, places).await?;
        let sealed = collect(location, result, usize::MAX).await?;
        let opened = message.open_range(last, sealed, 0..0);
        opened.map(drop).map_err(|error| failed(location, error))
    }

    async fn range_of_plain(
        &self,
        location: &Path,
        known: &Known,
        options: &GetOptions,
        range: &GetRange,
    ) -> Result<GetResult> {
        let places = range.as_range(known.meta.size).map_err(out_of_range)?;
        if places.is_empty() {
            let meta = known.meta.clone();
            let payload = at_hand(Bytes::new());
            let (attributes, extensions) = Default::default();
            return Ok(GetResult { payload, meta, range: places, attributes, extensions });
        }
        self.fetch(location, known, options, places).await
    }
}

/// The chunks that hold a range; with the last one, if the range reaches to the end: it says where that is.
pub(super) fn with_end(message: &RandomAccess, wanted: Range<u64>) -> Range<u64> {
    let layout = message.layout();
    let chunks = layout.chunks_of(wanted.clone());
    if wanted.end < layout.plaintext_len() {
        return chunks;
    }
    // The last chunk may be empty, and so in no range.
    let start = if wanted.is_empty() { layout.last_chunk() } else { chunks.start };
    start..layout.chunk_count()
}
