//! Requests with tokens, by RFC 6750.

use std::sync::{Arc, atomic::Ordering::SeqCst};

use axum::{Router, body::Body, routing::get};
use bulla::jwt::{Claims, KeySource, Signer, Verifier};
use bulla_local::KeyType;
use bulla_oidc::serve::{Bearer, BearerLayer};
use http::{Request, Response};
use serde::Deserialize;

use crate::{Keys, ask, keys};

#[derive(Debug, Deserialize)]
struct Mine {
    sub: String,
    tenant: String,
}

struct World {
    keys: Arc<Keys>,
    router: Router,
}

fn verifier() -> Verifier {
    let verifier = Verifier::builder().issuer("https://id.example").audience("orders");
    verifier.typ("at+jwt").build().unwrap()
}

fn world(change: impl FnOnce(BearerLayer<Mine>) -> BearerLayer<Mine>) -> World {
    let keys = keys(KeyType::P256);
    let layer =
        change(BearerLayer::<Mine>::new(verifier(), Arc::clone(&keys) as Arc<dyn KeySource>));
    let handler = get(|token: Bearer<Mine>| async move {
        let Mine { sub, tenant } = token.claims();
        format!("{sub} of {tenant}, by {}", token.header().algorithm())
    });
    World { keys, router: Router::new().route("/orders", handler).layer(layer) }
}

impl World {
    async fn token(&self, change: impl FnOnce(Claims) -> Claims) -> String {
        let signer = Signer::builder(Arc::clone(&self.keys.inner)).typ("at+jwt").build().unwrap();
        let claims = Claims::new().unwrap().with_issuer("https://id.example").with_subject("ada");
        let claims = claims.with_audience("orders").with_member("tenant", "acme").unwrap();
        signer.sign(&change(claims)).await.unwrap()
    }

    async fn ask(&self, authorization: &[&str]) -> Response<String> {
        let mut request = Request::get("/orders");
        for value in authorization {
            request = request.header("authorization", *value);
        }
        ask(&self.router, request.body(Body::empty()).unwrap()).await
    }
}

fn challenge(response: &Response<String>) -> &str {
    response.headers()["www-authenticate"].to_str().unwrap()
}

#[tokio::test]
async fn a_good_token_lets_its_claims_in() {
    let world = world(|layer| layer);
    let token = world.token(|claims| claims).await;
    for scheme in ["Bearer", "bearer", "BEARER"] {
        let answer = world.ask(&[&format!("{scheme} {token}")]).await;
        assert_eq!(
            (answer.status().as_u16(), answer.body().as_str()),
            (200, "ada of acme, by ES256")
        );
    }
}

#[tokio::test]
async fn each_refusal_is_told_as_the_standard_has_it() {
    let world = world(|layer| layer.realm("orders api"));
    let nothing = world.ask(&[]).await;
    assert_eq!(
        (nothing.status().as_u16(), challenge(&nothing)),
        (401, "Bearer realm=\"orders api\"")
    );
    let basic = world.ask(&["Basic YTpi"]).await;
    assert_eq!((basic.status().as_u16(), challenge(&basic)), (401, "Bearer realm=\"orders api\""));

    let good = world.token(|claims| claims).await;
    let bearer = format!("Bearer {good}");
    let twice: &[&str] = &[&bearer, &bearer];
    for request in [twice, &["Bearer"], &["Bearer "], &["Bearer a b"], &["Bearer a,b"]] {
        let answer = world.ask(request).await;
        assert_eq!(answer.status(), 400, "{request:?}");
        assert!(challenge(&answer).ends_with("error=\"invalid_request\""));
    }
    let another = world.token(|claims| claims.with_issuer("https://evil.example")).await;
    let untyped = Signer::new(Arc::clone(&world.keys.inner))
        .sign(&Claims::new().unwrap().with_issuer("https://id.example").with_audience("orders"))
        .await
        .unwrap();
    let forged = format!("{}AAAA", &good[..good.len() - 4]);
    let lacks = world.token(|claims| claims.with_member("tenant", 7).unwrap()).await;
    let expired = {
        let long_ago = std::time::SystemTime::now() - std::time::Duration::from_secs(7200);
        let claims = Claims::new_at(long_ago).unwrap().with_issuer("https://id.example");
        let claims = claims.with_audience("orders").with_member("tenant", "acme").unwrap();
        let signer = Signer::builder(Arc::clone(&world.keys.inner)).typ("at+jwt").build().unwrap();
        signer.sign(&claims).await.unwrap()
    };
    for bad in [&expired, &another, &untyped, &forged, &lacks, &"x".to_owned()] {
        let answer = world.ask(&[&format!("Bearer {bad}")]).await;
        assert_eq!(answer.status(), 401, "{bad}");
        assert_eq!(challenge(&answer), "Bearer realm=\"orders api\", error=\"invalid_token\"");
        assert_eq!(answer.body(), "");
    }
}

#[tokio::test]
async fn scopes_are_required_one_and_all() {
    let world = world(|layer| layer.scope("read write").scope("audit"));
    for (scope, status) in
        [("read write audit more", 200), ("read write", 403), ("readwriteaudit", 403), ("", 403)]
    {
        let token = world.token(|claims| claims.with_member("scope", scope).unwrap()).await;
        let answer = world.ask(&[&format!("Bearer {token}")]).await;
        assert_eq!(answer.status().as_u16(), status, "{scope}");
        if status == 403 {
            let expected = "Bearer error=\"insufficient_scope\", scope=\"read write audit\"";
            assert_eq!(challenge(&answer), expected);
        }
    }
    let array = ["read", "write", "audit"];
    let token = world.token(|claims| claims.with_member("scp", array).unwrap()).await;
    assert_eq!(world.ask(&[&format!("Bearer {token}")]).await.status(), 200);
    // A scope of another form is none.
    let token = world.token(|claims| claims.with_member("scope", array).unwrap()).await;
    assert_eq!(world.ask(&[&format!("Bearer {token}")]).await.status(), 403);
}

/// Nothing is known of a token while keys are out: it is neither let in nor called bad.
#[tokio::test]
async fn keys_that_are_out_let_nobody_in() {
    let world = world(|layer| layer);
    let token = world.token(|claims| claims).await;
    world.keys.out.store(true, SeqCst);
    let answer = world.ask(&[&format!("Bearer {token}")]).await;
    assert_eq!(answer.status(), 503);
    assert!(answer.headers().get("www-authenticate").is_none());
    assert_eq!(answer.body(), "");
}

#[tokio::test]
async fn a_handler_without_its_layer_lets_nobody_in() {
    let handler = get(|_: Bearer<Mine>| async { "in" });
    let router = Router::new().route("/orders", handler);
    let request = Request::get("/orders").body(Body::empty()).unwrap();
    assert_eq!(ask(&router, request).await.status(), 500);
}
