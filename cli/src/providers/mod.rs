//! Names and key URIs to providers: the local key store, and those that are features of the build. All of
//! them stand in the library's registry, as a service's do.

mod backends;
mod creating;
mod keys;
mod opening;
mod ring;
mod sealing;
mod signing;

use bulla::{ErrorKind, KeyUri, SharedProvider};
use bulla_local::{KeyRecord, KeyType, Protection, Store};

#[cfg(feature = "store")]
pub(crate) use self::opening::{FromKey, from_key};
pub(crate) use self::{
    backends::{connect, registry},
    creating::{Created, create},
    keys::Keys,
    opening::{Openers, named_recipients},
    ring::{OpensNothing, maker, ring_at, to_sign},
    signing::{Names, stored_key},
};
use crate::{
    failure::{Failure, Outcome},
    say, shown,
};

pub(crate) type Provider = SharedProvider;

/// The key that data is sealed to where none is named and there is no configuration.
const DEFAULT_KEY: &str = "default";

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

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use std::time::Duration;

    use bulla_config::Config;

    use super::*;

    #[tokio::test]
    async fn a_provider_has_its_label_and_its_policy_around_it() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::at(dir.path().join("keys"));
        store.create_key("one", KeyType::Aes256, &Protection::None).unwrap();
        let text = "[keys.app]\nuri = \"local:one\"\npolicy = \"p\"\n\
                    [keys.x]\nuri = \"gcpkms://projects/p/locations/global/keyRings/r/cryptoKeys/x\"\n\
                    [policies.p]\ndeadline = \"77s\"";
        let config = Config::from_text("bulla.toml", text).unwrap();
        let registry = registry(store, BTreeMap::new());
        let key = config.key("app").unwrap();
        let provider = connect(&registry, key).await.unwrap();
        assert_eq!(provider.label(), "app");
        // The wrapper hides what it wraps; only its debug form shows the policy.
        let shown = format!("{provider:?}");
        let deadline = format!("deadline: {:?}", Duration::from_secs(77));
        assert!(shown.starts_with("Resilient") && shown.contains(&deadline), "{shown}");
        let again = connect(&registry, key).await.unwrap_err();
        assert_eq!(again.kind(), ErrorKind::AlreadyExists);
        let bare = bulla::Registry::builder().build();
        let error = connect(&bare, config.key("x").unwrap()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
    }
}
