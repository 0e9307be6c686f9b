//! The cases of go-spiffe's `TestParseAndValidate` (svid/jwtsvid/svid_test.go, commit e9973f6, Apache-2.0), as
//! facts: what a token is, and that it is refused. Its code is not here, and neither are its messages.

use std::time::{SystemTime, UNIX_EPOCH};

use bulla::{
    ErrorKind,
    jwt::{InvalidToken, RegisteredClaim},
};
use bulla_local::KeyType;
use bulla_spiffe::{BundleSet, JwtSvid, JwtSvidVerifier, spiffe_id};
use serde_json::{Value, json};

use super::{Key, bundles_of};

/// An example of RFC 7519's kind, by HMAC with SHA-256.
const HS256: &str = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0NTY3ODkwIiwibmFtZSI6IkpvaG\
                     4gRG9lIiwiaWF0IjoxNTE2MjM5MDIyfQ.SflKxwRJSMeKKF2QT4fwpMeJf36POk6yJV_adQssw5c";

struct Table {
    key1: Key,
    key2: Key,
    bundles: BundleSet,
    now: u64,
}

impl Table {
    async fn new() -> Self {
        let (key1, key2) = (Key::new(KeyType::P384), Key::new(KeyType::Rsa2048));
        let keys = [key1.jwk("authority1").await, key2.jwk("authority2").await];
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        Self { key1, key2, bundles: bundles_of("trustdomain", keys), now }
    }

    fn claims(&self) -> Value {
        json!({
            "sub": "spiffe://trustdomain/host",
            "iss": "issuer",
            "exp": self.now + 60,
            "aud": ["audience"],
            "iat": self.now,
        })
    }

    async fn verify(&self, token: &str, audience: &str) -> bulla::Result<JwtSvid> {
        let verifier = JwtSvidVerifier::builder(self.bundles.clone()).audience(audience);
        verifier.build().unwrap().verify(token).await
    }

    async fn refused(&self, name: &str, token: &str, audience: &str, because: InvalidToken) {
        let error = self.verify(token, audience).await.unwrap_err();
        assert_eq!(InvalidToken::of(&error), Some(because), "{name}: {error}");
        assert_eq!(error.kind(), because.kind(), "{name}");
    }

    /// A token of the first key, with this change.
    async fn token(&self, change: impl FnOnce(&mut Value, &mut Value)) -> String {
        let (mut header, mut claims) =
            (json!({ "alg": "ES384", "kid": "authority1" }), self.claims());
        change(&mut header, &mut claims);
        self.key1.forge(&header, &claims).await
    }
}

#[tokio::test]
async fn go_spiffes_table_of_cases() {
    let table = Table::new().await;
    let good = table.token(|_, _| {}).await;

    // success
    let svid = table.verify(&good, "audience").await.unwrap();
    assert_eq!(*svid.id(), spiffe_id("spiffe://trustdomain/host").unwrap());
    assert_eq!(svid.audiences(), ["audience"]);
    let expires = svid.expires_at().unwrap().duration_since(UNIX_EPOCH).unwrap();
    assert_eq!(expires.as_secs(), table.now + 60);
    assert_eq!(serde_json::to_value(svid.claims()).unwrap(), table.claims());

    let without = |name: &'static str| {
        table.token(move |_, claims| drop(claims.as_object_mut().unwrap().remove(name)))
    };
    let claiming =
        |name: &'static str, value: Value| table.token(move |_, claims| claims[name] = value);
    let heading =
        |name: &'static str, value: Value| table.token(move |header, _| header[name] = value);
    use InvalidToken::*;
    let missing = MissingClaim;
    let no_subject = without("sub").await;
    let no_expiry = without("exp").await;
    let expired = claiming("exp", json!(table.now - 60)).await;
    let bad_subject = claiming("sub", json!("invalid subject")).await;
    let no_kid = table.token(|header, _| drop(header.as_object_mut().unwrap().remove("kid"))).await;
    let empty_kid = heading("kid", json!("")).await;
    let elsewhere = claiming("sub", json!("spiffe://another.domain/host")).await;
    let no_authority = heading("kid", json!("noKey")).await;
    let mut header = json!({ "alg": "RS256", "kid": "authority1" });
    let mismatched_algorithm = table.key2.forge(&header, &table.claims()).await;
    header["alg"] = "ES384".into();
    let mismatched = table.key2.forge(&header, &table.claims()).await;
    let bad_typ = heading("typ", json!("invalid")).await;
    for (name, token, audience, because) in [
        ("malformed", "invalid token", "audience", NotCompact),
        ("unsupported algorithm", HS256, "audience", Algorithm),
        ("missing subject", &no_subject, "audience", missing(RegisteredClaim::Sub)),
        ("missing expiration claim", &no_expiry, "audience", missing(RegisteredClaim::Exp)),
        ("expired", &expired, "audience", Expired),
        ("unexpected audience", &good, "another", Audience),
        ("invalid subject claim", &bad_subject, "audience", ClaimValue(RegisteredClaim::Sub)),
        ("missing key", &no_kid, "audience", NoKeyId),
        ("missing key", &empty_kid, "audience", NoKeyId),
        ("no bundle for trust domain", &elsewhere, "audience", UnknownKey),
        ("no bundle for authority", &no_authority, "audience", UnknownKey),
        ("mismatched JWT authority", &mismatched, "audience", Signature),
        ("mismatched JWT authority", &mismatched_algorithm, "audience", Algorithm),
        ("invalid typ", &bad_typ, "audience", Type),
    ] {
        table.refused(name, token, audience, because).await;
    }
}

