//! `bulla decrypt`.

use std::{
    io::{self, IsTerminal as _},
    path::{Path, PathBuf},
};

use bulla::{
    format::Opening,
    stream::{DecryptReader, Parallel},
};

use crate::{
    Session,
    args::Decrypt,
    failure::{Failure, Outcome},
    input::{Access, Sealed, Source},
    opening::Prepared,
    output::{Plan, Target},
    plaintext::{Out, copy_range},
    progress::Progress,
    pump::{is_large, pump, pump_large},
    range::ByteRange,
    say, shown,
};

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
    let name = plan.name().to_owned();

    let mut sealed = source.open()?.into_sealed()?;
    let header = opening.open(&mut sealed, &source, session)?;
    let mut out = Out::open(plan, session, not_text)?;
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
    let mut progress = Progress::new(sealed.len, out.is_on_terminal());
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
    let told = |error: bulla::Error| Failure::from(error).at(name);
    match sealed.access {
        Some(Access::File(file)) => copy_range(header, file, range, told, out, session),
        Some(Access::Memory(bytes)) => copy_range(header, bytes, range, told, out, session),
        None => Err(Failure::usage("--range needs a file, not a pipe").at(name)),
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
