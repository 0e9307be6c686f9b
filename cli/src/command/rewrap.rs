//! `bulla rewrap`.

use std::io::BufReader;

use bulla::{Opener, Rewrap as Change};

use crate::{
    Session,
    args::Rewrap,
    failure::{Failure, Outcome},
    input::{Form, Source},
    opening::{explain, head},
    output::{Plan, Target},
    passphrases::Passphrases,
    progress::Progress,
    providers::{self, Keys, Provider},
    pump::pump,
};

/// The body is copied in pieces of this size.
const PIECE_LEN: usize = 256 << 10;

pub(crate) fn run(args: Rewrap, session: &Session) -> Outcome<()> {
    let add = Keys::parse(&args.add)?;
    let passphrases = Passphrases::new(&args.passphrases.files, &session.cleanup)?;
    let source = Source::choose(Some(args.file))?;
    let plan = match (args.output, source.path()) {
        (None, Some(path)) => Plan::in_place(path)?,
        (output, _) => {
            let target = Target::choose(output, &source, |path| Ok(path.to_owned()))?;
            Plan::new(target, args.force, Some(&source))?
        }
    };
    let mut sealed = source.open()?.into_sealed()?;
    if plan.is_terminal() && sealed.form == Form::Binary {
        return Err(Failure::usage("sealed data is not for a terminal")
            .hint("name a file with -o, or redirect the output"));
    }
    let name = sealed.name.clone();
    let old = head(&mut sealed.reader, &name)?;
    let change =
        add.recipients(&passphrases)?.into_iter().fold(Change::new(), Change::add_recipient);
    let change = args.remove.iter().try_fold(change, |change, text| {
        let key = providers::named_recipient(old.header(), text)?;
        Ok::<_, Failure>(change.remove_recipient(key))
    })?;
    let opener: Opener<Provider> = Keys::default().opener(old.header(), &passphrases)?;
    let new = session
        .runtime
        .block_on(opener.rewrap(&old, &change))
        .map_err(|error| explain(Failure::from(error).at(&name), &source, passphrases.used()))?;

    let mut sink = plan.open(&session.cleanup)?;
    let mut progress = Progress::new(sealed.len, false);
    let mut body = BufReader::with_capacity(PIECE_LEN, sealed.reader);
    if sealed.form == Form::Binary {
        sink.write(&new.as_bytes())?;
        pump(&mut body, &name, &mut progress, |piece| sink.write(piece))?;
    } else {
        let mut bytes = new.as_bytes();
        pump(&mut body, &name, &mut progress, |piece| {
            bytes.extend_from_slice(piece);
            Ok(())
        })?;
        sink.write(bulla::to_text(&bytes).as_bytes())?;
        sink.write(b"\n")?;
    }
    drop(progress);
    sink.finish()
}
