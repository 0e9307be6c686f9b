//! Many ranges of an object: neighbours are fetched together, and the rest at the same time.

use std::ops::Range;

use bulla::stream::RandomAccess;
use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use object_store::{GetOptions, GetRange, ObjectStore, Result, path::Path};

use super::{fetch::collect, header::key, range::with_end};
use crate::{
    error::{failed, may_be_another, out_of_range},
    headers::Known,
    offload::Work,
    store::Shared,
};

/// As `coalesce_ranges` of `object_store` has it: 1 MiB. What separates two ranges there never separates
/// them more in chunks than this, and so there are as many requests at most.
const GAP: u64 = object_store::OBJECT_STORE_COALESCE_DEFAULT;

/// How many requests are under way at the same time, as there.
const AT_ONCE: usize = 10;

/// Ranges by their place in the request, and what holds them.
struct Group {
    /// Chunks of a sealed object, bytes of a plain one.
    span: Range<u64>,
    wanted: Vec<(usize, Range<u64>)>,
}

impl<S: ObjectStore> Shared<S> {
    pub(crate) async fn get_ranges(
        &self,
        location: &Path,
        ranges: &[Range<u64>],
    ) -> Result<Vec<Bytes>> {
        if ranges.is_empty() {
            return Ok(Vec::new());
        }
        let options = GetOptions::new();
        let key = key(location, &options);
        if let Some(known) = self.headers.find(&key) {
            match self.ranges_of(location, &known, ranges).await {
                // It may have been replaced: its header is read again, once.
                Err(error) if may_be_another(&error) => self.headers.remove(&key, &known),
                done => return done,
            }
        }
        let known = self.header(location, &options, &key).await?;
        self.ranges_of(location, &known, ranges).await
    }

    async fn ranges_of(
        &self,
        location: &Path,
        known: &Known,
        ranges: &[Range<u64>],
    ) -> Result<Vec<Bytes>> {
        let message = self.open(location, known).await?;
        let (groups, gap) = match &message {
            None => (spans(ranges, known.meta.size, |range| range)?, GAP),
            Some(message) => {
                let (layout, suite) = (message.layout(), message.layout().suite());
                let chunks = |range| with_end(message, range);
                let gap = GAP.div_ceil(suite.chunk_len() as u64);
                (spans(ranges, layout.plaintext_len(), chunks)?, gap)
            }
        };
        let groups = merge(groups, gap);
        let read = |group: Group| self.read_group(location, known, message.as_ref(), group);
        let answers: Vec<Vec<(usize, Bytes)>> =
            stream::iter(groups).map(read).buffer_unordered(AT_ONCE).try_collect().await?;
        let mut answers: Vec<_> = answers.into_iter().flatten().collect();
        answers.sort_unstable_by_key(|(place, _)| *place);
        Ok(answers.into_iter().map(|(_, bytes)| bytes).collect())
    }

    async fn read_group(
        &self,
        location: &Path,
        known: &Known,
        message: Option<&RandomAccess>,
        group: Group,
    ) -> Result<Vec<(usize, Bytes)>> {
        let Group { span, wanted } = group;
        let places = match message {
            None => span.clone(),
            Some(message) => message.layout().sealed_places(span.clone()),
        };
        let result = self.fetch(location, known, &GetOptions::new(), places).await?;
        let bytes = collect(location, result, usize::MAX).await?;
        let (sealed_len, location, message) = (bytes.len(), location.clone(), message.cloned());
        let work = move || {
            let open = |(place, wanted): (usize, Range<u64>)| {
                let bytes = match &message {
                    None => slice(&bytes, span.start, &wanted),
                    Some(message) => {
                        let chunks = with_end(message, wanted.clone());
                        let first = message.layout().sealed_places(span.clone()).start;
                        let places = message.layout().sealed_places(chunks.clone());
                        let sealed = slice(&bytes, first, &places);
                        let opened = message.open_range(chunks, sealed, wanted);
                        opened.map_err(|error| failed(&location, error))?.into_vec().into()
                    }
                };
                Ok((place, bytes))
            };
            wanted.into_iter().map(open).collect()
        };
        Work::begin(sealed_len, work).await
    }
}

/// What is to be fetched for each range, which is clipped to where the object ends.
fn spans(
    ranges: &[Range<u64>],
    len: u64,
    span: impl Fn(Range<u64>) -> Range<u64>,
) -> Result<Vec<Group>> {
    let one = |(place, range): (usize, &Range<u64>)| {
        let wanted = GetRange::Bounded(range.clone()).as_range(len).map_err(out_of_range)?;
        Ok(Group { span: span(wanted.clone()), wanted: vec![(place, wanted)] })
    };
    ranges.iter().enumerate().map(one).collect()
}

/// Puts together what overlaps or is at most `gap` apart.
fn merge(mut groups: Vec<Group>, gap: u64) -> Vec<Group> {
    groups.sort_unstable_by_key(|group| group.span.start);
    let mut merged: Vec<Group> = Vec::new();
    for group in groups {
        match merged.last_mut() {
            Some(last) if group.span.start <= last.span.end.saturating_add(gap) => {
                last.span.end = last.span.end.max(group.span.end);
                last.wanted.extend(group.wanted);
            }
            _ => merged.push(group),
        }
    }
    merged
}

/// The bytes at `places`, of bytes that begin at `first`.
fn slice(bytes: &Bytes, first: u64, places: &Range<u64>) -> Bytes {
    let at = |place: u64| {
        usize::try_from(place.saturating_sub(first)).unwrap_or(usize::MAX).min(bytes.len())
    };
    bytes.slice(at(places.start)..at(places.end).max(at(places.start)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_are_fetched_together() {
        let ranges = [50..60, 0..10, 12..20, 5..7, 31..33];
        let groups = merge(spans(&ranges, 100, |range| range).unwrap(), 10);
        let spans: Vec<_> = groups.iter().map(|group| group.span.clone()).collect();
        assert_eq!(spans, [0..20, 31..33, 50..60]);
        let places: Vec<usize> =
            groups.iter().flat_map(|group| group.wanted.iter().map(|(place, _)| *place)).collect();
        assert_eq!(places.len(), 5);
        let groups = merge(super::spans(&ranges, 100, |range| range).unwrap(), 11);
        assert_eq!(groups.len(), 2);
    }
}
