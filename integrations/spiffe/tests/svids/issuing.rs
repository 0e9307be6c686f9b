//! What an issuer's tokens are.

use std::{
    collections::BTreeSet,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use bulla::ErrorKind;
use bulla_local::KeyType;
use bulla_spiffe::{
    BundleSet, JwtSvidIssuer, JwtSvidIssuerBuilder, JwtSvidRequest, JwtSvidVerifier, spiffe_id,
    trust_domain,
};
use serde_json::json;

use super::{Key, minutes, part};

fn builder(key: &Key) -> JwtSvidIssuerBuilder {
    JwtSvidIssuer::builder(trust_domain("example.org").unwrap(), key.provider_keys())
}

fn request() -> JwtSvidRequest {
    JwtSvidRequest::new(spiffe_id("spiffe://example.org/billing").unwrap(), "reports")
}

#[tokio::test]
async fn a_token_has_the_standards_shape_and_verifies() {
    for (kind, algorithm) in
        [(KeyType::P256, "ES256"), (KeyType::P384, "ES384"), (KeyType::P521, "ES512")]
    {
        let key = Key::new(kind);
        // Between two seconds: whole ones are written.
        let now = SystemTime::now() - Duration::from_millis(250);
        let issuer = builder(&key).clock(move || now).build().await.unwrap();
        let svid = issuer.issue(&request()).await.unwrap();
        let seconds = now.duration_since(UNIX_EPOCH).unwrap().as_secs();

        let header = part(svid.token(), 0);
        let kid = key.jwk("").await.thumbprint();
        assert_eq!(header, json!({ "alg": algorithm, "kid": kid, "typ": "JWT" }));
        let claims = part(svid.token(), 1);
        assert_eq!(claims["sub"], "spiffe://example.org/billing");
        assert_eq!(claims["aud"], json!(["reports"]), "an array, also of one");
        assert_eq!(claims["iat"].as_u64(), Some(seconds));
        assert_eq!(claims["exp"].as_u64(), Some(seconds + 300));
        let names: BTreeSet<_> = claims.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(names, BTreeSet::from(["aud", "exp", "iat", "jti", "sub"]));
        assert_eq!(svid.expires_at(), svid.issued_at() + minutes(5));
        assert!(!format!("{svid:?}").contains(svid.token()));

        let bundles = BundleSet::new();
        bundles.insert_keys(trust_domain("example.org").unwrap(), issuer.keys());
        let verifier = JwtSvidVerifier::builder(bundles).audience("reports").build().unwrap();
        assert_eq!(verifier.verify(svid.token()).await.unwrap().id(), svid.id());
    }
}

#[tokio::test]
async fn rsa_signs_what_was_named() {
    let key = Key::new(KeyType::Rsa2048);
    let error = builder(&key).build().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput, "one of six is to be named");
    for algorithm in [bulla::SigningAlgorithm::Rs256, bulla::SigningAlgorithm::Ps512] {
        let keys = bulla::jwt::ProviderKeys::builder(std::sync::Arc::clone(&key.local));
        let keys = std::sync::Arc::new(keys.algorithm(algorithm).build());
        let issuer = JwtSvidIssuer::builder(trust_domain("example.org").unwrap(), keys);
        let svid = issuer.build().await.unwrap().issue(&request()).await.unwrap();
        assert_eq!(part(svid.token(), 0)["alg"], algorithm.as_str());
    }
}

#[tokio::test]
async fn ed25519_is_refused_before_anything_is_signed() {
    let error = builder(&Key::new(KeyType::Ed25519)).build().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(error.message().contains("Ed25519"), "{error}");
}

#[tokio::test]
async fn whose_and_for_whom_is_checked() {
    let issuer = builder(&Key::new(KeyType::P256)).build().await.unwrap();
    let id = |text: &str| spiffe_id(text).unwrap();
    let long = "a".repeat(100).repeat(20);
    for (request, what) in [
        (JwtSvidRequest::new(id("spiffe://other.org/billing"), "a"), "another domain"),
        (JwtSvidRequest::new(id("spiffe://example.org.evil/billing"), "a"), "another domain"),
        (JwtSvidRequest::new(id("spiffe://example.org"), "a"), "no workload"),
        (request().with_audience(""), "an empty audience"),
        (JwtSvidRequest::new(id("spiffe://example.org/a"), ""), "no audience"),
        (request().with_ttl(Duration::ZERO), "no time"),
        (request().with_ttl(Duration::from_millis(1500)), "no whole seconds"),
        (request().with_ttl(minutes(5) + Duration::from_secs(1)), "longer than the issuer's"),
        (request().with_claim("big", long.repeat(9)).unwrap(), "over 16 KiB"),
    ] {
        let error = issuer.issue(&request).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{what}");
    }
    let svid = issuer.issue(&request().with_ttl(Duration::from_secs(7))).await.unwrap();
    assert_eq!(svid.expires_at(), svid.issued_at() + Duration::from_secs(7));
    // Too long as text, though a type of it can be made.
    let segments: Vec<_> = std::iter::repeat_n("a".repeat(100), 19).collect();
    let segments: Vec<_> = segments.iter().map(String::as_str).collect();
    let domain = trust_domain("example.org").unwrap();
    let fits = bulla_spiffe::SpiffeId::from_segments(domain, &segments).unwrap();
    issuer.issue(&JwtSvidRequest::new(fits, "a")).await.unwrap();
}

#[tokio::test]
async fn times_to_live_are_bounded() {
    let key = Key::new(KeyType::P256);
    for bad in [
        Duration::ZERO,
        Duration::from_millis(999),
        Duration::from_millis(1001),
        Duration::from_secs(24 * 3600 + 1),
        Duration::MAX,
    ] {
        let error = builder(&key).ttl(bad).build().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{bad:?}");
    }
    builder(&key).ttl(Duration::from_secs(24 * 3600)).build().await.unwrap();
    assert!(builder(&key).issuer("").build().await.is_err());
}

#[tokio::test]
async fn claims_of_ones_own_replace_none_of_the_standards() {
    for name in ["iss", "sub", "aud", "exp", "nbf", "iat", "jti"] {
        let error = request().with_claim(name, "mine").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{name}");
    }
    let once = request().with_claim("tenant", "acme").unwrap();
    assert!(once.clone().with_claim("tenant", "other").is_err());
    assert!(!format!("{once:?}").contains("acme"));

    let key = Key::new(KeyType::P256);
    let issuer = builder(&key).issuer("https://id.example.org").build().await.unwrap();
    let request = once.with_claim("roles", ["a", "b"]).unwrap().with_audience("others");
    let svid = issuer.issue(&request).await.unwrap();
    let claims = part(svid.token(), 1);
    assert_eq!(claims["tenant"], "acme");
    assert_eq!(claims["roles"], json!(["a", "b"]));
    assert_eq!(claims["aud"], json!(["reports", "others"]));
    assert_eq!(claims["iss"], "https://id.example.org");
    assert_eq!(claims["sub"], "spiffe://example.org/billing");
}
