//! Tokens: this crate's before go-spiffe, and others' before this crate.

use std::sync::Arc;

use bulla::jwt::{InvalidToken, ProviderKeys};
use bulla_local::{KeyType, Local, Protection, Store};
use bulla_spiffe::{
    Bundle, BundleSet, JwtSvidIssuer, JwtSvidRequest, JwtSvidVerifier, LocalBundle, spiffe_id,
    trust_domain,
};
use bulla_testworld::{GoSpiffe, write};
use serde_json::{Value, json};

use crate::{bundle_of, honest::unix_now};

const ID: &str = "spiffe://ours.test/workload";

#[tokio::test]
async fn go_spiffe_accepts_what_is_issued_and_nothing_that_was_changed() {
    let Some(go) = GoSpiffe::find() else { return };
    for kind in [KeyType::P256, KeyType::P384, KeyType::P521, KeyType::Rsa2048] {
        let dir = tempfile::tempdir().unwrap();
        let issuer = issuer(dir.path(), kind).await;
        let request =
            JwtSvidRequest::new(spiffe_id(ID).unwrap(), "orders").with_audience("billing");
        let request = request.with_claim("region", "eu").unwrap();
        let token = issuer.issue(&request).await.unwrap().into_token();
        let local = LocalBundle::builder(trust_domain("ours.test").unwrap()).keys(issuer.keys());
        let document = bundle_of(&local.build().unwrap()).await.to_json().unwrap();
        let bundle = write(dir.path(), "bundle.json", document);

        // Every hundredth bit, and the ends of all parts.
        let mut tokens = vec![token.clone()];
        tokens.extend((0..token.len()).step_by(17).map(|at| changed(&token, at)));
        tokens.extend([token.trim_end_matches(|c| c != '.').to_owned(), format!("{token}AA")]);
        let said = go.validate("ours.test", &bundle, "orders", &tokens);
        assert_eq!(
            (&said[0]["id"], &said[0]["audience"]),
            (&ID.into(), &json!(["orders", "billing"]))
        );
        assert_eq!(said[0]["claims"]["region"], "eu", "{said:?}");
        for (said, token) in said.iter().zip(&tokens).skip(1) {
            assert!(said["error"].is_string(), "{token} was accepted, of {}", tokens[0]);
        }
        let elsewhere = go.validate("ours.test", &bundle, "shipping", &tokens[..1]);
        assert!(elsewhere[0]["error"].as_str().unwrap().contains("expected audience"));
    }
}

#[tokio::test]
async fn tokens_of_go_jose_are_judged_as_go_spiffe_does() {
    let Some(go) = GoSpiffe::find() else { return };
    let domain = go.trust_domain("spiffe://domain.test/workload");
    let exp = unix_now() + 300;
    let claims = json!({"sub": "spiffe://domain.test/workload", "aud": ["orders"], "exp": exp});
    let with = |name: &str, value: Value| {
        let mut claims = claims.clone();
        claims[name] = value;
        claims
    };
    let typ = |typ: &str| json!({ "typ": typ });
    let mut tokens = Vec::new();
    for algorithm in
        ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512"]
    {
        tokens.push((algorithm, domain.token_by(algorithm, algorithm, true, &typ("JWT"), &claims)));
    }
    tokens.extend([
        ("EdDSA", domain.token_by("EdDSA", "EdDSA", true, &typ("JWT"), &claims)),
        ("not published", domain.token_by("ES256", "hidden", false, &typ("JWT"), &claims)),
        ("no key id", domain.token_by("ES256", "", false, &typ("JWT"), &claims)),
        ("typ JOSE", domain.token(&typ("JOSE"), &claims)),
        ("no typ", domain.token(&json!({}), &claims)),
        ("typ at+jwt", domain.token(&typ("at+jwt"), &claims)),
        ("one audience", domain.token(&typ("JWT"), &with("aud", "orders".into()))),
        ("other audience", domain.token(&typ("JWT"), &with("aud", json!(["billing"])))),
        ("no audience", domain.token(&typ("JWT"), &with("aud", json!([])))),
        ("expired", domain.token(&typ("JWT"), &with("exp", json!(exp - 420)))),
        ("not yet", domain.token(&typ("JWT"), &with("nbf", json!(exp)))),
        ("no id", domain.token(&typ("JWT"), &with("sub", "ada".into()))),
        ("other domain", domain.token(&typ("JWT"), &with("sub", "spiffe://other.test/a".into()))),
    ]);
    let document = domain.bundle().to_string();
    let dir = tempfile::tempdir().unwrap();
    let bundle = write(dir.path(), "bundle.json", &document);
    let bundles = BundleSet::new();
    bundles.insert(Bundle::from_json(trust_domain("domain.test").unwrap(), document).unwrap());
    let verifier = JwtSvidVerifier::builder(bundles).audience("orders").build().unwrap();

    let only: Vec<_> = tokens.iter().map(|(_, token)| token).collect();
    let said = go.validate("domain.test", &bundle, "orders", &only);
    let mut accepted = Vec::new();
    for ((what, token), said) in tokens.iter().zip(said) {
        let ours = verifier.verify(token).await;
        assert_eq!(ours.is_ok(), said["id"].is_string(), "{what}: {ours:?}, and go-spiffe: {said}");
        match ours {
            Ok(_) => accepted.push(*what),
            Err(error) => assert!(InvalidToken::of(&error).is_some(), "{what}: {error}"),
        }
    }
    assert_eq!(accepted.len(), 12, "{accepted:?}");
}

async fn issuer(dir: &std::path::Path, kind: KeyType) -> JwtSvidIssuer {
    let store = Store::at(dir.join("keys"));
    store.create_key("id", kind, &Protection::None).unwrap();
    let local = Arc::new(Local::builder(store).signing_key("id").build().unwrap());
    let mut keys = ProviderKeys::builder(local);
    if let Some(algorithm) = kind.signing_algorithms().first() {
        keys = keys.algorithm(*algorithm);
    }
    let keys = Arc::new(keys.build());
    JwtSvidIssuer::builder(trust_domain("ours.test").unwrap(), keys).build().await.unwrap()
}

/// Another letter in that place. The last letter of a part has bits that say nothing, so the first of two that
/// differ in the others is taken.
fn changed(token: &str, at: usize) -> String {
    let (before, rest) = token.split_at(at);
    let (letter, after) = rest.split_at(1);
    let other = match letter {
        "." => "A",
        "A" | "B" | "C" | "D" => "z",
        _ => "A",
    };
    format!("{before}{other}{after}")
}
