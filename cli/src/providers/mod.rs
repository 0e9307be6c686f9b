//! Names and key URIs to providers: the local key store, and those that are features of the build.

mod backends;
mod keys;
mod sealing;
mod signing;

use std::sync::Arc;

use bulla::{CryptoProvider, ErrorKind, KeyName, KeyUri, Opener, format::Header};
use bulla_local::{KeyRecord, KeyType, Local, Protection, Store};
use tokio::runtime::Handle;

pub(crate) use self::{
    backends::Backends,
    keys::{Keys, NamedKey},
    signing::Names,
};
use crate::{
    config::Config,
    failure::{Failure, Outcome},
    passphrases::Passphrases,
    say, shown,
};

pub(crate) type Provider = Arc<dyn CryptoProvider>;

/// The key that data is sealed to where none is named and there is no configuration.
const DEFAULT_KEY: &str = "default";

/// What opens, and what does not.
pub(crate) struct Openers {
    pub(crate) opener: Opener<Provider>,
    /// Keys that could not be had, and why.
    pub(crate) unopened: Vec<Failure>,
}

impl Keys {
    /// A provider for each key, in their order.
    pub(crate) fn recipients(
        self,
        passphrases: &Passphrases,
        runtime: &Handle,
    ) -> Outcome<Vec<Provider>> {
        self.open(passphrases, runtime)?.into_iter().map(|(_, provider)| provider).collect()
    }

    /// An opener with every key of the store, and with those keys named here or configured that
    /// are of a kind to which this message is sealed. Local keys that are named must exist.
    pub(crate) fn opener(
        self,
        header: &Header,
        passphrases: &Passphrases,
        runtime: &Handle,
    ) -> Outcome<Openers> {
        let store = store()?;
        for name in self.keys.iter().filter_map(|key| local_name(&key.uri)) {
            existing(&store, name)?;
        }
        let builder = Local::builder(store.clone()).label("local").open_all();
        let local = passphrases.unlock_for(builder, &store, header)?.build()?;
        let mut providers = vec![Arc::new(local) as Provider];
        let mut unopened = Vec::new();
        let backends = Backends::new(store, Default::default());
        let named = self.keys.iter().filter(|key| local_name(&key.uri).is_none());
        let configured =
            self.elsewhere.iter().filter(|key| self.keys.iter().all(|named| named.uri != key.uri));
        // Others can't open it, and asking for them takes time and credentials.
        let sealed_to = |key: &&NamedKey| {
            header.recipients().iter().any(|r| r.key.scheme() == key.uri.scheme())
        };
        for key in named.chain(configured).filter(sealed_to) {
            let connect = || Ok(runtime.block_on(backends.connect(key))?);
            match check_scheme(&key.uri).and_then(|()| connect()) {
                Ok(provider) => providers.push(provider),
                Err(failure) => unopened.push(failure.of_key(&key.name)),
            }
        }
        Ok(Openers { opener: Opener::new(providers), unopened })
    }
}

/// The recipients of a message that the user means: by a name in the header, as `bulla inspect`
/// shows it, by a name in the configuration, or by a key URI.
pub(crate) fn named_recipients(
    header: &Header,
    text: &str,
    config: Option<&Config>,
    runtime: &Handle,
) -> Outcome<Vec<KeyName>> {
    let of_header = |name: &KeyName| header.recipients().iter().any(|r| r.key == *name);
    let in_header = header.recipients().iter().find(|wrapped| wrapped.key.to_string() == text);
    if let Some(wrapped) = in_header {
        return Ok(vec![wrapped.key.clone()]);
    }
    let store = store()?;
    let keys = Keys::choose(config, &[text.to_owned()])?.keys;
    let names = keys.iter().map(|key| match local_name(&key.uri) {
        Some(name) => {
            let id = store.key(name).map_or_else(|_| name.to_owned(), |record| record.id);
            Ok(KeyName::new("local", id)?)
        }
        None => elsewhere_recipient(header, key, &store, runtime),
    });
    let mut names = names.collect::<Outcome<Vec<_>>>()?;
    if names.len() > 1 {
        names.retain(of_header);
        if names.is_empty() {
            return Err(Failure::other(format!("no key of the group `{text}` is a recipient")));
        }
    }
    Ok(names)
}

/// The name of a key as its provider knows it: an alias says nothing by itself.
fn elsewhere_recipient(
    header: &Header,
    key: &NamedKey,
    store: &Store,
    runtime: &Handle,
) -> Outcome<KeyName> {
    let backends = Backends::new(store.clone(), Default::default());
    let provider = runtime.block_on(backends.connect(key)).map_err(|error| {
        Failure::from(error)
            .hint("`bulla inspect` shows the names of recipients, which can be given as they are")
    })?;
    let mut opened = header.recipients().iter().filter(|r| provider.opens(&r.key).is_some());
    let own = opened.next().map(|recipient| &recipient.key).or(provider.sealing_key());
    own.cloned().ok_or_else(|| Failure::usage(format!("{} does not seal", key.name)))
}

/// The store of this user, by a path that means the same from any directory.
pub(crate) fn store() -> Outcome<Store> {
    let path = Store::default_path()?;
    let absolute = std::path::absolute(&path);
    let store = Store::at(absolute.map_err(|e| Failure::io(&shown::path(&path), &e))?);
    Ok(store.on_wait(|lock| say::waiting("is changing the key store", lock)))
}

/// The name in the local key store, of a key that is there.
pub(crate) fn local_name(uri: &KeyUri) -> Option<&str> {
    match uri {
        KeyUri::Local(local) => Some(local.name()),
        _ => None,
    }
}

/// Refuses a key that this build has no provider for.
pub(crate) fn check_scheme(uri: &KeyUri) -> Outcome<()> {
    backends::missing(uri.scheme()).map_or(Ok(()), |message| Err(Failure::usage(message)))
}

/// A key that was named, or how it is made.
pub(crate) fn existing(store: &Store, name: &str) -> Outcome<KeyRecord> {
    store.key(name).map_err(|error| missing_key(store, name, error.into()))
}

/// Says how a key that is not there is made.
fn missing_key(store: &Store, name: &str, failure: Failure) -> Failure {
    if format!("local:{name}").parse::<KeyUri>().is_err() {
        return failure; // no key can have that name
    }
    failure.hint_if(ErrorKind::NotFound, || {
        let path = shown::path(store.path());
        format!("`bulla keys create {name}` makes it; the key store is {path}")
    })
}

/// Sees to it that the default key exists.
fn make_default_key() -> Outcome<()> {
    let store = store()?;
    match store.key(DEFAULT_KEY) {
        Ok(_) => return Ok(()),
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(error.into()),
    }
    match store.create_key(DEFAULT_KEY, KeyType::Aes256, &Protection::None) {
        Ok(_) => {
            let path = shown::path(store.path());
            say::note(&format!("made the key local:{DEFAULT_KEY}, the first use of it"));
            say::detail(&format!("it is in {path}: back that directory up;"));
            say::detail("without it, nothing that is sealed to this key can be opened");
            Ok(())
        }
        // Another run was faster.
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error.into()),
    }
}
