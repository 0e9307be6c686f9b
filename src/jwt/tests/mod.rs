//! Tests of tokens and keys.

mod cache;
mod fake;
mod keys;
mod policy;
mod rfc8725;
mod signing;
mod subjects;
mod vectors;
mod wycheproof;

use std::{
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use serde_json::{Value, json};

use super::*;
use crate::error::{ErrorKind, Result};
use fake::Fake;

/// When it is in these tests.
const NOW: u64 = 1_800_000_000;

fn now() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(NOW)
}

/// A verifier that waives everything, at [`NOW`].
fn lax() -> VerifierBuilder {
    Verifier::builder().any_issuer().any_audience().any_typ().allow_missing_exp().clock(now)
}

/// A verifier of what [`claims`] says.
fn strict() -> VerifierBuilder {
    Verifier::builder().issuer("https://id.example").audience("orders").typ("JWT").clock(now)
}

fn claims() -> Value {
    json!({
        "iss": "https://id.example", "aud": "orders", "sub": "ada",
        "iat": NOW, "exp": NOW + 3600, "role": "admin",
    })
}

/// Why a token was refused.
#[track_caller]
fn reason<T: std::fmt::Debug>(result: Result<T>) -> InvalidToken {
    let error = result.unwrap_err();
    let reason = InvalidToken::of(&error).unwrap_or_else(|| panic!("{error}"));
    assert_eq!(error.kind(), reason.kind());
    reason
}

/// A token with this header and payload, signed by the fake's current version.
fn forge(fake: &Fake, header: &str, payload: &str) -> String {
    let signed = format!("{}.{}", compact::encode(header), compact::encode(payload));
    format!("{signed}.{}", compact::encode(fake.signature(signed.as_bytes())))
}

/// A token with these claims and the right header.
fn token_of(fake: &Fake, claims: &Value) -> String {
    forge(fake, &good_header(fake), &claims.to_string())
}

fn good_header(fake: &Fake) -> String {
    json!({"alg": "Ed25519", "typ": "JWT", "kid": fake.kid()}).to_string()
}

fn set_of(fake: &Fake) -> JwkSet {
    JwkSet::new([fake.jwk()]).unwrap()
}

fn verify(verifier: VerifierBuilder, fake: &Fake, token: &str) -> Result<Value> {
    let verifier = verifier.build().unwrap();
    verifier.verify_with(token, &set_of(fake)).map(Verified::into_claims)
}

fn keys(fake: &Arc<Fake>) -> Arc<ProviderKeys<Arc<Fake>>> {
    Arc::new(ProviderKeys::new(Arc::clone(fake)))
}
