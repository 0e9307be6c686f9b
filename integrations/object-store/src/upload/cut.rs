//! Cutting a message into parts of one length. No I/O.

use std::sync::Arc;

use bulla::stream::{RunSealer, SealRun};
use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use object_store::{PutPayload, Result, path::Path};

use crate::{
    error::failed,
    offload::Work,
    pieces::Pieces,
    put::{RUN_LEN, seal_run},
};

/// Collects plaintext, and cuts off a part whenever there is enough for one.
pub(super) struct Cutter {
    runs: RunSealer,
    part_len: usize,
    /// Whether the caller's first part was looked at.
    begun: bool,
    /// Sealed bytes that begin the next part: the preamble, or the rest of the chunk at the last cut.
    carried: Bytes,
    plaintext: Pieces,
}

/// A part to be sealed: sealed bytes, runs of chunks, and sealed bytes.
pub(super) struct Part {
    before: Bytes,
    runs: Vec<(SealRun, Pieces)>,
    behind: Bytes,
    part_len: usize,
}

impl Cutter {
    pub(super) fn new(preamble: Vec<u8>, runs: RunSealer, part_len: usize) -> Self {
        let (carried, plaintext) = (Bytes::from(preamble), Pieces::default());
        Self { runs, part_len, begun: false, carried, plaintext }
    }

    /// The caller's next part.
    pub(super) fn push(&mut self, data: PutPayload) {
        if !std::mem::replace(&mut self.begun, true) {
            self.part_len = self.part_len.max(room_for(data.content_length()));
        }
        self.plaintext.extend(data);
    }

    /// The next part, if there is plaintext enough.
    pub(super) fn next_part(&mut self) -> bulla::Result<Option<Part>> {
        let (chunk_len, sealed_len) = (self.runs.chunk_len(), self.runs.suite().sealed_chunk_len());
        let room = self.part_len.saturating_sub(self.carried.len());
        let (whole, rest) = (room / sealed_len, room % sealed_len);
        let needed = (whole + usize::from(rest > 0)) * chunk_len;
        if self.plaintext.len() < needed {
            return Ok(None);
        }
        let before = std::mem::take(&mut self.carried);
        let runs = self.cut(whole * chunk_len)?;
        let mut behind = Bytes::new();
        if rest > 0 {
            let run = self.runs.cut(chunk_len)?;
            self.carried = seal_run(run, self.plaintext.split_to(chunk_len))?;
            behind = self.carried.split_to(rest);
        }
        Ok(Some(Part { before, runs, behind, part_len: self.part_len }))
    }

    /// All that is left, and the end of the message.
    pub(super) fn last(mut self) -> bulla::Result<Part> {
        let chunk_len = self.runs.chunk_len();
        let whole = self.plaintext.len() / chunk_len * chunk_len;
        let mut runs = self.cut(whole)?;
        let run = self.runs.cut_last(self.plaintext.len())?;
        runs.push((run, self.plaintext));
        Ok(Part { before: self.carried, runs, behind: Bytes::new(), part_len: self.part_len })
    }

    fn cut(&mut self, mut len: usize) -> bulla::Result<Vec<(SealRun, Pieces)>> {
        let mut runs = Vec::new();
        while len > 0 {
            let next = len.min(RUN_LEN);
            runs.push((self.runs.cut(next)?, self.plaintext.split_to(next)));
            len -= next;
        }
        Ok(runs)
    }
}

impl Part {
    /// Seals the runs, `width` of them at the same time.
    pub(super) async fn seal(self, location: &Path, width: usize) -> Result<PutPayload> {
        let Self { before, runs, behind, .. } = self;
        let location = Arc::new(location.clone());
        let seal = |(run, plaintext): (SealRun, Pieces)| {
            let location = Arc::clone(&location);
            Work::begin(plaintext.len(), move || {
                seal_run(run, plaintext).map_err(|error| failed(&location, error))
            })
        };
        let sealed: Vec<Bytes> =
            stream::iter(runs).map(seal).buffered(width.max(1)).try_collect().await?;
        let pieces = [before].into_iter().chain(sealed).chain([behind]);
        Ok(pieces.filter(|piece| !piece.is_empty()).collect())
    }

    /// The same for the last part, which becomes two if its last chunks don't fit into one.
    pub(super) async fn seal_last(self, location: &Path, width: usize) -> Result<Vec<PutPayload>> {
        let part_len = self.part_len;
        let mut rest = Pieces::from(self.seal(location, width).await?);
        let mut parts = Vec::new();
        while rest.len() > 0 {
            parts.push(rest.split_to(part_len).into_pieces().into_iter().collect());
        }
        Ok(parts)
    }
}

/// The length of parts that are never more than a caller's whose first one has `len` bytes. 1 GiB is more
/// than S3's longest object has in 10,000 parts.
fn room_for(len: usize) -> usize {
    const STEP: usize = 1 << 20;
    const MOST: usize = 1 << 30;
    // 16 bytes for each 16 KiB at most, a preamble of 64 KiB at most, and a chunk that is not whole.
    let sealed = len.saturating_add(len / 1024).saturating_add(4 * RUN_LEN / 16);
    if len == 0 { 0 } else { sealed.saturating_add(STEP - 1) / STEP * STEP }.min(MOST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_as_long_as_the_callers() {
        assert_eq!(room_for(0), 0);
        for len in [1, 5 << 20, 100 << 20, 600 << 20] {
            let room = room_for(len);
            assert!(
                room > len && room.is_multiple_of(1 << 20) && room < len + (len >> 9) + (3 << 20),
                "{len}"
            );
        }
        assert_eq!(room_for(usize::MAX), 1 << 30);
    }
}
