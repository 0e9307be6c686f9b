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

/// What an issuer's name begins with that is a trust domain of SPIFFE.
const SPIFFE: &str = "spiffe://";

pub(super) fn run(args: VerifyToken, session: &Session) -> Outcome<()> {
    if args.issuer.as_ref().is_some_and(|issuer| issuer.starts_with(SPIFFE)) {
        return svid(args, session);
    }
    let verifier = verifier(&args)?;
    let (source, place) = keys(&args, session)?;
    let token = Token::read(args.file)?;
    let verified: Verified<Value> = session
        .runtime
        .block_on(verifier.verify(&token.text, &*source))
        .map_err(|error| refusal::explain(&error, &token, &place))?;
    json::print(verified.claims())
}

/// A JWT-SVID, by the rules of SPIFFE: they say what `typ` and the algorithms are, and that there is an audience.
#[cfg(feature = "spiffe")]
fn svid(args: VerifyToken, session: &Session) -> Outcome<()> {
    let VerifyToken { issuer, aud, iss, typ, any_typ, alg, leeway, .. } = &args;
    if iss.is_some() || alg.is_some() || *any_typ || typ != crate::args::DEFAULT_TYP {
        let message =
            "with a trust domain as --issuer, SPIFFE says what type and algorithm tokens have";
        return Err(Failure::usage(message).hint("leave --iss, --typ, --any-typ and --alg out"));
    }
    let audience = aud.as_deref().ok_or_else(|| {
        Failure::usage("tokens of a trust domain are for an audience: name it by --aud")
    })?;
    let issuer = issuer.as_deref().unwrap_or_default();
    let verifier = crate::command::spiffe::of_trust_domain(issuer, audience, *leeway, session)?;
    let token = Token::read(args.file)?;
    let svid = session.runtime.block_on(verifier.verify(&token.text));
    let svid = svid.map_err(|error| refusal::explain(&error, &token, &Place::Remote))?;
    json::print(svid.claims())
}

#[cfg(not(feature = "spiffe"))]
fn svid(_: VerifyToken, _: &Session) -> Outcome<()> {
    Err(Failure::usage("this build of bulla has no SPIFFE; build it with `--features spiffe`"))
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