#[tokio::test]
async fn typ_is_absent_or_one_of_two() {
    let table = Table::new().await;
    for typ in ["JWT", "JOSE"] {
        let token = table.token(|header, _| header["typ"] = typ.into()).await;
        table.verify(&token, "audience").await.unwrap();
    }
    for typ in ["jwt", "at+jwt", "application/JWT", "", "JWT "] {
        let token = table.token(|header, _| header["typ"] = typ.into()).await;
        table.refused(typ, &token, "audience", InvalidToken::Type).await;
    }
}

#[tokio::test]
async fn what_the_table_leaves_out() {
    let table = Table::new().await;
    let no_audience =
        table.token(|_, claims| drop(claims.as_object_mut().unwrap().remove("aud"))).await;
    let missing = InvalidToken::MissingClaim(RegisteredClaim::Aud);
    table.refused("no audience", &no_audience, "audience", missing).await;
    let empty = table.token(|_, claims| claims["aud"] = json!([])).await;
    table.refused("no audience", &empty, "audience", InvalidToken::Audience).await;
    // RSA keys of bundles state no algorithm: each of six is good.
    let header = json!({ "alg": "RS256", "kid": "authority2" });
    let by_rsa = table.key2.forge(&header, &table.claims()).await;
    table.verify(&by_rsa, "audience").await.unwrap();
    // One spelling of an ID.
    for subject in
        ["SPIFFE://trustdomain/host", "spiffe://TrustDomain/host", "spiffe://trustdomain//host"]
    {
        let token = table.token(|_, claims| claims["sub"] = subject.into()).await;
        let bad = InvalidToken::ClaimValue(RegisteredClaim::Sub);
        table.refused(subject, &token, "audience", bad).await;
    }
    let verifier = JwtSvidVerifier::builder(table.bundles.clone()).build();
    assert_eq!(verifier.unwrap_err().kind(), ErrorKind::InvalidInput, "an audience is named");
}

#[tokio::test]
async fn ed25519_is_none_of_the_standards_algorithms() {
    let key = Key::new(KeyType::Ed25519);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let claims =
        json!({ "sub": "spiffe://trustdomain/host", "aud": ["audience"], "exp": now + 60 });
    let token = key.forge(&json!({ "alg": "EdDSA", "kid": "a" }), &claims).await;
    // Of a bundle such a key is left out; where keys come from elsewhere, it is not used either.
    let left_out = bundles_of("trustdomain", [key.jwk("a").await]);
    let domain = bulla_spiffe::trust_domain("trustdomain").unwrap();
    assert_eq!(left_out.at_hand(&domain).unwrap().skipped(), 1);
    let from_elsewhere = BundleSet::new();
    let set = bulla::jwt::JwkSet::new([key.jwk("a").await]).unwrap();
    from_elsewhere.insert_keys(domain, std::sync::Arc::new(std::sync::Arc::new(set)));
    for (bundles, because) in
        [(left_out, InvalidToken::UnknownKey), (from_elsewhere, InvalidToken::Algorithm)]
    {
        let verifier = JwtSvidVerifier::builder(bundles).audience("audience").build().unwrap();
        let error = verifier.verify(&token).await.unwrap_err();
        assert_eq!(InvalidToken::of(&error), Some(because));
    }
}
