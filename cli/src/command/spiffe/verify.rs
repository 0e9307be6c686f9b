//! `bulla spiffe verify`.

use std::{path::PathBuf, time::Duration};

use bulla_spiffe::{
    Bundle, BundleSet, JwtSvidVerifier, MAX_BUNDLE_LEN,
    federation::{FederatedDomain, Federation, FederationPolicy},
    trust_domain,
    workload::{WorkloadApi, WorkloadBundles},
};

use crate::{
    Session,
    args::{DomainBundle, VerifySvid},
    command::token::{Place, Token, explain},
    failure::{Failure, Outcome},
    input::Source,
    json, shown,
};

/// How long is waited for the Workload API.
const FIRST_BUNDLES: Duration = Duration::from_secs(10);

pub(super) fn run(args: VerifySvid, session: &Session) -> Outcome<()> {
    let bundles = BundleSet::new();
    for bundle in &args.bundles {
        let domain = trust_domain(&bundle.trust_domain)?;
        if bundles.trust_domains().contains(&domain) {
            let message = format!("the bundle of {domain} is given twice");
            return Err(Failure::usage(message));
        }
        bundles.insert(taken(bundle, session)?);
    }
    let asked = if args.bundles.is_empty() { Some(followed(&bundles, session)?) } else { None };
    let verifier = JwtSvidVerifier::builder(bundles).audience(&args.aud).leeway(args.leeway);
    let verifier = verifier.build()?;
    let token = Token::read(args.file)?;
    let verified = session.runtime.block_on(verifier.verify(&token.text));
    drop(asked);
    let svid = verified.map_err(|error| explain(&error, &token, &Place::Remote))?;
    json::print(svid.claims())
}

/// A verifier of the JWT-SVIDs of one trust domain, by the bundle that this host's Workload API has of it.
pub(in crate::command) fn of_trust_domain(
    id: &str,
    audience: &str,
    leeway: Duration,
    session: &Session,
) -> Outcome<JwtSvidVerifier> {
    let domain = trust_domain(id)?;
    let all = BundleSet::new();
    let asked = followed(&all, session)?;
    let bundle = session.runtime.block_on(all.bundle(&domain))?;
    drop(asked);
    let only = BundleSet::new();
    only.insert(bundle);
    Ok(JwtSvidVerifier::builder(only).audience(audience).leeway(leeway).build()?)
}

/// The bundles of this host's Workload API.
fn followed(bundles: &BundleSet, session: &Session) -> Outcome<WorkloadBundles> {
    let api = WorkloadApi::from_env().map_err(|error| {
        Failure::from(error)
            .hint("or give the bundles of trust domains to `bulla spiffe verify --bundle`")
    })?;
    let api = api.first_within(FIRST_BUNDLES);
    Ok(session.runtime.block_on(api.keep_bundles(bundles.clone()))?)
}

fn taken(bundle: &DomainBundle, session: &Session) -> Outcome<Bundle> {
    match bundle.place.contains("://") {
        true => fetched(&bundle.trust_domain, &bundle.place, session),
        false => read(bundle),
    }
}

/// The bundle of a trust domain, from where it is published: once, since a run verifies one token.
pub(super) fn fetched(domain: &str, url: &str, session: &Session) -> Outcome<Bundle> {
    let domain = trust_domain(domain)?;
    let fetched = session.runtime.block_on(async {
        let federation = Federation::new(BundleSet::new(), FederationPolicy::default())?;
        federation.add(FederatedDomain::https_web(domain.clone(), url)?)?;
        federation.refresh(&domain).await?;
        federation.bundles().bundle(&domain).await
    });
    Ok(Bundle::clone(&*fetched?))
}

pub(super) fn read(bundle: &DomainBundle) -> Outcome<Bundle> {
    let domain = trust_domain(&bundle.trust_domain)?;
    let path = PathBuf::from(&bundle.place);
    let input = Source::File(path.clone()).open()?;
    let json = input.read_all(MAX_BUNDLE_LEN as u64)?;
    let name = shown::path(&path);
    let json = json.ok_or_else(|| Failure::usage("is longer than 1 MiB").at(&name))?;
    Bundle::from_json(domain, json).map_err(|error| Failure::from(error).at(&name))
}
