//! Tokens: three libraries in Python verify ours, and we verify theirs.

use std::{collections::BTreeMap, sync::Arc};

use bulla::{
    SigningAlgorithm,
    jwt::{Claims, Ed25519Name, Jwk, JwkSet, ProviderKeys, Signer, Verifier, VerifierBuilder},
};
use bulla_local::{ExportFormat, KeyType, Local, Protection, Store};
use serde_json::{Value, json};

use super::Python;

const LIBRARIES: [&str; 3] = ["PyJWT", "jwcrypto", "joserfc"];

/// One algorithm by one of its names.
struct Subject {
    name: &'static str,
    private: Value,
    public: Value,
    token: String,
    claims: Value,
}

fn claims() -> Claims {
    let claims = Claims::new().unwrap().with_issuer("us").with_audience("them");
    claims.with_subject("ad\u{e1}").with_member("roles", ["a", "b"]).unwrap()
}

fn expected() -> VerifierBuilder {
    Verifier::builder().issuer("us").audience("them").typ("JWT")
}

async fn subjects() -> Vec<Subject> {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::at(dir.path().join("store"));
    let mut subjects = Vec::new();
    for key_type in
        [KeyType::Rsa2048, KeyType::P256, KeyType::P384, KeyType::P521, KeyType::Ed25519]
    {
        let name = key_type.to_string();
        store.create_key(&name, key_type, &Protection::None).unwrap();
        let vault = Arc::new(Local::builder(store.clone()).signing_key(&name).build().unwrap());
        for algorithm in key_type.signing_algorithms() {
            let names: &[_] = match algorithm {
                SigningAlgorithm::Ed25519 => &["Ed25519", "EdDSA"],
                other => &[other.as_str()],
            };
            for alg in names {
                let keys = ProviderKeys::builder(Arc::clone(&vault)).algorithm(*algorithm);
                let keys = match *alg {
                    "Ed25519" => keys.ed25519_name(Ed25519Name::Ed25519),
                    _ => keys,
                };
                let keys = Arc::new(keys.build());
                let signer = Signer::new(Arc::clone(&keys));
                let claims = claims();
                let token = signer.sign(&claims).await.unwrap();
                let set = keys.jwk_set().await.unwrap();
                let public = set.iter().next().unwrap().to_json();
                let private = store.export(&name, None, ExportFormat::Jwk, None).unwrap();
                let mut private: Value = serde_json::from_str(&private).unwrap();
                private["kid"] = json!(set.iter().next().unwrap().kid());
                subjects.push(Subject {
                    name: alg,
                    private,
                    public: serde_json::from_str(&public).unwrap(),
                    token,
                    claims: serde_json::to_value(&claims).unwrap(),
                });
            }
        }
    }
    subjects
}

fn run(python: &Python, jobs: &[Value]) -> Vec<Value> {
    let output = python.run("tokens.py", &[], json!(jobs).to_string().as_bytes());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let results: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(results.len(), jobs.len());
    results
}

/// A token with one bit of its signature changed, still in base64url's one spelling.
fn damaged(token: &str) -> String {
    let at = token.rfind('.').unwrap() + 5;
    let other = if token.as_bytes()[at] == b'A' { "B" } else { "A" };
    format!("{}{other}{}", &token[..at], &token[at + 1..])
}

/// PyJWT does not know RFC 9864 yet.
fn knows(library: &str, name: &str) -> bool {
    (library, name) != ("PyJWT", "Ed25519")
}

#[tokio::test]
async fn tokens_go_both_ways_and_the_matrix_is_the_documents() {
    let Some(python) = Python::find() else { return };
    let subjects = subjects().await;
    let pairs: Vec<_> =
        subjects.iter().flat_map(|subject| LIBRARIES.map(|library| (subject, library))).collect();
    let jobs: Vec<_> = pairs
        .iter()
        .flat_map(|(subject, library)| {
            let Subject { name, private, public, token, claims } = subject;
            [
                json!({ "op": "verify", "library": library, "alg": name, "jwk": public, "token": token }),
                json!({ "op": "verify", "library": library, "alg": name, "jwk": public, "token": damaged(token) }),
                json!({ "op": "sign", "library": library, "alg": name, "jwk": private, "claims": claims }),
            ]
        })
        .collect();
    let results = run(&python, &jobs);
    let mut matrix: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for ((subject, library), results) in pairs.iter().zip(results.chunks(3)) {
        let [verified, refused, signed] = results else { panic!("three results each") };
        let what = format!("{} with {library}", subject.name);
        let knows = knows(library, subject.name);
        assert_eq!(verified["ok"], knows, "{what}: {verified}");
        assert_eq!(refused["ok"], false, "{what} took a damaged token");
        assert_eq!(signed["ok"], knows, "{what}: {signed}");
        let cells = matrix.entry(subject.name).or_default();
        if !knows {
            cells.extend(["no", "no"].map(str::to_owned));
            continue;
        }
        assert_eq!(verified["claims"], subject.claims, "{what}");
        theirs_verifies_here(subject, signed, &what);
        cells.extend(["yes", "yes"].map(str::to_owned));
    }
    let document = include_str!("../../docs/jwt.md");
    for (name, cells) in matrix {
        let row = format!("| {name} | {} |", cells.join(" | "));
        assert!(document.contains(&row), "docs/jwt.md lacks the row\n{row}");
    }
}

fn theirs_verifies_here(subject: &Subject, signed: &Value, what: &str) {
    let token = signed["token"].as_str().unwrap();
    // Once with the key as we have it, once as the library writes it.
    let ours = Jwk::from_json(subject.public.to_string()).unwrap();
    let theirs = Jwk::from_json(signed["jwk"].to_string()).unwrap();
    assert_eq!(theirs.thumbprint(), ours.thumbprint(), "{what}");
    let algorithm = ours.algorithm().unwrap();
    let verifier = expected().algorithms([algorithm]).build().unwrap();
    let kid = ours.kid().unwrap().to_owned();
    for key in [ours, theirs.with_kid(kid)] {
        let keys = JwkSet::new([key]).unwrap();
        let verified = verifier.verify_with::<Value>(token, &keys).unwrap();
        assert_eq!(*verified.claims(), subject.claims, "{what}");
        verifier.verify_with::<Value>(&damaged(token), &keys).unwrap_err();
    }
}
