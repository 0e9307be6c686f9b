//! `bulla encrypt`.

use std::{
    io::{self, IsTerminal as _},
    path::{Path, PathBuf},
};

use bulla::{
    Context, Plaintext, Sealer,
    envelope::MissingRecipient,
    stream::{EncryptReader, Parallel},
};

use crate::{
    Session,
    args::Encrypt,
    config, context,
    failure::{Failure, Outcome},
    input::{Input, Source},
    output::{Plan, Sink, Target},
    passphrases::Passphrases,
    progress::Progress,
    providers::{Keys, Provider},
    pump::{is_large, pump, pump_large},
    say,
};

/// The longest data to write as text: both are held in memory, and the text stays below what is
/// read back.
const MAX_LEN_AS_TEXT: u64 = 32 << 20;

pub(crate) fn run(args: Encrypt, session: &Session) -> Outcome<()> {
    let config = config::load(session.config.as_deref())?;
    let keys = Keys::choose_to_seal(config.as_ref(), &args.keys)?;
    let passphrases = Passphrases::new(&args.passphrases.files, &session.cleanup)?;
    let context = context::to_seal(args.context, args.required_context)?;
    let source = Source::choose(args.input)?;
    let named = args.output.is_some();
    let target = Target::choose(args.output, &source, |path| Ok(sealed_name(path)))?;
    let to_file = matches!(target, Target::File(_));
    let derived = to_file && !named;
    let plan = Plan::new(target, args.force, Some(&source))?;
    if plan.is_terminal() && !args.text {
        return Err(Failure::usage("sealed data is not for a terminal")
            .hint("name a file with -o, redirect the output, or choose --text"));
    }
    let name = plan.name().to_owned();
    let input = source.open().map_err(|failure| match source.path() {
        Some(path) if path.is_dir() => {
            failure.hint("pack it first: tar -c DIRECTORY | bulla encrypt -o FILE")
        }
        _ => failure,
    })?;
    let mut sink = plan.open(&session.cleanup)?;
    let sealing = keys.sealer(&context, &passphrases, &session.runtime)?;
    let sealer = &sealing.sealer;
    let missed = if args.text {
        seal_text(input, sealer, &context, &mut sink, session)?
    } else {
        seal(input, sealer, &context, &mut sink, session)?
    };
    sink.finish()?;
    sealing.report_missing(&missed, if to_file { &name } else { "FILE" });
    if derived && io::stderr().is_terminal() {
        say::note(&format!("wrote {name}"));
    }
    Ok(())
}

/// Streams: memory stays flat however long the input is. Returns whom the data is not sealed to.
fn seal(
    input: Input,
    sealer: &Sealer<Provider>,
    context: &Context,
    sink: &mut Sink,
    session: &Session,
) -> Outcome<Vec<MissingRecipient>> {
    let Input { file, len, name, .. } = input;
    let (sealing, missed) = session.runtime.block_on(sealer.begin_and_report(context))?;
    let mut progress = Progress::new(len, false);
    let write = |piece: &[u8]| sink.write(piece);
    if is_large(len) {
        pump_large(file, &name, &mut progress, write, |from, to| {
            Parallel::new().encrypt(sealing, from, to).map(drop)
        })?;
    } else {
        pump(&mut EncryptReader::new(sealing, file), &name, &mut progress, write)?;
    }
    Ok(missed)
}

fn seal_text(
    input: Input,
    sealer: &Sealer<Provider>,
    context: &Context,
    sink: &mut Sink,
    session: &Session,
) -> Outcome<Vec<MissingRecipient>> {
    let name = input.name.clone();
    let plaintext = input.read_all(MAX_LEN_AS_TEXT)?.map(Plaintext::new).ok_or_else(|| {
        Failure::usage("--text is for data up to 32 MiB, and this is longer").at(&name)
    })?;
    let sealing = sealer.seal_and_report(&plaintext, context);
    let (sealed, missed) = session.runtime.block_on(sealing)?;
    sink.write(bulla::format::to_text(&sealed).as_bytes())?;
    sink.write(b"\n")?;
    Ok(missed)
}

fn sealed_name(input: &Path) -> PathBuf {
    let mut name = input.as_os_str().to_owned();
    name.push(".bulla");
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_suffix_goes_behind_the_whole_name() {
        assert_eq!(sealed_name(Path::new("dir.d/a")), Path::new("dir.d/a.bulla"));
        assert_eq!(sealed_name(Path::new("a.tar")), Path::new("a.tar.bulla"));
    }
}
