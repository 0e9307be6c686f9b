//! Names and key URIs to providers. This build has one: the local key store.

mod backends;
mod keys;
mod sealing;
mod signing;

use std::sync::Arc;

use bulla::{CryptoProvider, ErrorKind, Header, KeyName, KeyUri, Opener};
use bulla_local::{KeyRecord, KeyType, Local, Protection, Store};
use tokio::runtime::Handle;

pub(crate) use self::{
    backends::Backends,
    keys::{Keys, NamedKey},
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
    /// Configured keys that could not be had, and why.
    pub(crate) unopened: Vec<String>,
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

    /// An opener with every key of the store and of the configuration, for this message. Keys that
    /// are named must exist.
    pub(crate) fn opener(
        self,
        header: &Header,
        passphrases: &Passphrases,
        runtime: &Handle,
    ) -> Outcome<Openers> {
        let store = store()?;
        for key in &self.keys {
            existing(&store, local_name(&key.uri)?)?;
        }
        let builder = Local::builder(store.clone()).label("local").open_all();
        let local = passphrases.unlock_for(builder, &store, header)?.build()?;
        let mut providers = vec![Arc::new(local) as Provider];
        let mut unopened = Vec::new();
        let backends = Backends::new(store, Default::default());
        for key in &self.elsewhere {
            match runtime.block_on(backends.open(key)) {
                Ok(provider) => providers.push(provider),
                Err(error) => unopened.push(format!("`{}` could not be tried: {error}", key.name)),
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
) -> Outcome<Vec<KeyName>> {
    let of_header = |name: &KeyName| header.recipients().iter().any(|r| r.key == *name);
    let in_header = header.recipients().iter().find(|wrapped| wrapped.key.to_string() == text);
    if let Some(wrapped) = in_header {
        return Ok(vec![wrapped.key.clone()]);
    }
    let store = store()?;
    let keys = Keys::choose(config, &[text.to_owned()])?.keys;
    let names = keys.iter().map(|key| {
        let name = local_name(&key.uri)?;
        let id = store.key(name).map_or_else(|_| name.to_owned(), |record| record.id);
        Ok(KeyName::new("local", id)?)
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

/// The store of this user, by a path that means the same from any directory.
pub(crate) fn store() -> Outcome<Store> {
    let path = Store::default_path()?;
    let absolute = std::path::absolute(&path);
    Ok(Store::at(absolute.map_err(|e| Failure::io(&shown::path(&path), &e))?))
}

/// The name in the local key store.
pub(crate) fn local_name(uri: &KeyUri) -> Outcome<&str> {
    match uri {
        KeyUri::Local(local) => Ok(local.name()),
        other => Err(Failure::usage(format!(
            "this build of bulla has no provider for `{}` keys; the provider comes as a feature \
             of bulla-cli in versions that offer it; schemes here: local",
            other.scheme()
        ))),
    }
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
