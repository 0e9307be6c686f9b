//! An issuer's documents.

use std::{
    sync::{Arc, atomic::Ordering::SeqCst},
    time::Duration,
};

use bulla::{
    ErrorKind,
    jwt::{JwkSet, KeySource},
};
use bulla_local::KeyType;
use bulla_oidc::serve::Publisher;
use serde_json::{Value, json};

use crate::{ask, get, keys};

#[tokio::test]
async fn keys_and_metadata_are_where_clients_look() {
    for (issuer, jwks, openid, oauth) in [
        (
            "https://id.example",
            "/.well-known/jwks.json",
            "/.well-known/openid-configuration",
            "/.well-known/oauth-authorization-server",
        ),
        (
            "https://id.example/tenants/a",
            "/tenants/a/.well-known/jwks.json",
            "/tenants/a/.well-known/openid-configuration",
            "/.well-known/oauth-authorization-server/tenants/a",
        ),
        (
            "https://id.example/a/",
            "/a/.well-known/jwks.json",
            "/a/.well-known/openid-configuration",
            "/.well-known/oauth-authorization-server/a",
        ),
    ] {
        let publisher = Publisher::builder(issuer, keys(KeyType::Ed25519))
            .max_age(Duration::from_secs(90))
            .member("token_endpoint", "https://id.example/token")
            .build()
            .unwrap();
        let router = publisher.router();
        let set = ask(&router, get(jwks)).await;
        assert_eq!(set.status(), 200);
        assert_eq!(set.headers()["cache-control"], "public, max-age=90");
        assert_eq!(set.headers()["content-type"], "application/json");
        assert_eq!(set.headers()["access-control-allow-origin"], "*");
        assert_eq!(JwkSet::from_json(set.body()).unwrap().len(), 1);
        for path in [openid, oauth] {
            let metadata = ask(&router, get(path)).await;
            assert_eq!(metadata.status(), 200, "{path}");
            let told: Value = serde_json::from_str(metadata.body()).unwrap();
            assert_eq!(
                told,
                json!({
                    "issuer": issuer,
                    "jwks_uri": publisher.jwks_uri(),
                    "response_types_supported": ["id_token"],
                    "subject_types_supported": ["public"],
                    "id_token_signing_alg_values_supported": ["EdDSA"],
                    "token_endpoint": "https://id.example/token",
                })
            );
            assert!(publisher.jwks_uri().ends_with(jwks));
        }
        assert_eq!(ask(&router, get("/.well-known/other")).await.status(), 404);
    }
}

#[tokio::test]
async fn what_a_client_has_is_not_sent_again() {
    let keys = keys(KeyType::P256);
    let router = Publisher::builder("https://id.example", Arc::clone(&keys) as Arc<dyn KeySource>)
        .build()
        .unwrap()
        .router();
    let first = ask(&router, get("/.well-known/jwks.json")).await;
    let tag = first.headers()["etag"].to_str().unwrap().to_owned();
    for has in [tag.clone(), format!("\"x\", W/{tag}"), "*".to_owned()] {
        let mut again = get("/.well-known/jwks.json");
        again.headers_mut().insert("if-none-match", has.parse().unwrap());
        let again = ask(&router, again).await;
        assert_eq!((again.status().as_u16(), again.body().as_str()), (304, ""), "{has}");
        assert_eq!(again.headers()["etag"].to_str().unwrap(), tag);
        assert_eq!(again.headers()["cache-control"], "public, max-age=3600");
    }
    let mut other = get("/.well-known/jwks.json");
    other.headers_mut().insert("if-none-match", "\"other\"".parse().unwrap());
    assert_eq!(ask(&router, other).await.status(), 200);
}

#[tokio::test]
async fn keys_that_are_out_are_cached_by_nobody() {
    let keys = keys(KeyType::P256);
    let router = Publisher::builder("https://id.example", Arc::clone(&keys) as Arc<dyn KeySource>)
        .build()
        .unwrap()
        .router();
    keys.out.store(true, SeqCst);
    for path in ["/.well-known/jwks.json", "/.well-known/openid-configuration"] {
        let answer = ask(&router, get(path)).await;
        assert_eq!(answer.status(), 503);
        assert_eq!(answer.headers()["cache-control"], "no-store");
        assert_eq!(answer.headers()["retry-after"], "5");
        assert_eq!(answer.body(), "", "why is for the log");
    }
    keys.out.store(false, SeqCst);
    assert_eq!(ask(&router, get("/.well-known/jwks.json")).await.status(), 200);
}

#[test]
fn an_issuer_is_an_url_in_its_one_spelling() {
    for bad in [
        "",
        "id.example",
        "http://id.example",
        "https://id.example/",
        "https://ID.example",
        "https://id.example:443",
        "https://id.example/a/../b",
        "https://id.example?x",
        "https://id.example#x",
        "https://user@id.example",
        "https://id.example/{a}",
    ] {
        let built = Publisher::builder(bad, keys(KeyType::P256)).build();
        assert_eq!(built.unwrap_err().kind(), ErrorKind::InvalidInput, "{bad}");
    }
    Publisher::builder("http://localhost:8080", keys(KeyType::P256)).build().unwrap();
    for own in ["issuer", "jwks_uri"] {
        let built = Publisher::builder("https://id.example", keys(KeyType::P256)).member(own, "x");
        assert_eq!(built.build().unwrap_err().kind(), ErrorKind::InvalidInput);
    }
}
