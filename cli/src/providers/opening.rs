//! Opening with the keys of the store, and with others that are named or configured.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use bulla::{
    KeyName, Opener, Registry,
    format::Header,
    resilience::{Policy, Resilient},
};
use bulla_config::{Config, Key, connect_each};
use bulla_local::{Local, Store};
use tokio::runtime::Handle;

use super::{Keys, Provider, check_scheme, connect, existing, local_name, registry, store};
use crate::{
    failure::{Failure, Outcome},
    passphrases::Passphrases,
};

/// What the store as a whole is called in the registry: no key of a configuration has such a name.
const WHOLE_STORE: &str = "local:";

/// A call to the store is work of this machine: it takes what it takes, such as for a passphrase under
/// which a key was put on a larger one, and a second attempt would find the same.
const LONGEST: Duration = Duration::from_hours(24);

/// What opens, and what does not.
pub(crate) struct Openers {
    pub(crate) opener: Opener<Provider>,
    /// Keys that could not be had, and why.
    pub(crate) unopened: Vec<Failure>,
}

impl Keys {
    /// An opener with every key of the store, and with those keys named here or configured that
    /// are of a kind to which this message is sealed. Local keys that are named must exist.
    pub(crate) fn opener(
        self,
        header: &Header,
        passphrases: &Passphrases,
        runtime: &Handle,
    ) -> Outcome<Openers> {
        self.opener_with(store()?, Some(header), passphrases, runtime)
    }

    /// The same for messages that nobody has seen yet, of whatever kind of key. Only local keys that are
    /// named have their passphrases asked for.
    #[cfg(feature = "store")]
    pub(crate) fn opener_of_any(
        self,
        passphrases: &Passphrases,
        runtime: &Handle,
    ) -> Outcome<Openers> {
        self.opener_with(store()?, None, passphrases, runtime)
    }

