//! Key URIs to providers. This build has one: the local key store.

use std::sync::Arc;

use bulla::{
    Context, CryptoProvider, DEFAULT_HEADER_LEN, ErrorKind, Header, KeyName, KeyUri, Opener, Sealer,
};
use bulla_local::{KeyRecord, KeyType, Local, Protection, Store};

use crate::{
    failure::{Failure, Outcome},
    passphrases::Passphrases,
    say, shown,
};

pub(crate) type Provider = Arc<dyn CryptoProvider>;

/// The key that data is sealed to where none is named.
const DEFAULT_KEY: &str = "default";

/// Keys that the user named, by the schemes that this build knows.
#[derive(Default)]
pub(crate) struct Keys {
    local: Vec<String>,
}

impl Keys {
    /// Reads `--key` arguments.
    pub(crate) fn parse(uris: &[String]) -> Outcome<Self> {
        let local = uris.iter().map(|uri| local_name(uri)).collect::<Outcome<_>>()?;
        Ok(Self { local })
    }

    /// A sealer to these keys, or to the default key, which is made on first use.
    pub(crate) fn sealer(
        self,
        context: &Context,
        passphrases: &Passphrases,
    ) -> Outcome<Sealer<Provider>> {
        let store = store()?;
        let names = match self.local {
            names if names.is_empty() => vec![default_key(&store)?],
            names => names,
        };
        let providers = Self { local: names }.recipients(passphrases)?;
        let builder = Sealer::builder().header_len(header_len(&providers, context));
        Ok(providers.into_iter().fold(builder, |b, provider| b.recipient(provider)).build()?)
    }

    /// A provider for each key, in their order.
    pub(crate) fn recipients(self, passphrases: &Passphrases) -> Outcome<Vec<Provider>> {
        let store = store()?;
        let recipient = |name: String| {
            let key = existing(&store, &name)?;
            let key_type = key.key_type;
            if !key_type.seals() {
                return Err(Failure::usage(format!(
                    "local:{name} is a key of type {key_type}, which signs and does not seal"
                )));
            }
            let builder = Local::builder(store.clone()).label(format!("local:{name}"));
            let local = passphrases.unlock(builder, &key)?.sealing_key(name).build()?;
            Ok(Arc::new(local) as Provider)
        };
        self.local.into_iter().map(recipient).collect()
    }

    /// An opener with every key of the store, for this message. Keys that are named must exist.
    pub(crate) fn opener(
        self,
        header: &Header,
        passphrases: &Passphrases,
    ) -> Outcome<Opener<Provider>> {
        let store = store()?;
        for name in &self.local {
            existing(&store, name)?;
        }
        let builder = Local::builder(store.clone()).label("local").open_all();
        let local = passphrases.unlock_for(builder, &store, header)?.build()?;
        Ok(Opener::new([Arc::new(local) as Provider]))
    }
}

/// The recipient of a message that the user means: by its name in the header, as `bulla inspect`
/// shows it, or by a key URI.
pub(crate) fn named_recipient(header: &Header, text: &str) -> Outcome<KeyName> {
    let in_header = header.recipients().iter().find(|wrapped| wrapped.key.to_string() == text);
    if let Some(wrapped) = in_header {
        return Ok(wrapped.key.clone());
    }
    let name = local_name(text)?;
    let id = store()?.key(&name).map_or(name, |key| key.id);
    Ok(KeyName::new("local", id)?)
}

/// The store of this user, by a path that means the same from any directory.
pub(crate) fn store() -> Outcome<Store> {
    let path = Store::default_path()?;
    let absolute = std::path::absolute(&path);
    Ok(Store::at(absolute.map_err(|e| Failure::io(&shown::path(&path), &e))?))
}

fn local_name(uri: &str) -> Outcome<String> {
    // The library says what is wrong with it, and quotes no more than is safe.
    match uri.parse::<KeyUri>().map_err(|error| Failure::from(error).at("key URI"))? {
        KeyUri::Local(local) => Ok(local.name().to_owned()),
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

/// The default key's name; the key exists afterwards.
fn default_key(store: &Store) -> Outcome<String> {
    let name = DEFAULT_KEY.to_owned();
    match store.key(DEFAULT_KEY) {
        Ok(_) => return Ok(name),
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(error.into()),
    }
    match store.create_key(DEFAULT_KEY, KeyType::Aes256, &Protection::None) {
        Ok(_) => {
            let path = shown::path(store.path());
            say::note(&format!("made the key local:{DEFAULT_KEY}, the first use of it"));
            say::detail(&format!("it is in {path}: back that directory up;"));
            say::detail("without it, nothing that is sealed to this key can be opened");
            Ok(name)
        }
        // Another run was faster.
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(name),
        Err(error) => Err(error.into()),
    }
}

/// Room for what these recipients and this context may need, and never less than usual.
fn header_len(providers: &[Provider], context: &Context) -> u16 {
    /// Lengths, scheme and version of a recipient, and the header's own fields.
    const FIXED: usize = 128;
    let recipients = providers.iter().map(|provider| {
        // A byte of the id may be three when encoded.
        let name = provider.sealing_key().map_or(0, |key| 3 * key.id().len());
        FIXED + name + provider.capabilities().max_wrapped_len
    });
    let needed = recipients.sum::<usize>() + context.key().encoded_len() + FIXED;
    let usual = usize::from(DEFAULT_HEADER_LEN);
    u16::try_from(needed.next_multiple_of(usual)).unwrap_or(u16::MAX)
}
