//! Which keys the user means, and connecting to those that data is sealed to.

use std::collections::BTreeMap;

use bulla::{KeyUri, envelope::WritePolicy};
use bulla_config::{Config, Key, Recipients, connect_each};
use bulla_local::{Passphrase, Store};
use tokio::runtime::Handle;

use super::{DEFAULT_KEY, Provider, check_scheme, existing, local_name, registry, store};
use crate::{
    config,
    failure::{Failure, Outcome},
    passphrases::Passphrases,
};

/// Keys that the user named, and those that open without being named. What a user calls a key is its
/// name: one of the configuration, or else its URI.
#[derive(Default)]
pub(crate) struct Keys {
    pub(super) named: Recipients,
    /// Keys of the configuration that are not in the local store, which is always opened with.
    pub(super) elsewhere: Vec<Key>,
    /// A group that need not be complete, and is not all that was named.
    pub(super) combined: Option<String>,
    /// No key was named and there is no configuration: the default key is made if need be.
    pub(super) make_default: bool,
    /// No key was named, and these are all that there are: some may be for something else.
    pub(super) unnamed: bool,
}

impl Keys {
    /// Reads what stands for keys: names of the configuration, or URIs.
    pub(crate) fn choose(config: Option<&Config>, texts: &[String]) -> Outcome<Self> {
        let mut chosen = Self { elsewhere: elsewhere(config), ..Self::default() };
        for text in texts {
            // A URI has a colon, and a name has none.
            match config.filter(|_| !text.contains(':')) {
                Some(config) => chosen.add_name(config, text, texts.len() == 1)?,
                None => chosen.named.keys.push(by_uri(text)?),
            }
        }
        for key in &chosen.named.keys {
            check_scheme(&key.uri)?;
        }
        Ok(chosen)
    }

    /// The same for sealing, which falls back on the default.
    pub(crate) fn choose_to_seal(config: Option<&Config>, texts: &[String]) -> Outcome<Self> {
        match config {
            _ if !texts.is_empty() => Self::choose(config, texts),
            Some(some) => Self::choose(config, &[config::default(some)?.to_owned()]),
            None => {
                let uri = format!("local:{DEFAULT_KEY}");
                Ok(Self { make_default: true, ..Self::choose(None, &[uri])? })
            }
        }
    }

    fn add_name(&mut self, config: &Config, name: &str, alone: bool) -> Outcome<()> {
        let found = config.recipients(name).map_err(|e| Failure::usage(e.message()))?;
        self.named.keys.extend(found.keys);
        self.named.header_len = self.named.header_len.max(found.header_len);
        if alone {
            self.named.write = found.write;
        } else if found.write != WritePolicy::All {
            self.combined = Some(name.to_owned());
        }
        Ok(())
    }

    /// A provider for each key, in their order.
    pub(crate) fn recipients(
        self,
        passphrases: &Passphrases,
        runtime: &Handle,
    ) -> Outcome<Vec<Provider>> {
        let keys = &self.named.keys;
        let connected = connect_to_seal(keys, passphrases, runtime)?;
        connected.into_iter().collect()
    }
}

/// Connects to keys that seal: one result for each, in their order. What is asked is asked before.
///
/// # Errors
/// A key named twice; anything else is that key's.
pub(super) fn connect_to_seal(
    keys: &[Key],
    passphrases: &Passphrases,
    runtime: &Handle,
) -> Outcome<Vec<Outcome<Provider>>> {
    let mut names: Vec<_> = keys.iter().map(|key| &key.name).collect();
    names.sort_unstable();
    if let Some([name, _]) = names.array_windows().find(|[one, other]| one == other) {
        return Err(Failure::usage(format!(
            "{name} is given twice; two recipients can't be the same key"
        )));
    }
    let store = store()?;
    let mut given = BTreeMap::new();
    let prepared: Vec<_> =
        keys.iter().map(|key| unlock(key, &store, passphrases, &mut given)).collect();
    let ready = keys.iter().zip(&prepared).filter(|(_, prepared)| prepared.is_ok());
    let ready: Vec<_> = ready.map(|(key, _)| key.clone()).collect();
    let mut connected = runtime.block_on(connect_each(&registry(store, given), &ready)).into_iter();
    let opened = keys.iter().zip(prepared).map(|(key, prepared)| {
        prepared?;
        match connected.next() {
            Some(Ok(provider)) if provider.sealing_key().is_some() => Ok(provider),
            Some(Err(error)) => Err(error.into()),
            _ => Err(signs(&key.name, "")),
        }
    });
    Ok(opened.collect())
}

/// Finds what it takes to seal to a key of the store, and asks for its passphrase if need be.
fn unlock(
    key: &Key,
    store: &Store,
    passphrases: &Passphrases,
    given: &mut BTreeMap<String, Vec<Passphrase>>,
) -> Outcome<()> {
    let Some(name) = local_name(&key.uri) else { return Ok(()) };
    let record = existing(store, name)?;
    if !record.key_type.seals() {
        return Err(signs(&key.name, &format!(" of type {}", record.key_type)));
    }
    given.insert(name.to_owned(), passphrases.for_sealing(&record)?);
    Ok(())
}

fn signs(name: &str, key_type: &str) -> Failure {
    Failure::usage(format!("{name} is a key{key_type} that signs and does not seal"))
}

/// A key that the configuration does not name.
fn by_uri(text: &str) -> Outcome<Key> {
    // The library says what is wrong with it, and quotes no more than is safe.
    let uri = text.parse::<KeyUri>().map_err(|error| Failure::from(error).at("key URI"))?;
    Ok(Key::new(uri.to_string(), uri))
}

fn elsewhere(config: Option<&Config>) -> Vec<Key> {
    let keys = config.into_iter().flat_map(Config::keys);
    keys.filter(|key| !matches!(key.uri, KeyUri::Local(_))).cloned().collect()
}
