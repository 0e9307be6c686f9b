//! `bulla jwks`.

use bulla::SigningAlgorithm;
use bulla_tokens::ring::RingKeys;

use super::token::DEFAULT_RSA;
use crate::{
    Session,
    args::{Jwks, NamedAlgorithm},
    config,
    failure::{Failure, Outcome},
    json,
    providers::{Keys, Names, OpensNothing, ring_at},
    say, shown,
};

pub(crate) fn run(args: &Jwks, session: &Session) -> Outcome<()> {
    if let Some(path) = &args.ring {
        let keys = RingKeys::new(ring_at(path), OpensNothing).provider_keys();
        let set = session.runtime.block_on(keys.jwk_set());
        return json::print(&*set.map_err(|error| Failure::from(error).at(&shown::path(path)))?);
    }
    let names = names(&args.alg)?;
    let config = config::load(session.config.as_deref())?;
    let keys = Keys::choose_to_publish(config.as_ref(), &args.keys)?;
    let set = keys.jwk_set(names, &session.runtime)?;
    if set.is_empty() {
        say::note("no key here signs, so the set is empty");
    }
    json::print(&set)
}

/// What keys are said to sign with, each kind of which can be told once.
fn names(given: &[NamedAlgorithm]) -> Outcome<Names> {
    let of = |ed25519: bool| {
        let mut all =
            given.iter().filter(move |alg| (alg.algorithm == SigningAlgorithm::Ed25519) == ed25519);
        match (all.next(), all.next()) {
            (_, Some(_)) => Err(Failure::usage("--alg is given twice for the same keys")
                .hint("it is given once for RSA keys, and once for what Ed25519 is called")),
            (one, None) => Ok(one),
        }
    };
    Ok(Names {
        rsa: of(false)?.map_or(DEFAULT_RSA, |alg| alg.algorithm),
        ed25519: of(true)?.and_then(|alg| alg.ed25519).unwrap_or_default(),
    })
}
