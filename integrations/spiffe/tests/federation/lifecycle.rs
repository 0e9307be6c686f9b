//! Domains come and go, and bundles get old.

use std::{sync::Arc, time::Duration};

use bulla::ErrorKind;
use bulla_spiffe::{
    BundleSet,
    federation::{FederatedDomain, Federation, FederationPolicy},
};
use tokio::sync::Notify;

use crate::world::{Answer, Authority, Server, Signer, domain, eventually};

const SECOND: Duration = Duration::from_secs(1);

fn at(of: &str, server: &Server, authority: &Authority) -> FederatedDomain {
    let at = FederatedDomain::https_web(domain(of), &server.url()).unwrap();
    at.root_certificate(authority.pem.as_bytes())
}

fn federation(policy: FederationPolicy) -> (Federation, BundleSet) {
    let bundles = BundleSet::new();
    (Federation::new(bundles.clone(), policy).unwrap(), bundles)
}

#[tokio::test]
async fn domains_come_and_go_at_run_time() {
    let (authority, signer) = (Authority::new(), Signer::new());
    let answer = Answer::bundle(&signer.bundle("b.test", 5).await);
    let server = Server::new(authority.tls(&["localhost"]), answer).await;
    let (federation, bundles) = federation(FederationPolicy::default());
    let b = domain("b.test");
    assert_eq!(federation.refresh(&b).await.unwrap_err().kind(), ErrorKind::NotFound);
    assert!(!federation.remove(&b));
    federation.add(at("b.test", &server, &authority)).unwrap();
    // It is fetched without being asked for.
    eventually(async || signer.is_trusted(&bundles, "b.test").await).await;
    let again = federation.add(at("b.test", &server, &authority)).unwrap_err();
    assert_eq!(again.kind(), ErrorKind::AlreadyExists);

    assert!(federation.remove(&b));
    let error = signer.verified(&bundles, "b.test").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotAuthentic);
    assert!(federation.status().is_empty() && bundles.trust_domains().is_empty());
    // Taken in anew, it begins anew, numbers included.
    server.answer(Answer::bundle(&signer.bundle("b.test", 4).await));
    federation.add(at("b.test", &server, &authority)).unwrap();
    federation.refresh(&b).await.unwrap();
    assert!(signer.is_trusted(&bundles, "b.test").await);
}

#[tokio::test]
async fn what_comes_after_a_domain_was_taken_out_comes_to_nothing() {
    let (authority, signer) = (Authority::new(), Signer::new());
    let free = Arc::new(Notify::new());
    let body = signer.bundle("b.test", 1).await.to_json().unwrap();
    let held = Answer::Held(body, Arc::clone(&free));
    let server = Server::new(authority.tls(&["localhost"]), held).await;
    let (federation, bundles) = federation(FederationPolicy::default());
    federation.add(at("b.test", &server, &authority)).unwrap();
    server.came.notified().await;
    let error = signer.verified(&bundles, "b.test").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "expected, and not there yet");
    let b = domain("b.test");
    let refreshed = federation.refresh(&b);
    let removed = async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        federation.remove(&b);
        free.notify_one();
    };
    let (refreshed, ()) = tokio::join!(refreshed, removed);
    assert_eq!(refreshed.unwrap_err().kind(), ErrorKind::NotFound);
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(bundles.trust_domains().is_empty());
}

#[tokio::test]
async fn a_bundle_that_cannot_be_renewed_is_used_for_a_bounded_time() {
    let (authority, signer) = (Authority::new(), Signer::new());
    let good = Answer::bundle(&signer.bundle("b.test", 1).await);
    let server = Server::new(authority.tls(&["localhost"]), good.clone()).await;
    let policy = FederationPolicy::default().with_refresh(SECOND, SECOND).with_stale(2 * SECOND);
    let (federation, bundles) = federation(policy);
    federation.add(at("b.test", &server, &authority)).unwrap();
    federation.refresh(&domain("b.test")).await.unwrap();
    server.answer(Answer::status("503 Service Unavailable"));
    // For longer than it would be used if it were not renewed, and for no longer than is allowed.
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert!(signer.is_trusted(&bundles, "b.test").await);
    tokio::time::sleep(3 * SECOND).await;
    let error = signer.verified(&bundles, "b.test").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "nothing is known of the token");
    let status = &federation.status()[0];
    assert!(!status.usable && status.failures > 0 && status.error.is_some());
    server.answer(good);
    eventually(async || signer.is_trusted(&bundles, "b.test").await).await;
}

