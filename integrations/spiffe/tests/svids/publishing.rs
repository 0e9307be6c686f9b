//! One authority, published three ways.

use std::sync::Arc;

use async_trait::async_trait;
use axum::{Router, body::Body};
use bulla::{
    Error, ErrorKind, Result,
    jwt::{Claims, JwkSet, Verified, Verifier},
};
use bulla_local::KeyType;
use bulla_oidc::serve::Publisher;
use bulla_spiffe::{
    Bundle, BundleEndpoint, BundleSet, BundleSource, JwtSvidIssuer, JwtSvidRequest,
    JwtSvidVerifier, LocalBundle, spiffe_id, trust_domain,
};
use http::{Request, Response};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use tower_service::Service as _;

use super::{Key, minutes};

async fn ask(router: &Router, request: Request<Body>) -> Response<String> {
    let (parts, body) = router.clone().call(request).await.unwrap().into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    Response::from_parts(parts, String::from_utf8(body.to_vec()).unwrap())
}

fn get(path: &str) -> Request<Body> {
    Request::get(path).body(Body::empty()).unwrap()
}

#[tokio::test]
async fn one_authority_is_published_three_ways() {
    let key = Key::new(KeyType::P256);
    let domain = trust_domain("example.org").unwrap();
    let issuer = JwtSvidIssuer::builder(domain.clone(), key.provider_keys())
        .issuer("https://id.example.org")
        .build()
        .await
        .unwrap();
    let local = LocalBundle::builder(domain.clone()).keys(issuer.keys()).sequence(7);
    let local = Arc::new(local.refresh_hint(minutes(10)).build().unwrap());
    let endpoint = BundleEndpoint::new(Arc::clone(&local) as Arc<dyn BundleSource>);
    let publisher = Publisher::builder("https://id.example.org", issuer.keys()).build().unwrap();
    let router = endpoint.router("/bundle.json").merge(publisher.router());

    let id = spiffe_id("spiffe://example.org/billing").unwrap();
    let token = issuer.issue(&JwtSvidRequest::new(id.clone(), "reports")).await.unwrap();
    let token = token.token();

    // As a bundle.
    let served = ask(&router, get("/bundle.json")).await;
    assert_eq!(served.headers()["content-type"], "application/json");
    assert_eq!(served.headers()["cache-control"], "public, max-age=600");
    let document: Value = serde_json::from_str(served.body()).unwrap();
    assert_eq!(document["spiffe_sequence"], 7);
    assert_eq!(document["spiffe_refresh_hint"], 600);
    assert_eq!(document["keys"][0]["use"], "jwt-svid");
    let bundle = Bundle::from_json(domain.clone(), served.body()).unwrap();
    assert_eq!(bundle, *local.bundle().await.unwrap());
    let by = async |bundle: Bundle| {
        let bundles = BundleSet::new();
        bundles.insert(bundle);
        let verifier = JwtSvidVerifier::builder(bundles).audience("reports").build().unwrap();
        verifier.verify(token).await.unwrap()
    };
    assert_eq!(*by(bundle.clone()).await.id(), id);

    // As workloads get it.
    let set = bundle.to_jwks().unwrap();
    let members: Value = serde_json::from_str(&set).unwrap();
    assert_eq!(members.as_object().unwrap().keys().collect::<Vec<_>>(), ["keys"]);
    assert_eq!(*by(Bundle::from_json(domain, &set).unwrap()).await.id(), id);

    // To those that know nothing of SPIFFE.
    let metadata = ask(&router, get("/.well-known/openid-configuration")).await;
    let metadata: Value = serde_json::from_str(metadata.body()).unwrap();
    assert_eq!(metadata["issuer"], "https://id.example.org");
    assert_eq!(metadata["id_token_signing_alg_values_supported"], json!(["ES256"]));
    let set = ask(&router, get("/.well-known/jwks.json")).await;
    let set = JwkSet::from_json(set.body()).unwrap();
    let verifier = Verifier::builder().issuer("https://id.example.org").audience("reports");
    let verifier = verifier.typ("JWT").build().unwrap();
    let verified: Verified<Claims> = verifier.verify_with(token, &set).unwrap();
    assert_eq!(verified.claims().subject(), Some("spiffe://example.org/billing"));
}

