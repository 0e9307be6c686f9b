//! `bulla keys`.

mod exchange;
mod report;

use bulla::{ErrorKind, KeyUri, key::KeyState};
use bulla_local::{KeyRecord, Store};

use self::report::{CreatedReport, KeyReport, ListReport};
use crate::{
    Session,
    args::{
        ChangeKey, CreateKey, DestroyKey, KeysCommand, ListKeys, NewPassphrase, RotateKey, ShowKey,
        UseVersion,
    },
    ask,
    failure::{Failure, Outcome},
    json,
    passphrases::Passphrases,
    providers, say, shown, stdio,
};

pub(crate) fn run(command: KeysCommand, session: &Session) -> Outcome<()> {
    match command {
        KeysCommand::Create(args) => create(&args, session),
        KeysCommand::List(args) => list(&args),
        KeysCommand::Show(args) => show(&args),
        KeysCommand::Rotate(args) => rotate(&args, session),
        KeysCommand::Use(args) => use_version(&args),
        KeysCommand::Enable(args) => set_state(&args, KeyState::Active),
        KeysCommand::Deprecate(args) => set_state(&args, KeyState::Deprecated),
        KeysCommand::Disable(args) => set_state(&args, KeyState::Disabled),
        KeysCommand::Destroy(args) => destroy(&args),
        KeysCommand::Import(args) => exchange::import(args, session),
        KeysCommand::Export(args) => exchange::export(args, session),
        KeysCommand::Public(args) => exchange::public(args, session),
    }
}

fn create(args: &CreateKey, session: &Session) -> Outcome<()> {
    // No name of a local key has a colon.
    if args.name.contains(':') {
        return create_by_uri(args, session);
    }
    let store = providers::store()?;
    // Nobody should think up a passphrase for a name that is taken.
    if store.key(&args.name).is_ok() {
        return Err(taken(&args.name));
    }
    let protection = new_passphrase(&args.passphrase, session)?
        .protection(args.passphrase.passphrase, &args.name)?;
    let key = store.create_key(&args.name, args.key_type, &protection)?;
    made(&store, &key, args.json)
}

/// Makes a key where a URI says: on a token.
fn create_by_uri(args: &CreateKey, session: &Session) -> Outcome<()> {
    let uri: KeyUri = args.name.parse()?;
    if let Some(name) = providers::local_name(&uri) {
        let name = shown::token(name);
        return Err(Failure::usage(format!("local keys are made by their names: {name}")));
    }
    if args.passphrase.passphrase || args.passphrase.passphrase_file.is_some() {
        return Err(Failure::usage("a passphrase is for local keys"));
    }
    let key = providers::create(&uri, args.key_type, session)?;
    if args.json {
        return json::print(&CreatedReport::new(&key));
    }
    stdio::print(&format!("{}\n", key.uri))?;
    say::note(&format!("made {} with id {}, which does not leave the token", key.key_type, key.id));
    Ok(())
}

/// Tells of a new key.
fn made(store: &Store, key: &KeyRecord, json: bool) -> Outcome<()> {
    if json {
        return json::print(&KeyReport::new(key));
    }
    stdio::print(&format!("local:{}\n", key.name.as_deref().unwrap_or(&key.id)))?;
    say::note(&format!("the key is in {}: back that up", shown::path(store.path())));
    Ok(())
}

fn list(args: &ListKeys) -> Outcome<()> {
    let store = providers::store()?;
    let keys = store.keys()?;
    let store = shown::path(store.path());
    if args.json {
        let keys = keys.iter().map(KeyReport::new).collect();
        return json::print(&ListReport { store, keys });
    }
    if keys.is_empty() {
        say::note(&format!("no keys in {store}"));
        return Ok(());
    }
    stdio::print(&format!("{}\nin {store}\n", report::table(&keys)))
}

fn show(args: &ShowKey) -> Outcome<()> {
    answer(&existing(&providers::store()?, &args.name)?, args.json)
}

fn rotate(args: &RotateKey, session: &Session) -> Outcome<()> {
    let store = providers::store()?;
    let key = existing(&store, &args.name)?;
    // A key under a passphrase does not quietly become one without.
    let was = key.version(key.current).is_some_and(|version| version.protected);
    let wanted = args.passphrase.passphrase || was;
    let protection = new_passphrase(&args.passphrase, session)?.protection(wanted, &args.name)?;
    answer(&store.rotate(&args.name, &protection)?, args.json)
}

fn use_version(args: &UseVersion) -> Outcome<()> {
    let store = providers::store()?;
    existing(&store, &args.name)?;
    let key = store.set_current(&args.name, args.version).map_err(|error| {
        Failure::from(error).hint_if(ErrorKind::Disabled, || {
            let (name, version) = (shown::token(&args.name), args.version);
            format!("`bulla keys enable {name} --version {version}` makes it active")
        })
    })?;
    answer(&key, args.json)
}

fn set_state(args: &ChangeKey, state: KeyState) -> Outcome<()> {
    let store = providers::store()?;
    existing(&store, &args.name)?;
    answer(&store.set_state(&args.name, args.version, state)?, args.json)
}

fn destroy(args: &DestroyKey) -> Outcome<()> {
    let store = providers::store()?;
    let key = existing(&store, &args.name)?;
    let name = format!("local:{}", shown::token(key.name.as_deref().unwrap_or(&key.id)));
    let what = match args.version {
        Some(number) if key.version(number).is_none() => {
            return Err(Failure::other(format!("{name} has no version {number}")));
        }
        Some(number) => format!("version {number} of {name}"),
        None => format!("all versions of {name}"),
    };
    let question = format!("This destroys {what}: what is sealed to it never opens again.");
    ask::confirm(&question, args.yes)?;
    answer(&store.destroy(&args.name, args.version)?, args.json)
}

/// Answers with the key as it is now.
fn answer(key: &KeyRecord, json: bool) -> Outcome<()> {
    if json { json::print(&KeyReport::new(key)) } else { stdio::print(&report::explain(key)) }
}

fn existing(store: &Store, name: &str) -> Outcome<KeyRecord> {
    providers::existing(store, name)
}

fn new_passphrase(args: &NewPassphrase, session: &Session) -> Outcome<Passphrases> {
    Passphrases::new(args.passphrase_file.as_slice(), &session.cleanup)
}

fn taken(name: &str) -> Failure {
    Failure::other(format!("the key local:{} exists already", shown::token(name)))
        .hint("choose another name, or add a version to it with `bulla keys rotate`")
}
