//! Keys that are looked up by whom a token is about.

use std::collections::HashMap;

use async_trait::async_trait;

use super::*;
use crate::{crypto::SigningAlgorithm, error::Error};

/// Domains, each with its keys; a subject is `NAME@DOMAIN`.
#[derive(Default)]
struct Domains {
    keys: HashMap<&'static str, Arc<JwkSet>>,
    fails: Option<ErrorKind>,
}

#[async_trait]
impl SubjectKeys for Domains {
    async fn keys_of(
        &self,
        subject: &str,
        kid: Option<&str>,
    ) -> Result<Result<Arc<JwkSet>, InvalidToken>> {
        if let Some(kind) = self.fails {
            return Err(Error::new(kind, "out"));
        }
        if kid.is_none() {
            return Ok(Err(InvalidToken::NoKeyId));
        }
        let Some((_, domain)) = subject.split_once('@') else {
            return Ok(Err(InvalidToken::ClaimValue(RegisteredClaim::Sub)));
        };
        Ok(self.keys.get(domain).cloned().ok_or(InvalidToken::UnknownKey))
    }
}

async fn verified(domains: &Domains, token: &str) -> Result<Value> {
    let verifier = strict().build().unwrap();
    let verified = verifier.verify_by_subject(token, domains).await?;
    Ok(serde_json::to_value(verified.claims()).unwrap())
}

fn claims_of(subject: Option<&str>) -> Value {
    let mut claims = claims();
    let members = claims.as_object_mut().unwrap();
    match subject {
        Some(subject) => members.insert("sub".to_owned(), subject.into()),
        None => members.remove("sub"),
    };
    claims
}

#[tokio::test]
async fn each_domain_vouches_for_its_own_subjects_alone() {
    let (a, b) = (Fake::new(1), Fake::new(2));
    let mut domains = Domains::default();
    domains.keys.insert("a", set_of(&a).into());
    domains.keys.insert("b", set_of(&b).into());
    let of = |fake: &Fake, subject| token_of(fake, &claims_of(subject));

    let found = verified(&domains, &of(&a, Some("ada@a"))).await.unwrap();
    assert_eq!(found, claims_of(Some("ada@a")));
    verified(&domains, &of(&b, Some("ada@b"))).await.unwrap();
    for (fake, subject, because) in [
        (&a, Some("ada@b"), InvalidToken::UnknownKey),
        (&b, Some("ada@a"), InvalidToken::UnknownKey),
        (&a, Some("ada@c"), InvalidToken::UnknownKey),
        (&a, Some("ada"), InvalidToken::ClaimValue(RegisteredClaim::Sub)),
        (&a, Some(""), InvalidToken::MissingClaim(RegisteredClaim::Sub)),
        (&a, None, InvalidToken::MissingClaim(RegisteredClaim::Sub)),
    ] {
        assert_eq!(reason(verified(&domains, &of(fake, subject)).await), because, "{subject:?}");
    }
    // Another domain's key under the name of one's own.
    let forged = forge(&b, &good_header(&a), &claims_of(Some("ada@a")).to_string());
    assert_eq!(reason(verified(&domains, &forged).await), InvalidToken::Signature);
    let no_kid = forge(&a, r#"{"alg":"Ed25519","typ":"JWT"}"#, &claims_of(Some("a@a")).to_string());
    assert_eq!(reason(verified(&domains, &no_kid).await), InvalidToken::NoKeyId);
}

#[tokio::test]
async fn the_other_rules_hold_as_they_do_elsewhere() {
    let fake = Fake::new(1);
    let mut domains = Domains::default();
    domains.keys.insert("a", set_of(&fake).into());
    let header = good_header(&fake);
    let of = |name: &str, value: Value| {
        let mut claims = claims_of(Some("ada@a"));
        claims[name] = value;
        forge(&fake, &header, &claims.to_string())
    };
    for (token, because) in [
        (of("exp", json!(NOW - 60)), InvalidToken::Expired),
        (of("aud", json!("others")), InvalidToken::Audience),
        (of("iss", json!("https://evil.example")), InvalidToken::Issuer),
        (of("nbf", json!(NOW + 60)), InvalidToken::NotYetValid),
        (of("sub", json!(7)), InvalidToken::ClaimValue(RegisteredClaim::Sub)),
        (forge(&fake, &header, r#"{"sub":"ada@a","sub":"ada@a"}"#), InvalidToken::DuplicateMember),
        (forge(&fake, &header, "[]"), InvalidToken::Json),
        (
            forge(&fake, &header.replace("JWT", "at+jwt"), &claims_of(Some("ada@a")).to_string()),
            InvalidToken::Type,
        ),
    ] {
        assert_eq!(reason(verified(&domains, &token).await), because, "{token}");
    }
}

#[tokio::test]
async fn an_outage_says_nothing_of_the_token() {
    let fake = Fake::new(1);
    let token = token_of(&fake, &claims_of(Some("ada@a")));
    for (kind, told) in [
        (ErrorKind::Unavailable, ErrorKind::Unavailable),
        (ErrorKind::NotAuthentic, ErrorKind::Internal),
        (ErrorKind::InvalidToken, ErrorKind::Internal),
    ] {
        let domains = Domains { fails: Some(kind), ..Domains::default() };
        assert_eq!(verified(&domains, &token).await.unwrap_err().kind(), told);
    }
}

#[tokio::test]
async fn a_signer_keeps_to_the_algorithms_that_were_said() {
    let fake = Arc::new(Fake::new(1));
    let bound = |algorithms: &[SigningAlgorithm]| {
        Signer::builder(keys(&fake)).algorithms(algorithms.iter().copied()).build().unwrap()
    };
    let signer = bound(&[SigningAlgorithm::Es256, SigningAlgorithm::Rs256]);
    assert_eq!(signer.algorithm().await.unwrap_err().kind(), ErrorKind::InvalidInput);
    assert_eq!(signer.sign(&claims()).await.unwrap_err().kind(), ErrorKind::InvalidInput);
    assert_eq!(fake.signed.load(std::sync::atomic::Ordering::Relaxed), 0);
    let signer = bound(&[SigningAlgorithm::Ed25519]);
    assert_eq!(signer.algorithm().await.unwrap(), SigningAlgorithm::Ed25519);
    signer.sign(&claims()).await.unwrap();
}

#[test]
fn audiences_can_be_an_array_of_one() {
    let aud = |claims: &Claims| serde_json::to_value(claims).unwrap()["aud"].clone();
    let claims = Claims::new_at(now()).unwrap();
    assert_eq!(aud(&claims.clone().with_audience("a")), json!("a"));
    let one = claims.with_audience("a").with_audiences(["b"]);
    assert_eq!(aud(&one), json!(["b"]));
    assert_eq!(aud(&one.with_audience("c")), json!(["b", "c"]));
}
