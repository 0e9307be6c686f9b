//! `bulla decrypt`.

use std::{
    io::{self, IsTerminal as _},
    path::{Path, PathBuf},
};

use bulla::{
    format::Opening,
    stream::{DecryptReader, Parallel, RangeReader, ReadAt},
};

use crate::{
    Session,
    args::Decrypt,
    failure::{Failure, Outcome},
    input::{Access, Sealed, Source},
    opening::Prepared,
    output::{Plan, Sink, Target},
    printable::Printable,
    progress::Progress,
    pump::{is_large, pump, pump_large},
    range::ByteRange,
    say, shown,
};

/// Ranges are read in pieces of this size: 64 chunks.
const PIECE_LEN: u64 = 4 << 20;

pub(crate) fn run(args: Decrypt, session: &Session) -> Outcome<()> {
    let opening = Prepared::new(args.opening, session)?;
    let source = Source::choose(args.input)?;
    let named = args.output.is_some();
    let target = match args.range {
        // A part must not take the name of the whole.
        Some(_) if !named => Target::Stdout,
        _ => Target::choose(args.output, &source, opened_name)?,
    };
    let derived = matches!(target, Target::File(_)) && !named;
    let plan = Plan::new(target, args.force, Some(&source))?;
    let on_terminal = plan.is_terminal();
    let name = plan.name().to_owned();

    let mut sealed = source.open()?.into_sealed()?;
    let header = opening.open(&mut sealed, &source, session)?;
    let screen = on_terminal.then(Printable::default);
    let mut out = Out { screen, sink: plan.open(&session.cleanup)? };
    match args.range {
        None => whole(header, sealed, &mut out)?,
        Some(range) => part(header, sealed, range, &mut out, session)?,
    }
    out.finish()?;
    if derived && io::stderr().is_terminal() {
        say::note(&format!("wrote {name}"));
    }
    Ok(())
}

/// Streams: memory stays flat however long the message is.
fn whole(header: Opening, sealed: Sealed, out: &mut Out) -> Outcome<()> {
    // The length counts the head, which is read already; next to a body it does not show.
    let mut progress = Progress::new(sealed.len, out.screen.is_some());
    let Sealed { reader, name, len, .. } = sealed;
    if is_large(len) {
        return pump_large(
            reader,
            &name,
            &mut progress,
            |piece| out.write(piece),
            |from, to| Parallel::new().decrypt(header, from, to).map(drop),
        );
    }
    let mut reader = DecryptReader::new(header, reader);
    pump(&mut reader, &name, &mut progress, |piece| out.write(piece))
}

/// Opens the chunks that hold the range, and no others.
fn part(
    header: Opening,
    sealed: Sealed,
    range: ByteRange,
    out: &mut Out,
    session: &Session,
) -> Outcome<()> {
    let name = &sealed.name;
    match sealed.access {
        Some(Access::File(file)) => copy_range(header, file, name, range, out, session),
        Some(Access::Memory(bytes)) => copy_range(header, bytes, name, range, out, session),
        None => Err(Failure::usage("--range needs a file, not a pipe").at(name)),
    }
}

fn copy_range<R: ReadAt>(
    header: Opening,
    source: R,
    name: &str,
    range: ByteRange,
    out: &mut Out,
    session: &Session,
) -> Outcome<()> {
    let wait = &session.runtime;
    let told = |error: bulla::Error| Failure::from(error).at(name);
    let reader = wait.block_on(RangeReader::new(header, source)).map_err(told)?;
    // The length is authenticated by opening the last chunk.
    let len = wait.block_on(reader.len()).map_err(told)?;
    if range.start > len {
        let start = range.start;
        return Err(Failure::usage(format!(
            "the range starts at {start}, and the plaintext has {len} bytes"
        )));
    }
    let end = range.end.map_or(len, |end| end.min(len));
    let mut progress = Progress::new(Some(end - range.start), out.screen.is_some());
    let mut at = range.start;
    while at < end {
        let piece = wait.block_on(reader.read(at..end.min(at + PIECE_LEN))).map_err(told)?;
        out.write(&piece)?;
        at += piece.len() as u64;
        progress.advance(piece.len());
    }
    Ok(())
}

/// Where the plaintext goes.
struct Out {
    /// A terminal gets text and nothing else.
    screen: Option<Printable>,
    sink: Sink,
}

impl Out {
    fn write(&mut self, piece: &[u8]) -> Outcome<()> {
        let Some(screen) = &mut self.screen else { return self.sink.write(piece) };
        let text = screen.admit(piece).ok_or_else(not_text)?;
        self.sink.write(text.as_bytes())
    }

    fn finish(self) -> Outcome<()> {
        if self.screen.is_some_and(|screen| !screen.is_whole()) {
            return Err(not_text());
        }
        self.sink.finish()
    }
}

fn not_text() -> Failure {
    Failure::usage("the decrypted data is not plain text, and not for a terminal")
        .hint("name a file with -o, or redirect the output")
}

fn opened_name(input: &Path) -> Outcome<PathBuf> {
    if input.extension().is_some_and(|suffix| suffix == "bulla") {
        return Ok(input.with_extension(""));
    }
    Err(Failure::usage("the name does not end in .bulla, so the output has no name")
        .at(&shown::path(input))
        .hint("name the output with -o, or `-o -` for standard output"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_last_suffix_goes() {
        assert_eq!(opened_name(Path::new("d/a.tar.bulla")).unwrap(), Path::new("d/a.tar"));
        for bad in ["a", "a.bulla.txt", ".bulla", "d/.bulla", "a.BULLA"] {
            assert!(opened_name(Path::new(bad)).is_err(), "{bad}");
        }
    }
}
