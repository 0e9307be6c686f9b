//! `bulla jwks`.

use crate::{Session, args::Jwks, config, failure::Outcome, json, providers::Keys, say};

pub(crate) fn run(args: &Jwks, session: &Session) -> Outcome<()> {
    let config = config::load(session.config.as_deref())?;
    let keys = Keys::choose_to_publish(config.as_ref(), &args.keys)?;
    let set = keys.jwk_set(args.alg.algorithm, &session.runtime)?;
    if set.is_empty() {
        say::note("no key here signs, so the set is empty");
    }
    json::print(&set)
}
