//! `bulla keys import`, `export` and `public`.

use bulla::Plaintext;
use bulla_local::Passphrase;

use super::{existing, made, new_passphrase, taken};
use crate::{
    Session,
    args::{ExportKey, ImportKey, PublicKey},
    ask,
    failure::{Failure, Outcome},
    input::Source,
    output::{Plan, Target},
    passphrases::Passphrases,
    providers, shown,
};

/// More than any key takes.
const MAX_LEN: u64 = 64 << 10;

pub(super) fn import(args: ImportKey, session: &Session) -> Outcome<()> {
    let store = providers::store()?;
    if store.key(&args.name).is_ok() {
        return Err(taken(&args.name));
    }
    let input = Source::choose(args.file)?.open()?;
    let name = input.name.clone();
    let material = input.read_all(MAX_LEN)?.map(Plaintext::new);
    let material = material.ok_or_else(|| Failure::usage("is too long for a key").at(&name))?;
    let protection = new_passphrase(&args.passphrase, session)?
        .protection(args.passphrase.passphrase, &args.name)?;
    let key = store
        .import(&args.name, &material, &protection)
        .map_err(|error| Failure::from(error).at(&name))?;
    made(&store, &key, args.json)
}

pub(super) fn export(args: ExportKey, session: &Session) -> Outcome<()> {
    let store = providers::store()?;
    let key = existing(&store, &args.name)?;
    // A private key is nobody else's, whatever the umask says.
    let plan = plan(args.output, args.force)?.private();
    let name = shown::token(key.name.as_deref().unwrap_or(&key.id));
    let question = format!("This writes the secret part of local:{name} in plain.");
    ask::confirm(&question, args.yes)?;
    let number = args.version.unwrap_or(key.current);
    let locked = key.version(number).is_some_and(|version| version.protected);
    let passphrases =
        Passphrases::new(&args.passphrases.files, &session.cleanup)?.for_key(&key, locked)?;
    let passphrase = one(&passphrases)?;
    let text = store.export(&args.name, args.version, args.format.into(), passphrase)?;
    write(plan, &text, session)
}

pub(super) fn public(args: PublicKey, session: &Session) -> Outcome<()> {
    let store = providers::store()?;
    existing(&store, &args.name)?;
    let plan = plan(args.output, args.force)?;
    let text = store.export_public(&args.name, args.version, args.format.into())?;
    write(plan, &text, session)
}

fn one(passphrases: &[Passphrase]) -> Outcome<Option<&Passphrase>> {
    match passphrases {
        [] => Ok(None),
        [one] => Ok(Some(one)),
        _ => Err(Failure::usage("one version takes one --passphrase-file")),
    }
}

fn plan(output: Option<std::path::PathBuf>, force: bool) -> Outcome<Plan> {
    Plan::new(output.map_or(Target::Stdout, Target::named), force, None)
}

/// Both forms are lines of text.
fn write(plan: Plan, text: &str, session: &Session) -> Outcome<()> {
    let mut sink = plan.open(&session.cleanup)?;
    sink.write(text.as_bytes())?;
    if !text.ends_with('\n') {
        sink.write(b"\n")?;
    }
    sink.finish()
}
