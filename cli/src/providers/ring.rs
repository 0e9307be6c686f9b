//! Keys of a ring: making them, and signing with the one that signs.

use std::{collections::BTreeMap, path::Path, sync::Arc};

use bulla::{Context, ErrorKind, Opener, Registry, format::Preamble};
use bulla_config::{Config, Key};
use bulla_tokens::ring::{
    FileRing, KeyPlace, KeyRing, MakeKey, OpenByRegistry, OpenKey, ProviderMaker, RingKey,
    RingKeys, SealedMaker, SignWithKey,
};

use super::{Keys, connect, existing, local_name, registry, store};
use crate::{
    Session,
    args::NewKeys,
    config,
    failure::{Failure, Outcome},
    passphrases::Passphrases,
    say, shown,
};

/// The ring in a file.
pub(crate) fn ring_at(path: &Path) -> KeyRing {
    KeyRing::new(FileRing::new(path))
}

/// For rings that are published, which takes no private half.
pub(crate) struct OpensNothing;

#[async_trait::async_trait]
impl OpenKey for OpensNothing {
    async fn open_key(&self, _: &str, _: &RingKey) -> bulla::Result<Arc<dyn SignWithKey>> {
        Err(bulla::Error::new(ErrorKind::Unsupported, "nothing is signed here"))
    }
}

/// What makes the keys of a ring of this name.
pub(crate) fn maker(args: &NewKeys, name: &str, session: &Session) -> Outcome<Arc<dyn MakeKey>> {
    let config = config::load(session.config.as_deref())?;
    let passphrases = Passphrases::new(&args.passphrases.files, &session.cleanup)?;
    let algorithm = args.alg.map(|alg| alg.algorithm);
    if let Some(text) = &args.sign_with {
        let key = one_key(config.as_ref(), text)?;
        let registry = registry_for(&key, &passphrases, session)?;
        let maker = ProviderMaker::new(Arc::new(registry), key.uri).kids(args.kid.into());
        return Ok(match algorithm {
            Some(algorithm) => Arc::new(maker.algorithm(algorithm)),
            None => Arc::new(maker),
        });
    }
    // As long as that of any key of the ring.
    let context = Context::new()
        .with_key("use", "signing-key")?
        .with_key("key", name)?
        .with_key("version", "x".repeat(43))?;
    let keys = Keys::choose_to_seal(config.as_ref(), &args.keys)?;
    let sealer = keys.sealer(&context, &passphrases, &session.runtime)?.into_sealer();
    let maker = SealedMaker::new(sealer, args.key_type)?.kids(args.kid.into());
    Ok(match algorithm {
        Some(algorithm) => Arc::new(maker.algorithm(algorithm)?),
        None => Arc::new(maker),
    })
}

/// The keys of a ring, to sign with.
pub(crate) fn to_sign(
    path: &Path,
    passphrases: &Passphrases,
    session: &Session,
) -> Outcome<RingKeys> {
    let ring = ring_at(path);
    let at = |failure: Failure| failure.at(&shown::path(path));
    let known = session.runtime.block_on(ring.load()).map_err(|error| at(error.into()))?;
    let config = config::load(session.config.as_deref())?;
    let signing = known.signing()?;
    let open: Arc<dyn OpenKey> = match signing.place() {
        Some(KeyPlace::Sealed(sealed)) => {
            let (head, _) = Preamble::split(sealed).map_err(|error| at(error.into()))?;
            let keys = Keys::choose(config.as_ref(), &[])?;
            let openers = keys.opener(head.header(), passphrases, &session.runtime)?;
            for failure in &openers.unopened {
                say::note(failure.message());
            }
            Arc::new(openers.opener)
        }
        Some(KeyPlace::Provider(uri)) => {
            let key = one_key(config.as_ref(), &uri.to_string())?;
            let registry = Arc::new(registry_for(&key, passphrases, session)?);
            Arc::new(OpenByRegistry::new(registry, Opener::new([])))
        }
        _ => return Err(at(Failure::other("the key that signs is in a place of another version"))),
    };
    Ok(RingKeys::new(ring, open))
}

fn one_key(config: Option<&Config>, text: &str) -> Outcome<Key> {
    let keys = Keys::choose(config, &[text.to_owned()])?.named.keys;
    let [key] = <[Key; 1]>::try_from(keys)
        .map_err(|_| Failure::usage("a token is signed with one key, and this is a group"))?;
    Ok(key)
}

/// A registry in which this key is known by its URI, as the ring looks it up, and stands behind its policy.
fn registry_for(key: &Key, passphrases: &Passphrases, session: &Session) -> Outcome<Registry> {
    let store = store()?;
    let mut given = BTreeMap::new();
    if let Some(name) = local_name(&key.uri) {
        let record = existing(&store, name)?;
        if record.key_type.seals() {
            return Err(Failure::usage(format!("{} seals and does not sign", key.name))
                .hint("`bulla keys create NAME --type p-256` makes a key that signs"));
        }
        given.insert(name.to_owned(), passphrases.for_sealing(&record)?);
    }
    let registry = registry(store, given);
    let mut named = Key::new(key.uri.to_string(), key.uri.clone());
    named.policy = key.policy.clone();
    session.runtime.block_on(connect(&registry, &named))?;
    Ok(registry)
}