    fn opener_with(
        self,
        store: Store,
        header: Option<&Header>,
        passphrases: &Passphrases,
        runtime: &Handle,
    ) -> Outcome<Openers> {
        let named = self.named.keys;
        let local = named.iter().filter_map(|key| local_name(&key.uri));
        let local = local.map(|name| existing(&store, name)).collect::<Outcome<Vec<_>>>()?;
        let builder = Local::builder(store.clone()).label("local").open_all();
        let local = match header {
            Some(header) => passphrases.unlock_for(builder, &store, header)?,
            None => passphrases.unlock_all(builder, &local)?,
        };
        let local = local.build()?;
        let policy = Policy::builder().attempt_timeout(LONGEST).deadline(LONGEST).max_attempts(1);
        let registry = registry(store, BTreeMap::new());
        let local = Resilient::new(Arc::new(local), policy.build()?);
        registry.register(WHOLE_STORE, Arc::new(local))?;

        let configured = self.elsewhere.into_iter();
        let configured = configured.filter(|key| named.iter().all(|named| named.uri != key.uri));
        let configured: Vec<_> = configured.collect();
        let named = named.into_iter().filter(|key| local_name(&key.uri).is_none());
        // Others can't open it, and asking for them takes time and credentials.
        let sealed_to = |key: &Key| {
            let Some(header) = header else { return true };
            header.recipients().iter().any(|r| r.key.scheme() == key.uri.name_scheme())
        };
        let keys: Vec<_> = named.chain(configured).filter(sealed_to).collect();
        let connected = runtime.block_on(connect_each(&registry, &keys));
        let unopened = keys.iter().zip(connected).filter_map(|(key, connected)| {
            let error = connected.err()?;
            // Which feature is missing helps more than that something is.
            let failure = check_scheme(&key.uri).err().unwrap_or_else(|| error.into());
            Some(failure.of_key(&key.name))
        });
        Ok(Openers { unopened: unopened.collect(), opener: Opener::new(registry.providers()) })
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
    let registry = registry(store.clone(), BTreeMap::new());
    let keys = Keys::choose(config, &[text.to_owned()])?.named.keys;
    let names = keys.iter().map(|key| match local_name(&key.uri) {
        Some(name) => {
            let id = store.key(name).map_or_else(|_| name.to_owned(), |record| record.id);
            Ok(KeyName::new("local", id)?)
        }
        None => elsewhere_recipient(header, key, &registry, runtime),
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
    key: &Key,
    registry: &Registry,
    runtime: &Handle,
) -> Outcome<KeyName> {
    let provider = runtime.block_on(connect(registry, key)).map_err(|error| {
        Failure::from(error)
            .hint("`bulla inspect` shows the names of recipients, which can be given as they are")
    })?;
    let mut opened = header.recipients().iter().filter(|r| provider.opens(&r.key).is_some());
    let own = opened.next().map(|recipient| &recipient.key).or(provider.sealing_key());
    own.cloned().ok_or_else(|| Failure::usage(format!("{} does not seal", key.name)))
}

/// A key that objects are to be sealed to no more.
#[cfg(feature = "store")]
pub(crate) enum FromKey {
    /// One of the local store.
    Held(KeyName),
    /// One that the local store has not, or has no more.
    Gone(KeyName),
    /// By the name that headers have of it, whoever has it.
    Shown(String),
    /// By its provider, whichever of its names a header has.
    Provider(Provider),
}

/// The key that the user means: by a name in the configuration, by a key URI, or as an audit shows it.
#[cfg(feature = "store")]
pub(crate) fn from_key(text: &str, config: Option<&Config>, runtime: &Handle) -> Outcome<FromKey> {
    let chosen = match Keys::choose(config, &[text.to_owned()]) {
        Ok(chosen) => chosen,
        Err(_) if is_shown(text) => return Ok(FromKey::Shown(text.to_owned())),
        Err(failure) => return Err(failure),
    };
    let Ok([key]) = <[Key; 1]>::try_from(chosen.named.keys) else {
        return Err(Failure::usage(format!("`{text}` is a group; name the keys to replace")));
    };
    let store = store()?;
    if let Some(name) = local_name(&key.uri) {
        return Ok(match store.key(name) {
            Ok(record) => FromKey::Held(KeyName::new("local", record.id)?),
            // A mistake would find nothing to do, and say so.
            Err(_) if is_id(name) => FromKey::Gone(KeyName::new("local", name.to_owned())?),
            Err(_) => return existing(&store, name).map(|_| FromKey::Shown(text.to_owned())),
        });
    }
    let provider = runtime.block_on(connect(&registry(store, BTreeMap::new()), &key));
    let provider = provider.map_err(|error| {
        Failure::from(error)
            .of_key(&key.name)
            .hint("`bulla store audit` shows the names of keys, which can be given as they are")
    })?;
    match provider.sealing_key() {
        Some(_) => Ok(FromKey::Provider(provider)),
        None => Err(Failure::usage(format!("{} does not seal", key.name))),
    }
}

/// Whether it can be the name of a key as headers have it, and no URI with its authority.
#[cfg(feature = "store")]
fn is_shown(text: &str) -> bool {
    text.split_once(':').is_some_and(|(scheme, id)| {
        scheme.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
            && !id.is_empty()
            && !id.starts_with("//")
            && id.bytes().all(|b| b.is_ascii_graphic())
    })
}

/// An id of the local store.
#[cfg(feature = "store")]
fn is_id(name: &str) -> bool {
    name.len() == 32 && name.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

#[cfg(test)]
mod tests {
    use bulla::{Context, CryptoProviderExt as _, format::Preamble};
    use bulla_local::{KeyType, Protection};

    use super::*;
    use crate::cleanup::Cleanup;

    /// The wrapper hides what it wraps; only its debug form tells that it is there.
    #[test]
    fn the_store_opens_behind_a_policy_too() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let dir = tempfile::tempdir().unwrap();
        let store = Store::at(dir.path().join("keys"));
        store.create_key("one", KeyType::Aes256, &Protection::None).unwrap();
        let local = Local::builder(store.clone()).sealing_key("one").build().unwrap();
        let context = Context::new();
        let sealed = runtime.block_on(local.seal(b"text", &context)).unwrap();
        let (head, _) = Preamble::split(&sealed).unwrap();

        let passphrases = Passphrases::new(&[], &Cleanup::default()).unwrap();
        let keys = Keys::default();
        let handle = runtime.handle();
        let Openers { opener, unopened } =
            keys.opener_with(store, Some(head.header()), &passphrases, handle).unwrap();
        assert!(unopened.is_empty());
        let opened = runtime.block_on(opener.open(&sealed, &context)).unwrap();
        assert_eq!(&*opened, b"text");
        let shown = format!("{opener:?}");
        assert_eq!(shown.matches("Local {").count(), 1, "{shown}");
        assert_eq!(shown.matches("Resilient { provider: Local {").count(), 1, "{shown}");
    }
}
