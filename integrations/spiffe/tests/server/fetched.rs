//! What the crate `spiffe` fetches.

use std::{
    pin::pin,
    sync::{Arc, atomic::Ordering::SeqCst},
    time::Duration,
};

use bulla::jwt::ProviderKeys;
use bulla_spiffe::{
    Bundle, BundleSet, BundleSource, JwtSvidIssuer, JwtSvidRequest,
    authority::{CaPolicy, X509Authority},
};
use futures_util::StreamExt as _;
use rustls_pki_types::CertificateDer;
use spiffe::{JwtSvid, SpiffeId, TrustDomain, WorkloadApiError};
use tokio::time::timeout;

use crate::world::{Key, Running, Tokens, domain, entry, id};

#[tokio::test(flavor = "multi_thread")]
async fn x509_svids_of_all_entries_with_bundle_hint_and_key() {
    let running = Running::with(|builder| {
        let orders = entry("orders").anybody().hint("internal");
        builder.entry(orders).entry(entry("billing").anybody())
    })
    .await;
    let client = running.client().await;
    let svids = client.fetch_all_x509_svids().await.unwrap();
    let ids: Vec<_> = svids.iter().map(|svid| svid.spiffe_id().to_string()).collect();
    assert_eq!(ids, ["spiffe://example.org/orders", "spiffe://example.org/billing"]);
    assert_eq!(svids[0].hint(), Some("internal"));
    assert_ne!(svids[0].private_key().as_bytes(), svids[1].private_key().as_bytes());
    let context = client.fetch_x509_context().await.unwrap();
    let bundle = context.bundle_set().get(&domain()).unwrap();
    let roots: Vec<_> = bundle.authorities().iter().map(|root| root.as_bytes().to_vec()).collect();
    assert_eq!(roots, running.authority.roots());
    let bundles = client.fetch_x509_bundles().await.unwrap();
    assert_eq!(bundles.len(), 1);
    assert_eq!(bundles.get(&domain()).unwrap().authorities(), bundle.authorities());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_svid_is_issued_once_for_all_who_ask() {
    let running = Running::new().await;
    let before = running.key.calls();
    let clients = futures_util::future::join_all((0..8).map(|_| running.client())).await;
    let fetches = clients.iter().flat_map(|client| (0..8).map(|_| client.fetch_x509_svid()));
    let svids = futures_util::future::join_all(fetches).await;
    let first = svids[0].as_ref().unwrap().leaf().clone();
    assert!(svids.iter().all(|svid| *svid.as_ref().unwrap().leaf() == first));
    assert_eq!(running.key.calls(), before + 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_brings_the_next_svid_at_half_of_its_life() {
    let running = Running::with(|builder| {
        builder.entry(entry("orders").anybody().x509_life(Duration::from_secs(4)))
    })
    .await;
    let client = running.client().await;
    let mut stream = pin!(client.stream_x509_svids().await.unwrap());
    let first = stream.next().await.unwrap().unwrap();
    let second = timeout(Duration::from_secs(4), stream.next()).await.unwrap().unwrap().unwrap();
    assert_ne!(first.leaf(), second.leaf());
    assert_ne!(first.private_key().as_bytes(), second.private_key().as_bytes());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_svid_is_given_out_while_the_next_one_fails() {
    let running = Running::with(|builder| {
        builder.entry(entry("orders").anybody().x509_life(Duration::from_secs(6)))
    })
    .await;
    let client = running.client().await;
    let first = client.fetch_x509_svid().await.unwrap();
    running.key.cut.store(true, SeqCst);
    tokio::time::sleep(Duration::from_millis(3500)).await;
    assert_eq!(client.fetch_x509_svid().await.unwrap().leaf(), first.leaf());
    tokio::time::sleep(Duration::from_millis(2800)).await;
    let error = client.fetch_x509_svid().await.unwrap_err();
    assert!(matches!(error, WorkloadApiError::Transport(_)), "{error}");
    running.key.cut.store(false, SeqCst);
    tokio::time::sleep(Duration::from_millis(1100)).await;
    assert_ne!(client.fetch_x509_svid().await.unwrap().leaf(), first.leaf());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_follows_entries_and_authority() {
    let running = Running::new().await;
    let client = running.client().await;
    let mut stream = pin!(client.stream_x509_contexts().await.unwrap());
    let mut next = async || timeout(Duration::from_secs(5), stream.next()).await.unwrap().unwrap();
    let first = next().await.unwrap();
    let leaf = first.default_svid().unwrap().leaf().clone();

    // Another entry.
    let both = [entry("orders").anybody(), entry("billing").anybody()];
    running.server.set_entries(both).unwrap();
    let second = next().await.unwrap();
    assert_eq!(second.svids().len(), 2);
    assert_eq!(*second.default_svid().unwrap().leaf(), leaf);

    // Another key.
    let new = X509Authority::builder(domain(), Key::new() as _);
    let new = new.also_trust(running.authority.roots().concat());
    let new = Arc::new(new.self_signed(CaPolicy::root()).await.unwrap());
    running.server.set_authority(new).unwrap();
    let third = next().await.unwrap();
    assert_ne!(*third.default_svid().unwrap().leaf(), leaf);
    assert_eq!(third.bundle_set().get(&domain()).unwrap().authorities().len(), 2);

    // None of them.
    running.server.set_entries([]).unwrap();
    assert!(matches!(next().await, Err(WorkloadApiError::NoIdentityIssued)));
}

/// Entries say which of the server's bundles a workload is told of.
#[tokio::test(flavor = "multi_thread")]
async fn bundles_of_other_trust_domains_for_those_who_federate() {
    let tokens = Tokens::new().await;
    let (bundles, other) = (BundleSet::new(), TrustDomain::new("example.com").unwrap());
    let running = Running::with(|builder| {
        let orders = entry("orders").anybody().federates_with(other.clone());
        builder.jwt(Arc::clone(&tokens.issuer)).bundles(bundles.clone()).entry(orders)
    })
    .await;
    let client = running.client().await;
    // It is not at hand yet.
    assert_eq!(client.fetch_x509_context().await.unwrap().bundle_set().len(), 1);
    let theirs = X509Authority::builder(other.clone(), Key::new() as _);
    let theirs = theirs.self_signed(CaPolicy::root()).await.unwrap();
    let roots = theirs.roots().into_iter().map(CertificateDer::from);
    let keys = Key::new();
    let issuer = ProviderKeys::new(Arc::clone(&keys));
    let issuer = JwtSvidIssuer::builder(other.clone(), Arc::new(issuer)).build().await.unwrap();
    let bundle = Bundle::new(other.clone())
        .with_x509_authorities(roots)
        .unwrap()
        .with_jwt_authorities(&issuer.keys().keys(None).await.unwrap())
        .unwrap();
    bundles.insert(bundle);
    let context = client.fetch_x509_context().await.unwrap();
    assert_eq!(context.bundle_set().get(&other).unwrap().authorities().len(), 1);
    assert_eq!(client.fetch_x509_bundles().await.unwrap().len(), 2);
    let sets = client.fetch_jwt_bundles().await.unwrap();
    assert_eq!(sets.get(&other).unwrap().jwt_authorities().count(), 1);
    assert_eq!(sets.get(&domain()).unwrap().jwt_authorities().count(), 1);

    // And their tokens are validated.
    let theirs = SpiffeId::new("spiffe://example.com/them").unwrap();
    let token = issuer.issue(&JwtSvidRequest::new(theirs.clone(), "us")).await.unwrap();
    let validated = client.validate_jwt_token("us", token.token()).await.unwrap();
    assert_eq!(*validated.spiffe_id(), theirs);
    bundles.remove(&other);
    client.validate_jwt_token("us", token.token()).await.unwrap_err();

    // Whoever does not federate is not told.
    bundles.insert(Bundle::new(other.clone()));
    running.server.set_entries([entry("orders").anybody()]).unwrap();
    assert_eq!(client.fetch_x509_bundles().await.unwrap().len(), 1);
    assert_eq!(client.fetch_jwt_bundles().await.unwrap().len(), 1);
}

/// A bundle that never comes holds up nobody's SVID for long.
#[tokio::test(flavor = "multi_thread")]
async fn a_bundle_that_hangs_is_left_out() {
    struct Hangs;
    #[async_trait::async_trait]
    impl BundleSource for Hangs {
        async fn bundle(&self) -> bulla::Result<Arc<Bundle>> {
            std::future::pending().await
        }
    }
    let (bundles, other) = (BundleSet::new(), TrustDomain::new("example.com").unwrap());
    bundles.insert_source(other.clone(), Arc::new(Hangs));
    let running = Running::with(|builder| {
        builder.bundles(bundles).entry(entry("orders").anybody().federates_with(other))
    })
    .await;
    let client = running.client().await;
    let context = timeout(Duration::from_secs(8), client.fetch_x509_context()).await.unwrap();
    assert_eq!(context.unwrap().bundle_set().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn jwt_svids_for_audiences_with_claims() {
    let tokens = Tokens::new().await;
    let running = Running::with(|builder| {
        let orders = entry("orders").anybody().claim("region", "eu").unwrap();
        builder.jwt(Arc::clone(&tokens.issuer)).entry(orders).entry(entry("billing").anybody())
    })
    .await;
    let client = running.client().await;
    let svid = client.fetch_jwt_svid(["b", "a"], None).await.unwrap();
    assert_eq!(*svid.spiffe_id(), id("orders"));
    assert_eq!(svid.audience(), ["a", "b"]);
    let billing = client.fetch_jwt_svid(["a"], Some(&id("billing"))).await.unwrap();
    assert_eq!(*billing.spiffe_id(), id("billing"));
    assert_eq!(client.fetch_all_jwt_svids(["a"], None).await.unwrap().len(), 2);
    let calls = tokens.key.calls();
    client.fetch_jwt_svid(["a", "b"], None).await.unwrap();
    assert_eq!(tokens.key.calls(), calls, "the same audiences are the same token");

    let validated = client.validate_jwt_token("a", svid.token()).await.unwrap();
    assert_eq!(*validated.spiffe_id(), id("orders"));
    for (audience, token) in [("c", svid.token()), ("a", "a.b.c"), ("a", "")] {
        client.validate_jwt_token(audience, token).await.unwrap_err();
    }
    let bundles = client.fetch_jwt_bundles().await.unwrap();
    let kid = JwtSvid::parse_insecure(svid.token()).unwrap().key_id().to_owned();
    assert!(bundles.get(&domain()).unwrap().find_jwt_authority(&kid).is_some());
    for none in [&[][..], &[""], &["a"; 17]] {
        client.fetch_jwt_svid(none, None).await.unwrap_err();
    }
    let stranger = SpiffeId::new("spiffe://example.org/stranger").unwrap();
    let error = client.fetch_jwt_svid(["a"], Some(&stranger)).await.unwrap_err();
    assert!(matches!(error, WorkloadApiError::NoIdentityIssued));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_an_issuer_there_are_no_tokens() {
    let running = Running::new().await;
    let error = running.client().await.fetch_jwt_svid(["a"], None).await.unwrap_err();
    assert!(error.to_string().contains("JWT"), "{error}");
}
