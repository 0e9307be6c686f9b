//! Endpoints that prove themselves by an X.509-SVID.

use bulla::ErrorKind;
use bulla_spiffe::{
    Bundle, BundleSet, SpiffeId,
    federation::{FederatedDomain, Federation, FederationPolicy},
    spiffe_id,
};
use rcgen::{ExtendedKeyUsagePurpose, KeyUsagePurpose, date_time_ymd};

use crate::world::{Answer, Authority, Server, Signer, domain};

const ENDPOINT: &str = "spiffe://b.test/bundles";

fn endpoint() -> SpiffeId {
    spiffe_id(ENDPOINT).unwrap()
}

fn federation() -> (Federation, BundleSet) {
    let bundles = BundleSet::new();
    (Federation::new(bundles.clone(), FederationPolicy::default()).unwrap(), bundles)
}

async fn bundle(signer: &Signer, sequence: u64, authorities: &[&Authority]) -> Bundle {
    let certificates = authorities.iter().map(|authority| authority.der.clone());
    let bundle = signer.bundle("b.test", sequence).await;
    bundle.with_x509_authorities(certificates).unwrap()
}

fn at(server: &Server, first: Bundle) -> FederatedDomain {
    FederatedDomain::https_spiffe(domain("b.test"), &server.url(), endpoint(), Some(first)).unwrap()
}

#[tokio::test]
async fn an_endpoint_that_serves_its_own_bundle_may_rotate_its_authority() {
    let (old, new, last) = (Authority::new(), Authority::new(), Authority::new());
    let (first, second) = (Signer::new(), Signer::new());
    let server =
        Server::new(old.tls(&[ENDPOINT]), Answer::bundle(&bundle(&second, 2, &[&old, &new]).await))
            .await;
    let (federation, bundles) = federation();
    let b = domain("b.test");
    federation.add(at(&server, bundle(&first, 1, &[&old]).await)).unwrap();
    federation.refresh(&b).await.unwrap();
    assert!(second.is_trusted(&bundles, "b.test").await);
    // It has a certificate by the new one now, as its bundle said it would.
    server.tls(new.tls(&[ENDPOINT]));
    server.answer(Answer::bundle(&bundle(&second, 3, &[&new]).await));
    federation.refresh(&b).await.unwrap();
    // And the old one is no more.
    server.tls(old.tls(&[ENDPOINT]));
    let asked = server.asked();
    let error = federation.refresh(&b).await.unwrap_err();
    assert_eq!((error.kind(), server.asked()), (ErrorKind::Unavailable, asked));
    server.tls(last.tls(&[ENDPOINT]));
    federation.refresh(&b).await.unwrap_err();
    assert!(second.is_trusted(&bundles, "b.test").await, "the last that was good");
}

#[tokio::test]
async fn the_bundle_to_begin_with_counts_until_the_first_is_fetched() {
    let (authority, signer) = (Authority::new(), Signer::new());
    let server =
        Server::new(authority.tls(&[ENDPOINT]), Answer::status("503 Service Unavailable")).await;
    let (federation, bundles) = federation();
    federation.add(at(&server, bundle(&signer, 4, &[&authority]).await)).unwrap();
    assert!(signer.is_trusted(&bundles, "b.test").await);
    // An older one than that is a replay.
    let older = bundle(&Signer::new(), 3, &[&authority]).await;
    server.answer(Answer::bundle(&older));
    let error = federation.refresh(&domain("b.test")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Damaged);
    assert!(signer.is_trusted(&bundles, "b.test").await);
}

