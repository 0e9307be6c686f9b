//! What an endpoint answers, and what comes of it.

use std::{sync::atomic::Ordering::SeqCst, time::Duration};

use bulla::ErrorKind;
use bulla_spiffe::{
    BundleSet, MAX_BUNDLE_LEN,
    federation::{FederatedDomain, Federation, FederationPolicy},
};

use crate::world::{Answer, Authority, Server, Signer, domain};

/// A domain `b.test` whose endpoint answers this, and nobody looks by itself but once.
async fn federated(answer: Answer, policy: FederationPolicy) -> (Server, Federation, BundleSet) {
    let authority = Authority::new();
    let server = Server::new(authority.tls(&["localhost"]), answer).await;
    let bundles = BundleSet::new();
    let federation = Federation::new(bundles.clone(), policy).unwrap();
    let at = FederatedDomain::https_web(domain("b.test"), &server.url()).unwrap();
    federation.add(at.root_certificate(authority.pem.as_bytes())).unwrap();
    (server, federation, bundles)
}

#[tokio::test]
async fn a_bundle_is_fetched_kept_and_asked_for_again() {
    let (first, second) = (Signer::new(), Signer::new());
    let document = |body: String, tag| Answer::Document { body, tag: Some(tag) };
    let of_first = first.bundle("b.test", 1).await.to_json().unwrap();
    let answer = document(of_first, "\"1\"");
    let (server, federation, bundles) = federated(answer, FederationPolicy::default()).await;
    let b = domain("b.test");
    federation.refresh(&b).await.unwrap();
    assert!(first.is_trusted(&bundles, "b.test").await);
    assert!(!second.is_trusted(&bundles, "b.test").await);
    let asked = server.asked();
    let known = bundles.bundle(&b).await.unwrap();

    // Not modified, and still the same object.
    federation.refresh(&b).await.unwrap();
    assert_eq!(server.asked(), asked + 1);
    assert_eq!(*bundles.bundle(&b).await.unwrap(), *known);
    assert!(first.is_trusted(&bundles, "b.test").await);

    server.answer(document(second.bundle("b.test", 2).await.to_json().unwrap(), "\"2\""));
    federation.refresh(&b).await.unwrap();
    assert!(!first.is_trusted(&bundles, "b.test").await);
    assert!(second.is_trusted(&bundles, "b.test").await);
    let status = &federation.status()[0];
    assert_eq!((status.sequence, status.usable, status.failures), (Some(2), true, 0));
}

#[tokio::test]
async fn a_number_that_goes_back_is_not_followed() {
    let (old, new) = (Signer::new(), Signer::new());
    let answer = Answer::bundle(&new.bundle("b.test", 7).await);
    let (server, federation, bundles) = federated(answer, FederationPolicy::default()).await;
    let b = domain("b.test");
    federation.refresh(&b).await.unwrap();
    for replayed in [old.bundle("b.test", 6).await, old.bundle("b.test", None).await] {
        server.answer(Answer::bundle(&replayed));
        let error = federation.refresh(&b).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Damaged, "{error}");
        assert!(
            new.is_trusted(&bundles, "b.test").await && !old.is_trusted(&bundles, "b.test").await
        );
        assert!(federation.status()[0].failures > 0);
    }
    // Until it goes on again.
    server.answer(Answer::bundle(&old.bundle("b.test", 8).await));
    federation.refresh(&b).await.unwrap();
    assert!(old.is_trusted(&bundles, "b.test").await && !new.is_trusted(&bundles, "b.test").await);
    assert_eq!(federation.status()[0].failures, 0);
}

