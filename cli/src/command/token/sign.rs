//! `bulla token sign`.

use std::{
    ops::Deref,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use bulla::{
    PublicKey, Sign, SigningAlgorithm,
    jwt::{Jwk, ProviderKeys, Signer, decode_unverified},
};
use serde_json::Value;

use super::claims::ClaimSet;
#[cfg(feature = "oauth")]
use crate::args::PassphraseFiles;
use crate::{
    Session,
    args::{NamedAlgorithm, SignToken},
    config,
    failure::{Failure, Outcome},
    passphrases::Passphrases,
    providers::{Keys, Provider, to_sign},
    shown, stdio,
};

/// What RSA keys sign with unless told otherwise: every verifier knows it.
pub(in crate::command) const DEFAULT_RSA: SigningAlgorithm = SigningAlgorithm::Rs256;

pub(super) fn run(args: SignToken, session: &Session) -> Outcome<()> {
    let (token, _) = signed(args, session)?;
    stdio::print(&format!("{token}\n"))
}

/// The token, and when it expires, if that is a date.
pub(in crate::command) fn signed(
    args: SignToken,
    session: &Session,
) -> Outcome<(String, Option<SystemTime>)> {
    let passphrases = Passphrases::new(&args.passphrases.files, &session.cleanup)?;
    let token = match (&args.ring, &args.key) {
        (Some(ring), _) => {
            let claims = ClaimSet::collect(&args)?;
            let keys = to_sign(ring, &passphrases, session)?.provider_keys();
            sign(keys, args.typ, &claims, session)
                .map_err(|failure| failure.at(&shown::path(ring)))?
        }
        (None, Some(key)) => {
            let chosen = chosen(key, session)?;
            let claims = ClaimSet::collect(&args)?;
            let provider = chosen.signing_provider(&passphrases, &session.runtime)?;
            let keys = Arc::new(keys(provider, args.alg, args.kid.clone()));
            sign(keys, args.typ, &claims, session)?
        }
        (None, None) => return Err(Failure::usage("no key is named to sign with")),
    };
    let expires = decode_unverified(&token)?.claims().get("exp").and_then(Value::as_u64);
    let expires = expires.and_then(|exp| UNIX_EPOCH.checked_add(Duration::from_secs(exp)));
    Ok((token, expires))
}

fn sign<P>(
    keys: Arc<ProviderKeys<P>>,
    typ: String,
    claims: &ClaimSet,
    session: &Session,
) -> Outcome<String>
where
    P: Deref<Target: Sign> + Send + Sync + 'static,
{
    // A faulty signature can give the key away, and a second one costs this command nothing.
    let signer = Signer::builder(keys).typ(typ).verify_signatures().build()?;
    session.runtime.block_on(signer.sign(claims)).map_err(Failure::from)
}

/// A signer of tokens with one key.
#[cfg(feature = "oauth")]
pub(in crate::command) fn signer(
    key: &str,
    alg: Option<NamedAlgorithm>,
    kid: Option<String>,
    passphrases: &PassphraseFiles,
    session: &Session,
) -> Outcome<Signer<Provider>> {
    let passphrases = Passphrases::new(&passphrases.files, &session.cleanup)?;
    let provider = chosen(key, session)?.signing_provider(&passphrases, &session.runtime)?;
    let keys = Arc::new(keys(provider, alg, kid));
    Ok(Signer::builder(keys).verify_signatures().build()?)
}

/// A provider's key, for signatures on something else than tokens.
#[cfg(feature = "spiffe")]
pub(in crate::command) fn signing_key(
    key: &str,
    passphrases: &Passphrases,
    session: &Session,
) -> Outcome<Arc<dyn Sign>> {
    Ok(chosen(key, session)?.signing_provider(passphrases, &session.runtime)?)
}

/// The keys of a provider, to sign with the current one.
#[cfg(feature = "spiffe")]
pub(in crate::command) fn provider_keys(
    key: &str,
    alg: Option<NamedAlgorithm>,
    kid: Option<String>,
    passphrases: &Passphrases,
    session: &Session,
) -> Outcome<Arc<ProviderKeys<Provider>>> {
    let provider = chosen(key, session)?.signing_provider(passphrases, &session.runtime)?;
    Ok(Arc::new(keys(provider, alg, kid)))
}

fn chosen(key: &str, session: &Session) -> Outcome<Keys> {
    let config = config::load(session.config.as_deref())?;
    Keys::choose(config.as_ref(), &[key.to_owned()])
}

fn keys(
    provider: Provider,
    alg: Option<NamedAlgorithm>,
    kid: Option<String>,
) -> ProviderKeys<Provider> {
    let is_rsa = provider.capabilities().signing.contains(&DEFAULT_RSA);
    let algorithm = alg.map(|alg| alg.algorithm).or(is_rsa.then_some(DEFAULT_RSA));
    let ed25519 = alg.and_then(|alg| alg.ed25519).unwrap_or_default();
    let keys = ProviderKeys::builder(provider).ed25519_name(ed25519);
    let keys = match algorithm {
        Some(algorithm) => keys.algorithm(algorithm),
        None => keys,
    };
    let keys = match kid {
        Some(kid) => keys.kid(move |key| name(key, &kid)),
        None => keys,
    };
    keys.build()
}

/// Only the version that signs has the name: no two may have the same.
fn name(key: &PublicKey, kid: &str) -> String {
    if key.current {
        return kid.to_owned();
    }
    Jwk::from_public_key(key).map_or_else(|_| key.version.to_string(), |jwk| jwk.thumbprint())
}
