//! `bulla rewrap`.

use std::io::BufReader;

use bulla::{ErrorKind, envelope::Rewrap as Change};

use crate::{
    Session,
    args::Rewrap,
    config,
    failure::{Failure, Outcome},
    input::{Form, Source},
    opening::{explain, head, is_elsewhere},
    output::{Plan, Target},
    passphrases::Passphrases,
    progress::Progress,
    providers::{self, Keys, Openers},
    pump::pump,
    say,
};

/// The body is copied in pieces of this size.
const PIECE_LEN: usize = 256 << 10;

const SHARED: &str = "decrypt it and encrypt it anew, or let the new key open all of those messages \
                      with --accept-whole-cohort";

const NO_REVOCATION: &str = "a removal is no revocation: whoever could open it may have kept a \
                             copy; to revoke, decrypt and encrypt anew";

pub(crate) fn run(args: Rewrap, session: &Session) -> Outcome<()> {
    let config = config::load(session.config.as_deref())?;
    let add = Keys::choose(config.as_ref(), &args.add)?;
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
    let shared = old.header().is_data_key_shared() && !args.add.is_empty();
    let add = add.recipients(&passphrases, &session.runtime)?;
    let change = match args.accept_whole_cohort {
        true => Change::new().accept_whole_cohort(),
        false => Change::new(),
    };
    let change = add.into_iter().fold(change, Change::add_recipient);
    let change = args.remove.iter().try_fold(change, |change, text| {
        let runtime = &session.runtime;
        let keys = providers::named_recipients(old.header(), text, config.as_ref(), runtime)?;
        Ok::<_, Failure>(keys.into_iter().fold(change, Change::remove_recipient))
    })?;
    let Openers { opener, unopened } =
        Keys::choose(config.as_ref(), &[])?.opener(old.header(), &passphrases, &session.runtime)?;
    let new = session.runtime.block_on(opener.rewrap(&old, &change)).map_err(|error| {
        let failure = Failure::from(error).at(&name);
        let failure = match shared && !args.accept_whole_cohort {
            true => failure.hint_if(ErrorKind::InvalidInput, || SHARED.to_owned()),
            false => failure,
        };
        let elsewhere = is_elsewhere(old.header());
        explain(failure, &source, passphrases.used(), elsewhere, unopened)
    })?;

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
        sink.write(bulla::format::to_text(&bytes).as_bytes())?;
        sink.write(b"\n")?;
    }
    drop(progress);
    sink.finish()?;
    if !args.remove.is_empty() {
        say::note(NO_REVOCATION);
    }
    Ok(())
}
