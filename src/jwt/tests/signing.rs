//! Signing.

use std::sync::atomic::Ordering::Relaxed;

use proptest::prelude::*;

use super::*;
use crate::crypto::SigningAlgorithm;
use crate::key::KeyState;

fn block_on<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

fn own_claims() -> Claims {
    Claims::new_at(now()).unwrap().with_issuer("https://id.example").with_audience("orders")
}

#[tokio::test]
async fn a_token_verifies_and_says_what_it_should() {
    let fake = Arc::new(Fake::new(1));
    let keys = keys(&fake);
    let signer = Signer::builder(Arc::clone(&keys)).verify_signatures();
    let signer = signer.cty("example").member("v", 2).build().unwrap();
    let claims = own_claims().with_subject("ada").with_member("role", "admin").unwrap();
    let token = signer.sign(&claims).await.unwrap();
    let verifier = strict().build().unwrap();
    let verified: Verified<Claims> = verifier.verify(&token, &*keys).await.unwrap();
    assert!(*verified.claims() == claims);
    let header: Value = serde_json::from_str(verified.header().as_json()).unwrap();
    let expected =
        json!({ "alg": "EdDSA", "kid": fake.kid(), "typ": "JWT", "cty": "example", "v": 2 });
    assert_eq!(header, expected);
    assert_eq!(verified.header().cty(), Some("example"));
    assert_eq!((fake.fetches(), fake.signed.load(Relaxed)), (1, 1));
}

#[tokio::test]
async fn defaults_are_an_hour_and_a_random_id() {
    let claims = serde_json::to_value(own_claims()).unwrap();
    let id = claims["jti"].as_str().unwrap();
    let expected = json!({
        "iss": "https://id.example", "aud": "orders", "iat": NOW, "exp": NOW + 3600, "jti": id,
    });
    assert_eq!(claims, expected);
    let claims = own_claims().with_audience("b").with_ttl(Duration::from_millis(90_500));
    let claims = serde_json::to_value(claims.with_not_before(now()).with_id("7")).unwrap();
    assert_eq!(claims["aud"], json!(["orders", "b"]));
    assert_eq!((&claims["exp"], &claims["nbf"]), (&json!(NOW + 90), &json!(NOW)));
    assert_eq!(claims["jti"], "7");
    let error = own_claims().with_member("exp", 1).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
}

#[tokio::test]
async fn the_header_is_not_the_callers() {
    let fake = Arc::new(Fake::new(1));
    for name in ["alg", "kid", "typ", "cty", "crit", "b64", "jku", "jwk", "x5u", "x5c", "zip"] {
        let signer = Signer::builder(keys(&fake)).member(name, "x").member("v", 2);
        let error = signer.build().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{name}");
    }
    let header = |token: String| decode_unverified(&token).unwrap().header().clone();
    let keys = keys(&fake);
    let signer = Signer::builder(Arc::clone(&keys)).no_typ().build().unwrap();
    let token = signer.sign(&own_claims());
    let expected = json!({ "alg": "EdDSA", "kid": fake.kid() });
    assert_eq!(header(token.await.unwrap()), expected);
    // After a rotation the header is another, of this signer as of others with the same keys.
    fake.rotate();
    keys.invalidate();
    let expected = json!({ "alg": "EdDSA", "kid": fake.kid() });
    assert_eq!(header(signer.sign(&own_claims()).await.unwrap()), expected);
    let signer = Signer::builder(keys).typ("a").cty("b").build().unwrap();
    let expected = json!({ "alg": "EdDSA", "kid": fake.kid(), "typ": "a", "cty": "b" });
    assert_eq!(header(signer.sign(&own_claims()).await.unwrap()), expected);
    let named = ProviderKeys::builder(Arc::clone(&fake)).kid(|key| format!("v{}", key.version));
    let signer = Signer::builder(Arc::new(named.build())).typ("at+jwt").build().unwrap();
    let token = signer.sign(&own_claims()).await.unwrap();
    assert_eq!(header(token), json!({ "alg": "EdDSA", "kid": "v1", "typ": "at+jwt" }));
}

/// Libraries choose a key by the token's `alg`, so both say the same; here either name will do.
#[tokio::test]
async fn token_and_key_call_ed25519_the_same() {
    let fake = Arc::new(Fake::new(1));
    let under = |name| ProviderKeys::builder(Arc::clone(&fake)).ed25519_name(name).build();
    let mut seen = Vec::new();
    for (keys, expected) in [
        (ProviderKeys::new(Arc::clone(&fake)), "EdDSA"),
        (under(Ed25519Name::EdDsa), "EdDSA"),
        (under(Ed25519Name::Ed25519), "Ed25519"),
    ] {
        let keys = Arc::new(keys);
        let token = Signer::new(Arc::clone(&keys)).sign(&own_claims()).await.unwrap();
        let published = keys.jwk_set().await.unwrap().to_json();
        let set: Value = serde_json::from_str(&published).unwrap();
        assert_eq!(decode_unverified(&token).unwrap().header()["alg"], expected);
        assert_eq!(set["keys"][0]["alg"], expected);
        // A set that was read says what it said.
        let read = JwkSet::from_json(&published).unwrap();
        assert_eq!(read.to_json(), published);
        assert_eq!(read.iter().next().unwrap().algorithm(), Some(SigningAlgorithm::Ed25519));
        seen.push((token, read));
    }
    let verifier = strict().algorithms([SigningAlgorithm::Ed25519]).build().unwrap();
    for (token, _) in &seen {
        for (_, set) in &seen {
            verifier.verify_with::<Value>(token, set).unwrap();
        }
    }
}

