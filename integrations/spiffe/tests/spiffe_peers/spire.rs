//! SPIRE's server and agent.

use std::{sync::Arc, time::Duration};

use bulla::jwt::InvalidToken;
use bulla_spiffe::{
    Bundle, BundleSet, JwtSvidVerifier,
    federation::{FederatedDomain, Federation, FederationPolicy},
    spiffe_id,
    workload::WorkloadApi,
};
use bulla_testworld::{Endpoint, GoSpiffe, Python, Spire, write};

use crate::{
    federation::{Ours, domain},
    honest::roots,
    served::Served,
};

const DOMAIN: &str = "spire.test";

#[test]
fn spire_serves_the_clients_in_go_and_in_python() {
    let (Some(go), Some(python)) = (GoSpiffe::find(), Python::for_spiffe()) else { return };
    let Some(spire) = Spire::start(DOMAIN, Endpoint::Spiffe, None) else { return };
    spire.entry("/workload", &[]);
    let served = Served { endpoint: &spire.endpoint(), id: &spire.id("/workload") };
    served.by_go(&go);
    served.by_python(&python);

    let dir = tempfile::tempdir().unwrap();
    let known = write(dir.path(), "known.json", spire.bundle().to_string());
    let mut fetch = go.command("bundles");
    fetch.args(["fetch", "-url", &spire.bundle_url(), "-trust-domain", DOMAIN]);
    fetch.args(["-id", &spire.endpoint_id()]).arg("-bundle").arg(known);
    let before = go.run(&mut fetch).remove(0);
    spire.rotate("jwt");
    let after = go.run(&mut fetch).remove(0);
    assert!(after["sequence"].as_u64() > before["sequence"].as_u64(), "{before} {after}");
    assert_eq!(after["jwt"].as_array().unwrap().len(), 2, "{after}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_clients_of_this_crate_are_served_by_spire() {
    let Some(spire) = Spire::start(DOMAIN, Endpoint::Spiffe, None) else { return };
    let entry = spire.entry("/workload", &["-x509SVIDTTL", "60"]);
    let api = WorkloadApi::at(spire.endpoint()).unwrap();
    let source = api.x509_source().await.unwrap();
    assert_eq!(source.svid().unwrap().spiffe_id().to_string(), spire.id("/workload"));
    let before = crate::clients::serial(&source);

    let svids = api.jwt_svids();
    let token = svids.svid(["orders", "billing"]).await.unwrap();
    assert!(Arc::ptr_eq(&token, &svids.svid(["billing", "orders"]).await.unwrap()));
    let bundles = BundleSet::new();
    let take =
        || bundles.insert(Bundle::from_json(domain(DOMAIN), spire.bundle().to_string()).unwrap());
    take();
    let verifier = JwtSvidVerifier::builder(bundles.clone()).audience("orders").build().unwrap();
    let svid = verifier.verify(token.token()).await.unwrap();
    assert_eq!(svid.id().to_string(), spire.id("/workload"));

    // What the agent renews comes here: it does so when the entry changes.
    let mut updated = source.updated();
    let (id, user) = (spire.id("/workload"), spire.user());
    let parent = spire.agent_id();
    let update = ["entry", "update", "-entryID", &entry, "-spiffeID", &id, "-parentID", &parent];
    spire.run(&[&update[..], &["-selector", &user, "-dns", "orders.test"]].concat());
    tokio::time::timeout(Duration::from_secs(30), updated.changed()).await.unwrap().unwrap();
    assert_ne!(crate::clients::serial(&source), before);

    // A token by a new key is good once its key is known.
    spire.rotate("jwt");
    let minted = spire.run(&["jwt", "mint", "-spiffeID", &id, "-audience", "orders"]);
    let error = verifier.verify(minted.trim()).await.unwrap_err();
    assert_eq!(InvalidToken::of(&error), Some(InvalidToken::UnknownKey));
    take();
    verifier.verify(minted.trim()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bundle_of_spire_is_followed_through_rotations() {
    for by_web in [false, true] {
        let (Some(go), dir) = (GoSpiffe::find(), tempfile::tempdir().unwrap()) else { return };
        let ca = go.trust_domain("spiffe://web.test/endpoint");
        let (chain, key) = ca.svid("spiffe://web.test/endpoint");
        let (chain, key) = (write(dir.path(), "c.pem", chain), write(dir.path(), "k.pem", key));
        let endpoint =
            if by_web { Endpoint::Web { chain: &chain, key: &key } } else { Endpoint::Spiffe };
        let Some(spire) = Spire::start(DOMAIN, endpoint, None) else { return };
        let of = domain(DOMAIN);
        let federated = if by_web {
            let federated = FederatedDomain::https_web(of.clone(), &spire.bundle_url()).unwrap();
            federated.root_certificate(roots(&ca.bundle()))
        } else {
            let known = Bundle::from_json(of.clone(), spire.bundle().to_string()).unwrap();
            let id = spiffe_id(&spire.endpoint_id()).unwrap();
            FederatedDomain::https_spiffe(of.clone(), &spire.bundle_url(), id, Some(known)).unwrap()
        };
        let bundles = BundleSet::new();
        let policy = FederationPolicy::default()
            .with_refresh(Duration::from_secs(1), Duration::from_secs(2));
        let federation = Federation::new(bundles.clone(), policy).unwrap();
        federation.add(federated).unwrap();
        federation.refresh(&of).await.unwrap();
        let first = bundles.at_hand(&of).unwrap();
        let verifier =
            JwtSvidVerifier::builder(bundles.clone()).audience("orders").build().unwrap();
        let id = spire.id("/workload");
        let mint = || spire.run(&["jwt", "mint", "-spiffeID", &id, "-audience", "orders"]);
        verifier.verify(mint().trim()).await.unwrap();

        // Both keys are changed twice; the bundle is followed by itself, every 2 seconds.
        for _ in 0..2 {
            spire.rotate("jwt");
            spire.rotate("x509");
            let token = mint();
            let mut left = 100;
            while let Err(error) = verifier.verify(token.trim()).await {
                assert_eq!(InvalidToken::of(&error), Some(InvalidToken::UnknownKey));
                left -= 1;
                assert!(left > 0, "by_web={by_web}: {:?}", federation.status());
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
        let last = bundles.at_hand(&of).unwrap();
        assert!(last.sequence() > first.sequence(), "{first:?} {last:?}");
        assert_eq!(last.x509_authorities().len(), first.x509_authorities().len() + 2);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn spire_follows_our_bundle_and_gives_it_to_its_workloads() {
    for by_web in [false, true] {
        let (Some(go), dir) = (GoSpiffe::find(), tempfile::tempdir().unwrap()) else { return };
        let ours = Ours::new(&go, dir.path()).await;
        let known = ours.document(dir.path()).await;
        let roots = write(dir.path(), "roots.pem", &ours.roots);
        let Some(spire) = Spire::start(DOMAIN, Endpoint::Spiffe, Some(&roots)) else { return };
        let known = known.to_str().unwrap();
        let create =
            ["federation", "create", "-trustDomain", "ours.test", "-bundleEndpointURL", &ours.url];
        let profile = if by_web {
            vec!["-bundleEndpointProfile", "https_web"]
        } else {
            let id = "spiffe://ours.test/endpoint";
            let by_id = ["-bundleEndpointProfile", "https_spiffe", "-endpointSpiffeID", id];
            let first = ["-trustDomainBundlePath", known, "-trustDomainBundleFormat", "spiffe"];
            [&by_id[..], &first].concat()
        };
        let listed = || {
            let list = ["bundle", "list", "-id", "spiffe://ours.test", "-format", "spiffe"];
            let printed = spire.try_run(&list)?;
            let at = printed.find('{').ok_or_else(|| printed.clone())?;
            Bundle::from_json(domain("ours.test"), &printed[at..])
                .map_err(|error| error.to_string())
        };
        tokio::task::block_in_place(|| spire.run(&[&create[..], &profile].concat()));
        let refresh = || spire.try_run(&["federation", "refresh", "-id", "ours.test"]);
        eventually(|| refresh().map(drop));
        eventually(|| listed().map(drop));

        // A workload of SPIRE is told of it, and so verifies our tokens.
        spire.entry("/workload", &["-federatesWith", "spiffe://ours.test"]);
        let keys = WorkloadApi::at(spire.endpoint()).unwrap().jwt_bundles().await.unwrap();
        let federated = keys.try_bundle_for_trust_domain(&domain("ours.test")).unwrap();
        let token = ours.token().await;
        let kid = crate::served::header(&token)["kid"].as_str().unwrap().to_owned();
        assert!(federated.find_jwt_authority(&kid).is_some(), "{kid}");

        // Another root: SPIRE has it after its next look.
        let other = go.trust_domain("spiffe://ours.test/other").bundle().to_string();
        let other = Bundle::from_json(domain("ours.test"), other).unwrap();
        let both = listed().unwrap().x509_authorities().to_vec();
        let both = both.into_iter().chain(other.x509_authorities().iter().cloned());
        ours.bundle.set_x509_authorities(both, 1);
        refresh().unwrap();
        eventually(|| match listed()?.x509_authorities().len() {
            2 => Ok(()),
            _ => Err(spire.log()),
        });
    }
}

fn eventually(mut is_so: impl FnMut() -> Result<(), String>) {
    tokio::task::block_in_place(|| {
        let mut said = Ok(());
        for _ in 0..200 {
            said = is_so();
            if said.is_ok() {
                return;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        panic!("not in twenty seconds: {said:?}");
    });
}
