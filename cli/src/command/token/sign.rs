//! `bulla token sign`.

use std::sync::Arc;

use bulla::{
    PublicKey, SigningAlgorithm,
    jwt::{Jwk, ProviderKeys, Signer},
};

use super::claims::ClaimSet;
use crate::{
    Session,
    args::SignToken,
    config,
    failure::{Failure, Outcome},
    passphrases::Passphrases,
    providers::{Keys, Provider},
    stdio,
};

/// What RSA keys sign with unless told otherwise: every verifier knows it.
pub(in crate::command) const DEFAULT_RSA: SigningAlgorithm = SigningAlgorithm::Rs256;

pub(super) fn run(args: SignToken, session: &Session) -> Outcome<()> {
    let config = config::load(session.config.as_deref())?;
    let key = Keys::choose(config.as_ref(), std::slice::from_ref(&args.key))?;
    let claims = ClaimSet::collect(&args)?;
    let passphrases = Passphrases::new(&args.passphrases.files, &session.cleanup)?;
    let provider = key.signing_provider(&passphrases, &session.runtime)?;
    let keys = Arc::new(keys(provider, &args));
    // A faulty signature can give the key away, and a second one costs this command nothing.
    let signer = Signer::builder(keys).typ(args.typ).verify_signatures().build()?;
    let token = session.runtime.block_on(signer.sign(&claims)).map_err(Failure::from)?;
    stdio::print(&format!("{token}\n"))
}

fn keys(provider: Provider, args: &SignToken) -> ProviderKeys<Provider> {
    let is_rsa = provider.capabilities().signing.contains(&DEFAULT_RSA);
    let algorithm = args.alg.map(|alg| alg.algorithm).or(is_rsa.then_some(DEFAULT_RSA));
    let ed25519 = args.alg.and_then(|alg| alg.ed25519).unwrap_or_default();
    let keys = ProviderKeys::builder(provider).ed25519_name(ed25519);
    let keys = match algorithm {
        Some(algorithm) => keys.algorithm(algorithm),
        None => keys,
    };
    let keys = match args.kid.clone() {
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
