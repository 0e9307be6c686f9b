//! `bulla decrypt`.

use std::{
    io::{self, IsTerminal as _},
    path::{Path, PathBuf},
};

use bulla::stream::DecryptReader;

use crate::{
    Session,
    args::Decrypt,
    failure::{Failure, Outcome},
    input::Source,
    opening,
    output::{Plan, Sink, Target},
    printable::Printable,
    progress::Progress,
    pump::pump,
    say, shown,
};

pub(crate) fn run(args: Decrypt, session: &Session) -> Outcome<()> {
    let opening = opening::Prepared::new(args.opening)?;
    let source = Source::choose(args.input)?;
    let named = args.output.is_some();
    let target = Target::choose(args.output, &source, opened_name)?;
    let derived = matches!(target, Target::File(_)) && !named;
    let plan = Plan::new(target, args.force, &source)?;
    let on_terminal = plan.is_terminal();
    let name = plan.name().to_owned();

    let mut sealed = source.open()?.into_sealed()?;
    let header = opening.open(&mut sealed, &source, session)?;
    let mut sink = plan.open(&session.cleanup)?;
    // The length counts the head, which is read already; next to a body it does not show.
    let mut progress = Progress::new(sealed.len, on_terminal);
    let mut reader = DecryptReader::new(header, sealed.reader);
    let copied = if on_terminal {
        let mut screen = Screen { printable: Printable::default(), sink: &mut sink };
        pump(&mut reader, &sealed.name, &mut progress, |piece| screen.show(piece))
            .and_then(|()| screen.end())
    } else {
        pump(&mut reader, &sealed.name, &mut progress, |piece| sink.write(piece))
    };
    copied?;
    drop(progress);
    sink.finish()?;
    if derived && io::stderr().is_terminal() {
        say::note(&format!("wrote {name}"));
    }
    Ok(())
}

/// A terminal, which gets text and nothing else.
struct Screen<'a> {
    printable: Printable,
    sink: &'a mut Sink,
}

impl Screen<'_> {
    fn show(&mut self, piece: &[u8]) -> Outcome<()> {
        let text = self.printable.admit(piece).ok_or_else(not_text)?;
        self.sink.write(text.as_bytes())
    }

    fn end(&self) -> Outcome<()> {
        if self.printable.is_whole() { Ok(()) } else { Err(not_text()) }
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