#[tokio::test]
async fn every_other_status_leaves_the_bundle_at_hand() {
    let signer = Signer::new();
    let good = Answer::bundle(&signer.bundle("b.test", 1).await);
    let (server, federation, bundles) = federated(good.clone(), FederationPolicy::default()).await;
    let b = domain("b.test");
    federation.refresh(&b).await.unwrap();
    // A redirect leads to one who would answer.
    let elsewhere = Server::new(Authority::new().tls(&["localhost"]), good).await;
    let redirect =
        format!("HTTP/1.1 302 Found\r\nlocation: {}\r\ncontent-length: 0\r\n\r\n", elsewhere.url());
    for (answer, kind) in [
        (Answer::status("404 Not Found"), ErrorKind::NotFound),
        (Answer::status("403 Forbidden"), ErrorKind::Denied),
        (Answer::status("500 Internal Server Error"), ErrorKind::Unavailable),
        (Answer::status("429 Too Many Requests"), ErrorKind::Throttled),
        (Answer::status("204 No Content"), ErrorKind::Unsupported),
        (Answer::status("304 Not Modified"), ErrorKind::Unsupported),
        (Answer::Raw(redirect), ErrorKind::InvalidInput),
        (Answer::Document { body: "{}".to_owned(), tag: None }, ErrorKind::Damaged),
        (Answer::Document { body: "<html>".to_owned(), tag: None }, ErrorKind::Damaged),
        (Answer::Raw("SSH-2.0-OpenSSH_9.9\r\n".to_owned()), ErrorKind::Unavailable),
    ] {
        server.answer(answer);
        let error = federation.refresh(&b).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(signer.is_trusted(&bundles, "b.test").await, "{error}");
    }
    assert_eq!(elsewhere.asked(), 0);
}

#[tokio::test]
async fn a_body_is_read_up_to_its_bound_and_no_further() {
    let (server, federation, bundles) =
        federated(Answer::Endless, FederationPolicy::default()).await;
    let b = domain("b.test");
    let error = federation.refresh(&b).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Damaged, "{error}");
    // What lay in buffers was taken too.
    let most = 2 * (MAX_BUNDLE_LEN + 4 * 1024 * 1024);
    assert!(server.taken.load(SeqCst) < 2 * most, "{} bytes", server.taken.load(SeqCst));
    assert_eq!(bundles.bundle(&b).await.unwrap_err().kind(), ErrorKind::Unavailable);
    // One that announces its length is not begun with.
    let long = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", MAX_BUNDLE_LEN + 1);
    server.answer(Answer::Raw(long));
    assert_eq!(federation.refresh(&b).await.unwrap_err().kind(), ErrorKind::Damaged);
    // The longest is taken in.
    let signer = Signer::new();
    let mut body = signer.bundle("b.test", 1).await.to_json().unwrap();
    body.push_str(&" ".repeat(MAX_BUNDLE_LEN - body.len()));
    server.answer(Answer::Document { body, tag: None });
    federation.refresh(&b).await.unwrap();
    assert!(signer.is_trusted(&bundles, "b.test").await);
}

#[tokio::test]
async fn one_who_never_answers_is_not_waited_for() {
    let second = Duration::from_secs(1);
    let policy = FederationPolicy::default().with_timeouts(second, second);
    let (_server, federation, _) = federated(Answer::Silence, policy).await;
    let begun = std::time::Instant::now();
    let error = federation.refresh(&domain("b.test")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    // The look that was under way, perhaps, and the one that was asked for.
    assert!(begun.elapsed() < 3 * second);
}

#[tokio::test]
async fn a_certificate_for_another_host_or_by_another_authority_is_refused() {
    let signer = Signer::new();
    let (authority, other) = (Authority::new(), Authority::new());
    for (tls, root) in
        [(authority.tls(&["b.test"]), &authority), (authority.tls(&["localhost"]), &other)]
    {
        let server = Server::new(tls, Answer::bundle(&signer.bundle("b.test", 1).await)).await;
        let federation = Federation::new(BundleSet::new(), FederationPolicy::default()).unwrap();
        let at = FederatedDomain::https_web(domain("b.test"), &server.url()).unwrap();
        federation.add(at.root_certificate(root.pem.as_bytes())).unwrap();
        let error = federation.refresh(&domain("b.test")).await.unwrap_err();
        assert_eq!((error.kind(), server.asked()), (ErrorKind::Unavailable, 0));
    }
}

#[test]
fn an_address_is_https_and_nothing_else() {
    for bad in [
        "http://localhost/bundle",
        "http://b.test/bundle",
        "https://user@b.test/bundle",
        "https://b.test/bundle#a",
        "spiffe://b.test/bundle",
        "b.test",
        "",
    ] {
        let error = FederatedDomain::https_web(domain("b.test"), bad).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{bad}");
    }
}
