//! `bulla token verify`.

use std::{path::PathBuf, sync::Arc};

use bulla::{
    SigningAlgorithm,
    jwt::{Ed25519Name, Jwk, JwkSet, KeySource, MAX_SET_LEN, Verified, Verifier},
};
use serde_json::Value;

use super::{
    Token,
    refusal::{self, Place},
    sign::DEFAULT_RSA,
};
use crate::{
    Session,
    args::VerifyToken,
    config,
    failure::{Failure, Outcome},
    input::Source,
    json,
    providers::{Keys, Names},
    remote::Remote,
};

pub(super) fn run(args: VerifyToken, session: &Session) -> Outcome<()> {
    let verifier = verifier(&args)?;
    let (source, place) = keys(&args, session)?;
    let token = Token::read(args.file)?;
    let verified: Verified<Value> = session
        .runtime
        .block_on(verifier.verify(&token.text, &*source))
        .map_err(|error| refusal::explain(&error, &token, &place))?;
    json::print(verified.claims())
}

fn verifier(args: &VerifyToken) -> Outcome<Verifier> {
    let rules = Verifier::builder().leeway(args.leeway);
    let rules = match issuer(args)? {
        Some(issuer) => rules.issuer(issuer),
        None => rules.any_issuer(),
    };
    let rules = match &args.aud {
        Some(audience) => rules.audience(audience),
        None => rules.any_audience(),
    };
    let rules = if args.any_typ { rules.any_typ() } else { rules.typ(&args.typ) };
    let rules = match args.alg {
        Some(alg) => rules.algorithms([alg.algorithm]),
        None => rules,
    };
    Ok(rules.build()?)
}

/// Whose tokens are accepted: the parser sees to it that `None` was asked for.
fn issuer(args: &VerifyToken) -> Outcome<Option<&str>> {
    match (&args.issuer, &args.iss) {
        (Some(url), Some(iss)) if url != iss => {
            Err(Failure::usage("--iss is not the URL that --issuer names, whose keys these are")
                .hint("leave --iss out, or give the keys with --jwks"))
        }
        (url, iss) => Ok(iss.as_deref().or(url.as_deref())),
    }
}

fn keys(args: &VerifyToken, session: &Session) -> Outcome<(Box<dyn KeySource>, Place)> {
    if let Some(key) = &args.key {
        return named_key(key, args.alg.map(|alg| alg.algorithm), session);
    }
    if let Some(url) = &args.issuer {
        return Ok((Remote::Issuer(url).source()?, Place::Remote));
    }
    let set = args.jwks.as_deref().unwrap_or_default();
    if let Some(url) = Remote::jwk_set(set) {
        return Ok((url.source()?, Place::Remote));
    }
    let set = Arc::new(read_set(set)?);
    let place = Place::Set { keys: Arc::clone(&set), alg_given: args.alg.is_some() };
    Ok((Box::new(set), place))
}

/// A key of this user and its versions.
fn named_key(
    key: &String,
    alg: Option<SigningAlgorithm>,
    session: &Session,
) -> Outcome<(Box<dyn KeySource>, Place)> {
    let config = config::load(session.config.as_deref())?;
    let keys = Keys::choose(config.as_ref(), std::slice::from_ref(key))?;
    let rsa = alg.filter(is_rsa).unwrap_or(DEFAULT_RSA);
    let set = keys.jwk_set(Names { rsa, ed25519: Ed25519Name::default() }, &session.runtime)?;
    let place = Place::Key {
        rsa: set.iter().filter_map(Jwk::algorithm).any(|alg| is_rsa(&alg)),
        alg_given: alg.is_some(),
    };
    Ok((Box::new(Arc::new(set)), place))
}

fn is_rsa(algorithm: &SigningAlgorithm) -> bool {
    use SigningAlgorithm::*;
    matches!(algorithm, Rs256 | Rs384 | Rs512 | Ps256 | Ps384 | Ps512)
}

fn read_set(path: &str) -> Outcome<JwkSet> {
    if path == "-" {
        return Err(Failure::usage("--jwks names a file or a URL: standard input is the token's"));
    }
    let input = Source::File(PathBuf::from(path)).open()?;
    let name = input.name.clone();
    let json = input.read_all(MAX_SET_LEN as u64)?;
    let json = json.ok_or_else(|| Failure::usage("is longer than 1 MiB").at(&name))?;
    JwkSet::from_json(json).map_err(|error| Failure::from(error).at(&name))
}
