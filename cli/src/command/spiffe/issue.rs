//! `bulla spiffe issue`.

use std::sync::Arc;

use bulla_spiffe::{JwtSvidIssuer, JwtSvidRequest, spiffe_id};

use crate::{
    Session,
    args::IssueSvid,
    command::token::provider_keys,
    failure::{Failure, Outcome},
    passphrases::Passphrases,
    providers::to_sign,
    shown, stdio,
};

pub(super) fn run(args: IssueSvid, session: &Session) -> Outcome<()> {
    let request = request(&args)?;
    let domain = request.id().trust_domain().clone();
    let passphrases = Passphrases::new(&args.passphrases.files, &session.cleanup)?;
    let (issuer, ring) = match (&args.ring, &args.key) {
        (Some(ring), _) => {
            let keys = Arc::new(to_sign(ring, &passphrases, session)?);
            (JwtSvidIssuer::of_ring(domain, keys), Some(shown::path(ring)))
        }
        (None, Some(key)) => {
            let keys = provider_keys(key, args.alg, args.kid, &passphrases, session)?;
            (JwtSvidIssuer::builder(domain, keys), None)
        }
        (None, None) => return Err(Failure::usage("no key is named to sign with")),
    };
    // A faulty signature can give the key away, and a second one costs this command nothing.
    let issuer = issuer.ttl(args.ttl).verify_signatures();
    let issuer = match args.iss {
        Some(iss) => issuer.issuer(iss),
        None => issuer,
    };
    let issued = session.runtime.block_on(async { issuer.build().await?.issue(&request).await });
    let issued = issued.map_err(|error| match &ring {
        Some(ring) => Failure::from(error).at(ring),
        None => Failure::from(error),
    })?;
    stdio::print(&format!("{}\n", issued.token()))
}

fn request(args: &IssueSvid) -> Outcome<JwtSvidRequest> {
    let mut audiences = args.aud.iter();
    let first = audiences.next().ok_or_else(|| Failure::usage("no audience is named"))?;
    let mut request = JwtSvidRequest::new(spiffe_id(&args.id)?, first);
    for audience in audiences {
        request = request.with_audience(audience);
    }
    for claim in &args.claim {
        request = request.with_claim(&claim.name, &claim.value)?;
    }
    Ok(request)
}
