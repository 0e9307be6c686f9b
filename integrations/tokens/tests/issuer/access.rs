//! Access tokens, by RFC 9068.

use std::{sync::Arc, time::Duration};

use bulla::ErrorKind;
use bulla_tokens::{
    issuer::{Grant, MemoryRefreshTokens, Scope, TokenIssuer},
    ring::{KeyRing, MemoryRing, RingKeys, RotationPolicy, SealedMaker},
};
use serde_json::json;

use crate::world::{ISSUER, grant, key, world, world_with};

#[tokio::test]
async fn an_access_token_has_the_profiles_claims() {
    let world = world();
    let grant = grant().with_roles(["clerk"]).with_claim("tenant", "acme").unwrap();
    let response = world.issuer.issue(&grant).await.unwrap();
    assert!(response.refresh_token().is_none());
    let verified = world.claims(response.access_token()).await.unwrap();
    assert_eq!(verified.header().typ(), Some("at+jwt"));
    let mut claims = verified.claims().clone();
    let claims = claims.as_object_mut().unwrap();
    let jti = claims.remove("jti").unwrap();
    assert_eq!(jti.as_str().unwrap().len(), 22, "128 random bits");
    assert_eq!(
        json!(claims),
        json!({
            "iss": ISSUER, "sub": "ada", "aud": "orders", "client_id": "web", "scope": "read write",
            "roles": ["clerk"], "tenant": "acme", "iat": 1_793_491_200, "exp": 1_793_491_800,
        })
    );
    // As the token endpoint answers.
    let body = serde_json::to_value(&response).unwrap();
    let token = response.access_token();
    assert_eq!(
        body,
        json!({ "access_token": token, "token_type": "Bearer", "expires_in": 600, "scope": "read write" })
    );
    let shown = format!("{response:?}");
    assert!(!shown.contains(token), "{shown}");
}

#[tokio::test]
async fn several_audiences_and_no_scope() {
    let world = world();
    let grant = Grant::new("svc", "svc").with_audience("orders").with_audience("billing");
    let response = world.issuer.issue(&grant).await.unwrap();
    let claims = world.claims(response.access_token()).await.unwrap().into_claims();
    assert_eq!(claims["aud"], json!(["orders", "billing"]));
    assert!(claims.get("scope").is_none() && claims.get("sid").is_none());
    assert!(serde_json::to_value(&response).unwrap().get("scope").is_none());
}

#[tokio::test]
async fn what_the_issuer_writes_nobody_else_does() {
    for name in
        ["iss", "sub", "aud", "exp", "nbf", "iat", "jti", "client_id", "scope", "roles", "sid"]
    {
        let error = grant().with_claim(name, "mine").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{name}");
    }
}

#[tokio::test]
async fn a_grant_that_lacks_something_is_refused() {
    let world = world();
    for bad in [
        Grant::new("", "web").with_audience("orders"),
        Grant::new("ada", "").with_audience("orders"),
        Grant::new("ada", "web"),
        grant().with_claim("long", "x".repeat(9000)).unwrap(),
    ] {
        let error = world.issuer.issue(&bad).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        let error = world.issuer.issue_with_refresh(bad).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
    }
}

#[test]
fn scopes_are_sets_of_tokens() {
    let scope: Scope = " write  read write ".parse().unwrap();
    assert_eq!(scope.to_string(), "read write");
    assert!("read".parse::<Scope>().unwrap().is_within(&scope) && scope.has("write"));
    assert!(!"admin".parse::<Scope>().unwrap().is_within(&scope));
    for bad in ["a\"b", "a\\b", "a\tb", "é", "a\u{7f}"] {
        assert!(bad.parse::<Scope>().is_err(), "{bad:?}");
    }
}

#[tokio::test]
async fn times_that_can_t_be_are_refused() {
    let second = Duration::from_secs(1);
    for build in [
        |b: Builder| b.access_for(Duration::ZERO),
        |b: Builder| b.access_for(Duration::from_millis(1500)),
        |b: Builder| b.refresh_within(Duration::ZERO),
        |b: Builder| b.family_for(Duration::from_secs(60)),
        |b: Builder| b.reuse_leeway(Duration::from_secs(61)),
    ] {
        let builder = TokenIssuer::builder(ISSUER, key().1, MemoryRefreshTokens::new());
        let error = build(builder).build().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
    }
    let least = world_with(MemoryRefreshTokens::new(), |builder| builder.access_for(second));
    least.issuer.issue(&grant()).await.unwrap();
}

type Builder = bulla_tokens::issuer::TokenIssuerBuilder;

/// A token that outlives the wait of the ring's policy would be refused one day: so it isn't issued.
#[tokio::test]
async fn tokens_don_t_outlive_the_rings_policy() {
    let dir = tempfile::tempdir().unwrap();
    let store = bulla_local::Store::at(dir.path().join("bulla"));
    store.create_key("kek", bulla_local::KeyType::Aes256, &bulla_local::Protection::None).unwrap();
    let kms = Arc::new(bulla_local::Local::builder(store).sealing_key("kek").build().unwrap());
    let sealer = bulla::Sealer::new(Arc::clone(&kms)).unwrap();
    let maker = SealedMaker::new(sealer, bulla_local::KeyType::P256).unwrap();
    let ring = KeyRing::new(MemoryRing::new());
    let policy = RotationPolicy::default().with_token_life(Duration::from_secs(300));
    ring.init("tokens", policy, &maker).await.unwrap();
    let keys = Arc::new(RingKeys::new(ring.clone(), bulla::Opener::new([kms])));
    let provider_keys = Arc::new(RingKeys::keys_of(Arc::clone(&keys)));
    let issuer = TokenIssuer::builder(ISSUER, provider_keys, MemoryRefreshTokens::new())
        .ring(Arc::clone(&keys))
        .access_for(Duration::from_secs(301))
        .build()
        .unwrap();
    let error = issuer.issue(&grant()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(error.message().contains("token_life"), "{error}");
    ring.set_policy(policy.with_token_life(Duration::from_secs(301))).await.unwrap();
    keys.invalidate();
    issuer.issue(&grant()).await.unwrap();
}
