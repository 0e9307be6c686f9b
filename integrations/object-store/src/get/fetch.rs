//! Reading sealed bytes of an object that is known, and of no other.

use std::ops::Range;

use bytes::Bytes;
use futures_util::TryStreamExt;
use object_store::{
    GetOptions, GetRange, GetResult, GetResultPayload, ObjectStore, Result, path::Path,
};

use super::header::{has_more_conditions, unconditional};
use crate::{
    error::{replaced, wrong_answer},
    headers::Known,
    store::Shared,
};

impl<S: ObjectStore> Shared<S> {
    /// Reads at these places of the object. `options` are the caller's, with conditions that were met
    /// before left out.
    pub(super) async fn fetch(
        &self,
        location: &Path,
        known: &Known,
        options: &GetOptions,
        places: Range<u64>,
    ) -> Result<GetResult> {
        // Where the caller has conditions of other kinds, which not every store takes together with an
        // ETag, the answer is looked at alone.
        let request = if has_more_conditions(options) {
            options.clone()
        } else {
            known.pin.apply(unconditional(options))
        };
        let range = Some(GetRange::Bounded(places.clone()));
        let request = GetOptions { range, head: false, ..request };
        let result = self.inner.get_opts(location, request).await?;
        if !known.is(&result.meta) {
            return Err(replaced(location));
        }
        if result.range != places {
            return Err(wrong_answer(location, "another range than it was asked for"));
        }
        Ok(result)
    }
}

/// Collects an answer of `most` bytes at most: as many as its range has, or it is an error.
pub(super) async fn collect(location: &Path, result: GetResult, most: usize) -> Result<Bytes> {
    let wanted = result.range.end.saturating_sub(result.range.start);
    if wanted > most as u64 {
        return Err(wrong_answer(location, "more than it was asked for"));
    }
    let mut stream = match result.payload {
        GetResultPayload::Stream(stream) => stream,
        // A file, of which exactly the range is read.
        #[allow(unreachable_patterns, reason = "without the store's feature there is no other")]
        _ => {
            let bytes = result.bytes().await?;
            return if bytes.len() as u64 == wanted { Ok(bytes) } else { Err(replaced(location)) };
        }
    };
    let first = stream.try_next().await?.unwrap_or_default();
    let mut bytes = Vec::new();
    if first.len() as u64 == wanted {
        return Ok(first); // as stores in memory and clients with whole bodies have it
    }
    bytes.reserve_exact(usize::try_from(wanted).unwrap_or(most));
    let mut next = Some(first);
    while let Some(piece) = next {
        if (bytes.len() + piece.len()) as u64 > wanted {
            return Err(wrong_answer(location, "more than it was asked for"));
        }
        bytes.extend_from_slice(&piece);
        if bytes.len() as u64 == wanted {
            break;
        }
        next = stream.try_next().await?;
    }
    if bytes.len() as u64 != wanted {
        return Err(wrong_answer(location, "less than it was asked for"));
    }
    Ok(bytes.into())
}
