//! Keys that sign: one to sign with, and the public halves of several to verify with.

use std::collections::BTreeMap;

use bulla::{
    KeyUri, Registry, SigningAlgorithm,
    jwt::{Ed25519Name, Jwk, JwkSet, ProviderKeys},
    key::KeyState,
};
use bulla_config::{Config, Key};
use bulla_local::{ExportFormat, KeyRecord, Store};
use tokio::runtime::Handle;

use super::{Keys, Provider, connect, existing, registry, store};
use crate::{
    failure::{Failure, Outcome},
    passphrases::Passphrases,
};

/// What keys are said to sign with.
#[derive(Clone, Copy)]
pub(crate) struct Names {
    /// RSA keys have several algorithms.
    pub(crate) rsa: SigningAlgorithm,
    /// Ed25519 has two names.
    pub(crate) ed25519: Ed25519Name,
}

impl Keys {
    /// The keys named; or else all of the configuration, or without one all of the local store,
    /// of which those that don't sign are left out.
    pub(crate) fn choose_to_publish(config: Option<&Config>, texts: &[String]) -> Outcome<Self> {
        if !texts.is_empty() {
            return Self::choose(config, texts);
        }
        let keys: Vec<Key> = match config {
            Some(config) => config.keys().cloned().collect(),
            None => store()?.keys()?.iter().filter_map(stored_key).collect(),
        };
        Ok(Self { named: keys.into_iter().collect(), unnamed: true, ..Self::default() })
    }

    /// The provider of the one key that was named.
    pub(crate) fn signing_provider(
        self,
        passphrases: &Passphrases,
        runtime: &Handle,
    ) -> Outcome<Provider> {
        let Ok([key]) = <[Key; 1]>::try_from(self.named.keys) else {
            return Err(Failure::usage("a token is signed with one key, and this is a group"));
        };
        let store = store()?;
        let mut given = BTreeMap::new();
        if let KeyUri::Local(local) = &key.uri {
            let record = existing(&store, local.name())?;
            if record.key_type.seals() {
                return Err(seals(&key));
            }
            given.insert(local.name().to_owned(), passphrases.for_sealing(&record)?);
        }
        let provider = runtime.block_on(connect(&registry(store, given), &key))?;
        if provider.capabilities().signing.is_empty() {
            return Err(seals(&key));
        }
        Ok(provider)
    }

    /// The public keys of every version that may verify.
    pub(crate) fn jwk_set(self, names: Names, runtime: &Handle) -> Outcome<JwkSet> {
        let store = store()?;
        let registry = registry(store.clone(), BTreeMap::new());
        let mut all: Vec<Jwk> = Vec::new();
        for key in &self.named.keys {
            let found = match &key.uri {
                KeyUri::Local(local) => stored(&store, local.name(), names)?,
                _ => asked(&registry, key, names, runtime)?,
            };
            match found {
                None if self.unnamed => {}
                None => return Err(seals(key)),
                Some(jwks) if jwks.is_empty() && !self.unnamed => {
                    let message = "has no version that may verify: all are disabled or destroyed";
                    return Err(Failure::other(message).at(&key.name));
                }
                Some(jwks) => {
                    for jwk in jwks {
                        // Two names may stand for one key.
                        if !all.contains(&jwk) {
                            all.push(jwk);
                        }
                    }
                }
            }
        }
        Ok(JwkSet::new(all)?)
    }
}

/// A key of the store, by its URI.
pub(crate) fn stored_key(key: &KeyRecord) -> Option<Key> {
    let name = key.name.as_deref().unwrap_or(&key.id);
    let uri: KeyUri = format!("local:{name}").parse().ok()?;
    Some(Key::new(uri.to_string(), uri))
}

/// The public keys of a local key, from its files: a passphrase is for what is secret. `None` for a
/// key that does not sign.
fn stored(store: &Store, name: &str, names: Names) -> Outcome<Option<Vec<Jwk>>> {
    let record = existing(store, name)?;
    if record.key_type.seals() {
        return Ok(None);
    }
    let verifies = |state| matches!(state, KeyState::Active | KeyState::Deprecated);
    let versions = record.versions.iter().filter(|version| verifies(version.state));
    let jwks = versions.map(|version| {
        let pem = store.export_public(&record.id, Some(version.version), ExportFormat::Pem)?;
        let jwk = Jwk::from_pem(&pem)?;
        let kid = jwk.thumbprint();
        let jwk = jwk.with_kid(kid).with_ed25519_name(names.ed25519);
        Ok(if jwk.algorithm().is_none() { jwk.with_algorithm(names.rsa)? } else { jwk })
    });
    jwks.collect::<Outcome<_>>().map(Some)
}

/// The same of any other key, from its provider.
fn asked(
    registry: &Registry,
    key: &Key,
    names: Names,
    runtime: &Handle,
) -> Outcome<Option<Vec<Jwk>>> {
    let told = |error| Failure::from(error).of_key(&key.name);
    let provider = runtime.block_on(connect(registry, key)).map_err(told)?;
    if provider.capabilities().signing.is_empty() {
        return Ok(None);
    }
    let keys = ProviderKeys::builder(provider).algorithm(names.rsa);
    let keys = keys.ed25519_name(names.ed25519).build();
    let set = runtime.block_on(keys.jwk_set()).map_err(told)?;
    Ok(Some(set.iter().cloned().collect()))
}

fn seals(key: &Key) -> Failure {
    Failure::usage(format!("{} seals and does not sign", key.name))
        .hint("`bulla keys create NAME --type p-256` makes a key that signs")
}