#[tokio::test]
async fn who_is_not_the_endpoint_is_not_asked() {
    let (authority, other, signer) = (Authority::new(), Authority::new(), Signer::new());
    let good = bundle(&signer, 1, &[&authority]).await;
    let expired = |params: &mut rcgen::CertificateParams| {
        params.not_before = date_time_ymd(2019, 1, 1);
        params.not_after = date_time_ymd(2020, 1, 1);
    };
    let for_clients = |params: &mut rcgen::CertificateParams| {
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    };
    for (tls, what) in [
        (authority.tls(&["spiffe://b.test/other"]), "another workload"),
        (authority.tls(&["spiffe://b.test"]), "the trust domain"),
        (authority.tls(&["spiffe://c.test/bundles"]), "another trust domain"),
        (authority.tls(&["SPIFFE://b.test/bundles"]), "another spelling"),
        (authority.tls(&["localhost"]), "a host"),
        (authority.tls(&[]), "nobody"),
        (authority.tls(&[ENDPOINT, "spiffe://b.test/other"]), "two IDs"),
        (authority.tls(&["https://localhost/", ENDPOINT]), "two URIs"),
        (authority.tls_with(&[ENDPOINT], expired), "expired"),
        (authority.tls_with(&[ENDPOINT], for_clients), "for clients alone"),
        (
            authority.tls_with(&[ENDPOINT], |params| {
                params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
            }),
            "an authority",
        ),
        (
            authority.tls_with(&[ENDPOINT], |params| {
                params.key_usages.push(KeyUsagePurpose::KeyCertSign);
            }),
            "one that may sign certificates",
        ),
        (other.tls(&[ENDPOINT]), "by another authority"),
    ] {
        let server = Server::new(tls, Answer::bundle(&good)).await;
        let (federation, _) = federation();
        federation.add(at(&server, good.clone())).unwrap();
        let error = federation.refresh(&domain("b.test")).await.unwrap_err();
        assert_eq!((error.kind(), server.asked()), (ErrorKind::Unavailable, 0), "{what}");
    }
    // Beside names of hosts the ID is good.
    let server =
        Server::new(authority.tls(&["elsewhere.test", ENDPOINT]), Answer::bundle(&good)).await;
    let (federation, _) = federation();
    federation.add(at(&server, good)).unwrap();
    federation.refresh(&domain("b.test")).await.unwrap();
}

#[tokio::test]
async fn an_endpoint_of_another_domain_is_verified_with_that_domains_bundle() {
    let (authority, other, signer) = (Authority::new(), Authority::new(), Signer::new());
    let served = Answer::bundle(&bundle(&signer, 1, &[&other]).await);
    let id = "spiffe://hub.test/bundles";
    let server = Server::new(authority.tls(&[id]), served).await;
    let (federation, bundles) = federation();
    let of_b = domain("b.test");
    let at = |first| {
        FederatedDomain::https_spiffe(of_b.clone(), &server.url(), spiffe_id(id).unwrap(), first)
    };
    federation.add(at(None).unwrap()).unwrap();
    // Nobody knows the hub yet.
    let error = federation.refresh(&of_b).await.unwrap_err();
    assert_eq!((error.kind(), server.asked()), (ErrorKind::Unavailable, 0));
    let hub = Bundle::new(domain("hub.test"));
    let hub = hub.with_x509_authorities([authority.der.clone()]).unwrap();
    bundles.insert(hub.clone());
    federation.refresh(&of_b).await.unwrap();
    assert!(signer.is_trusted(&bundles, "b.test").await);
    // What it serves for B is no proof of who the hub is.
    server.tls(other.tls(&[id]));
    federation.refresh(&of_b).await.unwrap_err();
    // The hub's bundle may be given instead.
    server.tls(authority.tls(&[id]));
    assert!(bundles.remove(&domain("hub.test")) && federation.remove(&of_b));
    federation.add(at(Some(hub)).unwrap()).unwrap();
    federation.refresh(&of_b).await.unwrap();
}

#[test]
fn a_bundle_to_begin_with_is_the_endpoints() {
    let url = "https://b.test/bundle";
    let with = |first| FederatedDomain::https_spiffe(domain("b.test"), url, endpoint(), first);
    assert_eq!(with(None).unwrap_err().kind(), ErrorKind::InvalidInput);
    let other = Bundle::new(domain("c.test"));
    assert_eq!(with(Some(other)).unwrap_err().kind(), ErrorKind::InvalidInput);
}
