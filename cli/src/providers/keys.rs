//! Which keys the user means.

use std::collections::BTreeMap;

use bulla::{KeyUri, envelope::WritePolicy, resilience::Policy};
use tokio::runtime::Handle;

use super::{Backends, DEFAULT_KEY, Provider, check_scheme, existing, local_name, store};
use crate::{
    config::Config,
    failure::{Failure, Outcome},
    passphrases::Passphrases,
};

/// A key, and what its user calls it: a name of the configuration, or else its URI.
#[derive(Clone, Debug)]
pub(crate) struct NamedKey {
    pub(crate) name: String,
    pub(crate) uri: KeyUri,
    pub(crate) policy: Policy,
}

/// Keys that the user named, and those that open without being named.
#[derive(Default)]
pub(crate) struct Keys {
    pub(super) keys: Vec<NamedKey>,
    /// Keys of the configuration that are not in the local store, which is always opened with.
    pub(super) elsewhere: Vec<NamedKey>,
    pub(super) write: WritePolicy,
    pub(super) header_len: Option<u16>,
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
                None => chosen.keys.push(NamedKey::from_uri(text)?),
            }
        }
        for key in &chosen.keys {
            check_scheme(&key.uri)?;
        }
        Ok(chosen)
    }

    /// The same for sealing, which falls back on the default.
    pub(crate) fn choose_to_seal(config: Option<&Config>, texts: &[String]) -> Outcome<Self> {
        match config {
            _ if !texts.is_empty() => Self::choose(config, texts),
            Some(some) => Self::choose(config, &[some.default()?.to_owned()]),
            None => {
                let uri = format!("local:{DEFAULT_KEY}");
                Ok(Self { make_default: true, ..Self::choose(None, &[uri])? })
            }
        }
    }

    fn add_name(&mut self, config: &Config, name: &str, alone: bool) -> Outcome<()> {
        if let Some(key) = NamedKey::configured(config, name) {
            self.keys.push(key);
            return Ok(());
        }
        let group = config.groups.get(name).ok_or_else(|| config.unknown(name))?;
        let keys = group.recipients.iter().filter_map(|name| NamedKey::configured(config, name));
        self.keys.extend(keys);
        self.header_len = self.header_len.max(group.header_len);
        if alone {
            self.write = group.write;
        } else if group.write != WritePolicy::All {
            self.combined = Some(name.to_owned());
        }
        Ok(())
    }

    /// Opens all of them, each for itself. What is asked is asked here.
    ///
    /// # Errors
    /// A key named twice; anything else is that key's.
    pub(super) fn open(
        self,
        passphrases: &Passphrases,
        runtime: &Handle,
    ) -> Outcome<Vec<(NamedKey, Outcome<Provider>)>> {
        let mut names: Vec<_> = self.keys.iter().map(|key| &key.name).collect();
        names.sort_unstable();
        if let Some(name) = names.windows(2).find_map(|pair| match pair {
            [one, other] if one == other => Some(one),
            _ => None,
        }) {
            return Err(Failure::usage(format!(
                "{name} is given twice; two recipients can't be the same key"
            )));
        }
        let store = store()?;
        let prepare = |key: &NamedKey| {
            let Some(name) = local_name(&key.uri) else { return Ok(None) };
            let record = existing(&store, name)?;
            if !record.key_type.seals() {
                return Err(signs(&key.name, &format!(" of type {}", record.key_type)));
            }
            Ok(Some((name.to_owned(), passphrases.for_sealing(&record)?)))
        };
        let prepared: Vec<_> = self.keys.iter().map(prepare).collect();
        let given: BTreeMap<_, _> = prepared.iter().flatten().flatten().cloned().collect();
        let backends = Backends::new(store.clone(), given);
        let open = |key: &NamedKey| {
            let provider = runtime.block_on(backends.connect(key))?;
            match provider.sealing_key() {
                Some(_) => Ok(provider),
                None => Err(signs(&key.name, "")),
            }
        };
        let opened = self.keys.into_iter().zip(prepared).map(|(key, prepared)| {
            let opened = prepared.and_then(|_| open(&key));
            (key, opened)
        });
        Ok(opened.collect())
    }
}

fn signs(name: &str, key_type: &str) -> Failure {
    Failure::usage(format!("{name} is a key{key_type} that signs and does not seal"))
}

impl NamedKey {
    pub(crate) fn configured(config: &Config, name: &str) -> Option<Self> {
        let key = config.keys.get(name)?;
        Some(Self { name: name.to_owned(), uri: key.uri.clone(), policy: key.policy.clone() })
    }

    fn from_uri(text: &str) -> Outcome<Self> {
        // The library says what is wrong with it, and quotes no more than is safe.
        let uri = text.parse::<KeyUri>().map_err(|error| Failure::from(error).at("key URI"))?;
        Ok(Self { name: uri.to_string(), uri, policy: Policy::default() })
    }
}

fn elsewhere(config: Option<&Config>) -> Vec<NamedKey> {
    let Some(config) = config else { return Vec::new() };
    let elsewhere = config.keys.iter().filter(|(_, key)| !matches!(key.uri, KeyUri::Local(_)));
    elsewhere.filter_map(|(name, _)| NamedKey::configured(config, name)).collect()
}