#[tokio::test]
async fn what_a_client_has_already_is_not_sent_again() {
    let key = Key::new(KeyType::P256);
    let domain = trust_domain("example.org").unwrap();
    let local = LocalBundle::builder(domain).keys(key.provider_keys()).build().unwrap();
    let local = Arc::new(local);
    let source = Arc::clone(&local) as Arc<dyn BundleSource>;
    let router = BundleEndpoint::new(source).router("/");
    let first = ask(&router, get("/")).await;
    assert_eq!(first.headers()["cache-control"], "public, max-age=300");
    let tag = first.headers()["etag"].clone();
    let again = |tag: &http::HeaderValue| {
        Request::get("/").header("if-none-match", tag).body(Body::empty()).unwrap()
    };
    let same = ask(&router, again(&tag)).await;
    assert_eq!((same.status().as_u16(), same.body().len()), (304, 0));
    // Authorities for X.509 come in at run time.
    let authority = rcgen::CertificateParams::new(Vec::new()).unwrap();
    let authority = authority.self_signed(&rcgen::KeyPair::generate().unwrap()).unwrap();
    local.set_x509_authorities([authority.der().clone()], 1);
    let changed = ask(&router, again(&tag)).await;
    assert_eq!(changed.status(), 200);
    assert_ne!(changed.headers()["etag"], tag);
    let document: Value = serde_json::from_str(changed.body()).unwrap();
    assert_eq!(document["keys"][0]["use"], "x509-svid");
    assert_eq!(document.get("spiffe_sequence"), None, "nobody numbers it");
    let head = ask(&router, Request::head("/").body(Body::empty()).unwrap()).await;
    assert_eq!((head.status().as_u16(), head.body().len()), (200, 0));
    let post = ask(&router, Request::post("/").body(Body::empty()).unwrap()).await;
    assert_eq!(post.status(), 405);
}

#[tokio::test]
async fn a_bundle_that_cannot_be_had_is_not_served() {
    struct Out;

    #[async_trait]
    impl BundleSource for Out {
        async fn bundle(&self) -> Result<Arc<Bundle>> {
            Err(Error::new(ErrorKind::Unavailable, "the ring is out, at /secret/path"))
        }
    }

    let router = BundleEndpoint::new(Arc::new(Out)).router("/bundle");
    let answer = ask(&router, get("/bundle")).await;
    assert_eq!(answer.status(), 503);
    assert_eq!(answer.headers()["cache-control"], "no-store");
    assert!(!answer.body().contains("secret"));
    // What it says of a token is nothing.
    let bundles = BundleSet::new();
    let domain = trust_domain("example.org").unwrap();
    bundles.insert_source(domain.clone(), Arc::new(Out));
    let key = Key::new(KeyType::P256);
    let issuer = JwtSvidIssuer::builder(domain, key.provider_keys()).build().await.unwrap();
    let id = spiffe_id("spiffe://example.org/a").unwrap();
    let token = issuer.issue(&JwtSvidRequest::new(id, "a")).await.unwrap();
    let verifier = JwtSvidVerifier::builder(bundles).audience("a").build().unwrap();
    let error = verifier.verify(token.token()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
}

#[tokio::test]
async fn domains_come_and_go_while_verifiers_work() {
    let key = Key::new(KeyType::P256);
    let domain = trust_domain("example.org").unwrap();
    let issuer = JwtSvidIssuer::builder(domain.clone(), key.provider_keys()).build().await.unwrap();
    let id = spiffe_id("spiffe://example.org/a").unwrap();
    let token = issuer.issue(&JwtSvidRequest::new(id, "a")).await.unwrap().into_token();
    let bundles = BundleSet::new();
    let verifier = JwtSvidVerifier::builder(bundles.clone()).audience("a").build().unwrap();
    let kind = async || verifier.verify(&token).await.map(drop).map_err(|error| error.kind());
    assert_eq!(kind().await, Err(ErrorKind::NotAuthentic));
    let local = LocalBundle::builder(domain.clone()).keys(issuer.keys()).build().unwrap();
    bundles.insert(local.bundle().await.unwrap());
    assert_eq!(kind().await, Ok(()));
    // A bundle without keys takes back all that there were.
    bundles.insert(Bundle::new(domain.clone()));
    assert_eq!(kind().await, Err(ErrorKind::NotAuthentic));
    bundles.insert_source(domain.clone(), Arc::new(local));
    assert_eq!(kind().await, Ok(()));
    // One that has another domain's bundle is a mistake, and no proof.
    let other = Arc::new(Bundle::new(trust_domain("other.org").unwrap()));
    bundles.insert_source(domain.clone(), Arc::new(other));
    assert_eq!(kind().await, Err(ErrorKind::Internal));
    assert!(bundles.remove(&domain) && !bundles.remove(&domain));
    assert_eq!(kind().await, Err(ErrorKind::NotAuthentic));
    assert_eq!(bundles.trust_domains(), []);
}
