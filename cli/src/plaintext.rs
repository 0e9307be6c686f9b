//! Where a plaintext goes, and a part of one on its way there.

use bulla::{
    format::Opening,
    stream::{RangeReader, ReadAt},
};

use crate::{
    Session,
    failure::{Failure, Outcome},
    output::{Plan, Sink},
    printable::Printable,
    progress::Progress,
    range::ByteRange,
};

/// Ranges are read in pieces of this size: 64 chunks.
const PIECE_LEN: u64 = 4 << 20;

/// Where the plaintext goes.
pub(crate) struct Out {
    /// A terminal gets text and nothing else.
    screen: Option<Printable>,
    sink: Sink,
    not_text: fn() -> Failure,
}

impl Out {
    /// `not_text` is what is said of a plaintext that a terminal may not have.
    pub(crate) fn open(plan: Plan, session: &Session, not_text: fn() -> Failure) -> Outcome<Self> {
        let screen = plan.is_terminal().then(Printable::default);
        Ok(Self { screen, sink: plan.open(&session.cleanup)?, not_text })
    }

    pub(crate) fn is_on_terminal(&self) -> bool {
        self.screen.is_some()
    }

    pub(crate) fn write(&mut self, piece: &[u8]) -> Outcome<()> {
        let Some(screen) = &mut self.screen else { return self.sink.write(piece) };
        let text = screen.admit(piece).ok_or_else(self.not_text)?;
        self.sink.write(text.as_bytes())
    }

    pub(crate) fn finish(self) -> Outcome<()> {
        if self.screen.is_some_and(|screen| !screen.is_whole()) {
            return Err((self.not_text)());
        }
        self.sink.finish()
    }
}

/// Opens the chunks that hold the range, and no others.
pub(crate) fn copy_range<R: ReadAt>(
    header: Opening,
    source: R,
    range: ByteRange,
    told: impl Fn(bulla::Error) -> Failure,
    out: &mut Out,
    session: &Session,
) -> Outcome<()> {
    let wait = &session.runtime;
    let reader = wait.block_on(RangeReader::new(header, source)).map_err(&told)?;
    // The length is authenticated by opening the last chunk.
    let len = wait.block_on(reader.len()).map_err(&told)?;
    if range.start > len {
        let start = range.start;
        return Err(Failure::usage(format!(
            "the range starts at {start}, and the plaintext has {len} bytes"
        )));
    }
    let end = range.end.map_or(len, |end| end.min(len));
    let mut progress = Progress::new(Some(end - range.start), out.is_on_terminal());
    let mut at = range.start;
    while at < end {
        let piece = wait.block_on(reader.read(at..end.min(at + PIECE_LEN))).map_err(&told)?;
        out.write(&piece)?;
        at += piece.len() as u64;
        progress.advance(piece.len());
    }
    Ok(())
}