#[tokio::test]
async fn claims_that_no_verifier_would_read_are_not_signed() {
    #[derive(serde::Serialize)]
    struct Twice {
        a: u8,
        #[serde(rename = "a")]
        again: u8,
    }
    let fake = Arc::new(Fake::new(1));
    let signer = Signer::new(keys(&fake));
    let long = json!({ "fill": "x".repeat(13_000) });
    let mut deep = json!(1);
    for _ in 0..20 {
        deep = json!([deep]);
    }
    for bad in
        [json!([]), json!("a"), json!(null), json!({ "exp": "x" }), json!({ "d": deep }), long]
    {
        assert_eq!(signer.sign(&bad).await.unwrap_err().kind(), ErrorKind::InvalidInput, "{bad}");
    }
    let error = signer.sign(&Twice { a: 1, again: 2 }).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert_eq!(fake.signed.load(Relaxed), 0);
}

#[tokio::test]
async fn a_wrong_signature_is_not_given_out() {
    let fake = Arc::new(Fake::new(1));
    fake.miscalculates.store(true, Relaxed);
    let signer = Signer::builder(keys(&fake)).verify_signatures().build().unwrap();
    assert_eq!(signer.sign(&own_claims()).await.unwrap_err().kind(), ErrorKind::Internal);
}

#[tokio::test]
async fn the_new_version_signs_when_the_old_one_cannot() {
    let fake = Arc::new(Fake::new(1));
    let keys = keys(&fake);
    let signer = Signer::new(Arc::clone(&keys));
    let old = signer.sign(&own_claims()).await.unwrap();
    fake.rotate();
    let verifier = strict().build().unwrap();
    // The version that was current when the keys were fetched goes on signing.
    let kid = |token: &str| decode_unverified(token).unwrap().header()["kid"].clone();
    assert_eq!(kid(&signer.sign(&own_claims()).await.unwrap()), kid(&old));
    fake.set_state(0, KeyState::Deprecated);
    let new = signer.sign(&own_claims()).await.unwrap();
    assert_ne!(kid(&new), kid(&old));
    // Deprecated verifies, disabled does not.
    for token in [&old, &new] {
        verifier.verify::<Value>(token, &*keys).await.unwrap();
    }
    fake.set_state(0, KeyState::Disabled);
    keys.invalidate();
    let refused = verifier.verify::<Value>(&old, &*keys).await;
    assert_eq!(reason(refused), InvalidToken::UnknownKey);
    verifier.verify::<Value>(&new, &*keys).await.unwrap();
    // With no other version, the provider's own error comes out, after one attempt.
    fake.set_state(1, KeyState::Disabled);
    let signed = fake.signed.load(Relaxed);
    assert_eq!(signer.sign(&own_claims()).await.unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(fake.signed.load(Relaxed), signed + 1);
}

#[tokio::test]
async fn published_keys_are_those_that_verify() {
    let fake = Arc::new(Fake::new(1));
    for _ in 0..5 {
        fake.rotate();
    }
    fake.set_state(0, KeyState::Deprecated);
    fake.set_state(1, KeyState::Disabled);
    fake.set_state(2, KeyState::PendingDeletion);
    fake.set_state(3, KeyState::Destroyed);
    let set = keys(&fake).jwk_set().await.unwrap();
    assert_eq!(set.len(), 3);
    let read = JwkSet::from_json(set.to_json()).unwrap();
    assert!(read.iter().eq(set.iter()) || read.len() == 3);
    for jwk in read.iter() {
        assert_eq!(jwk.kid(), Some(jwk.thumbprint().as_str()));
        assert!(jwk.to_json().ends_with(r#""alg":"EdDSA","use":"sig"}"#), "{}", jwk.to_json());
    }
}

proptest! {
    #[test]
    fn whatever_is_signed_comes_back(
        names in prop::collection::btree_map("\\PC{1,12}", "\\PC{0,20}", 0..10),
        ttl in 11_u64..100_000,
    ) {
        let fake = Arc::new(Fake::new(1));
        let keys = keys(&fake);
        let mut claims = own_claims().with_ttl(Duration::from_secs(ttl));
        for (name, value) in names {
            if RegisteredClaim::parse(&name).is_none() {
                claims = claims.with_member(name, value).unwrap();
            }
        }
        let token = block_on(Signer::new(Arc::clone(&keys)).sign(&claims)).unwrap();
        let verifier = strict().build().unwrap();
        let verified: Verified<Claims> = block_on(verifier.verify(&token, &*keys)).unwrap();
        prop_assert!(verified.into_claims() == claims);
    }
}