#[tokio::test]
async fn a_dropped_handle_ends_the_fetching_and_nothing_else() {
    let (authority, signer) = (Authority::new(), Signer::new());
    let bundle = signer.bundle("b.test", 1).await.with_refresh_hint(SECOND);
    let server = Server::new(authority.tls(&["localhost"]), Answer::bundle(&bundle)).await;
    let policy =
        FederationPolicy::default().with_refresh(SECOND, 5 * SECOND).with_stale(6 * SECOND);
    let (federation, bundles) = federation(policy);
    federation.add(at("b.test", &server, &authority)).unwrap();
    // By its hint, again and again.
    eventually(async || server.asked() >= 3).await;
    drop(federation);
    tokio::time::sleep(Duration::from_millis(200)).await;
    let asked = server.asked();
    tokio::time::sleep(2 * SECOND).await;
    assert_eq!(server.asked(), asked);
    assert!(signer.is_trusted(&bundles, "b.test").await);
    eventually(async || !signer.is_trusted(&bundles, "b.test").await).await;
}

/// Bundles don't say whose they are: whoever configured them does.
#[tokio::test]
async fn a_bundle_is_used_for_the_domain_it_was_configured_for_and_no_other() {
    let authority = Authority::new();
    let (own, a) = (Signer::new(), Signer::new());
    let server =
        Server::new(authority.tls(&["localhost"]), Answer::bundle(&a.bundle("a.test", 1).await));
    let server = server.await;
    let (federation, bundles) = federation(FederationPolicy::default());
    bundles.insert(own.bundle("own.test", 1).await);
    // The bundle of A, served for B.
    federation.add(at("b.test", &server, &authority)).unwrap();
    federation.refresh(&domain("b.test")).await.unwrap();
    assert!(a.is_trusted(&bundles, "b.test").await, "as it was configured");
    for (signer, of) in [(&a, "a.test"), (&a, "own.test"), (&own, "b.test"), (&own, "a.test")] {
        let error = signer.verified(&bundles, of).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotAuthentic, "{of}");
    }
    assert_eq!(bundles.bundle(&domain("b.test")).await.unwrap().trust_domain(), &domain("b.test"));
    // And nobody's own domain is replaced by what is fetched.
    let error = federation.add(at("own.test", &server, &authority)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AlreadyExists);
    assert!(own.is_trusted(&bundles, "own.test").await);
    assert!(!federation.remove(&domain("own.test")));
    assert!(own.is_trusted(&bundles, "own.test").await);
}

#[tokio::test]
async fn many_who_ask_at_once_share_looks() {
    let (authority, signer) = (Authority::new(), Signer::new());
    let answer = Answer::bundle(&signer.bundle("b.test", 1).await);
    let server = Server::new(authority.tls(&["localhost"]), answer).await;
    let (federation, _) = federation(FederationPolicy::default());
    let federation = Arc::new(federation);
    federation.add(at("b.test", &server, &authority)).unwrap();
    let asks = (0..50).map(|_| {
        let federation = Arc::clone(&federation);
        tokio::spawn(async move { federation.refresh(&domain("b.test")).await })
    });
    for ask in asks.collect::<Vec<_>>() {
        ask.await.unwrap().unwrap();
    }
    assert!(server.asked() <= 5, "{} requests", server.asked());
    // Who gives up takes nothing from the others.
    let b = domain("b.test");
    drop(tokio::time::timeout(Duration::ZERO, federation.refresh(&b)).await);
    federation.refresh(&b).await.unwrap();
}

#[test]
fn without_a_runtime_it_says_so() {
    let (federation, _) = federation(FederationPolicy::default());
    let at = FederatedDomain::https_web(domain("b.test"), "https://b.test/").unwrap();
    assert_eq!(federation.add(at).unwrap_err().kind(), ErrorKind::Internal);
    let policy = FederationPolicy::default().with_stale(Duration::ZERO);
    assert!(Federation::new(BundleSet::new(), policy).is_err());
}
