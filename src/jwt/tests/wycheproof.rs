//! Wycheproof's vectors for JSON Web Signatures and JSON Web Keys; every exception is argued.

use super::*;
use crate::crypto::SigningAlgorithm::*;

const SIGNATURES: &str =
    include_str!("../../../tests/vectors/wycheproof/json_web_signature_test.json");
const KEYS: &str = include_str!("../../../tests/vectors/wycheproof/json_web_key_test.json");

/// Valid by the file, refused here.
fn is_refused_all_the_same(key: &Value, test: &Value) -> Option<&'static str> {
    if test["comment"] == "Figure20" && key["alg"] == "PS256" {
        Some("the token of RFC 7520, figure 20 is PS384, and this key says that it is for PS256")
    } else if key["kty"] == "oct" {
        Some("symmetric keys have no place here: who verifies could sign")
    } else if key["alg"] == "ES521" {
        Some("there is no such algorithm: it is called ES512 (RFC 7518, section 3.4)")
    } else if key["kty"] == "RSA" && cfg!(not(feature = "aws-lc-rs")) {
        Some("RSA needs AWS-LC")
    } else {
        None
    }
}

/// Invalid by the file, accepted here.
fn is_accepted_all_the_same(test: &Value) -> bool {
    // A ROCA key (CVE-2017-15361) can be told by its modulus, but that is the business of who
    // takes a key into a set; AWS-LC does not check it either.
    test["comment"] == "rejectsKeyWithRocaVulnerability" && cfg!(feature = "aws-lc-rs")
}

fn groups(file: &str) -> Vec<Value> {
    let file: Value = serde_json::from_str(file).unwrap();
    file["testGroups"].as_array().unwrap().clone()
}

/// Runs a file, whose keys `set` makes a JWK set of. Says how many tokens were accepted, how many
/// refused, and how many of the latter are valid by the file.
fn run(file: &str, set: impl Fn(&Value) -> String) -> (usize, usize, usize) {
    let (mut accepted, mut refused, mut exceptions) = (0, 0, 0);
    let algorithms = [Rs256, Rs384, Rs512, Ps256, Ps384, Ps512, Es256, Es384, Es512];
    let verifier = lax().algorithms(algorithms).build().unwrap();
    for group in groups(file) {
        let key = group.get("public").or(group.get("private")).unwrap();
        let keys = JwkSet::from_json(set(key));
        for test in group["tests"].as_array().unwrap() {
            let id = format!("{} {}", test["tcId"], test["comment"]);
            let token = test["jws"].as_str().map_or_else(|| test["jws"].to_string(), str::to_owned);
            let result = keys.clone().and_then(|keys| verifier.authenticate(&token, &keys));
            let one = key["keys"].get(0).unwrap_or(key);
            match (test["result"] == "valid", result) {
                (true, Ok(_)) => accepted += 1,
                (false, Err(_)) => refused += 1,
                (true, Err(error)) => {
                    assert!(is_refused_all_the_same(one, test).is_some(), "{id}: {error}");
                    exceptions += 1;
                }
                (false, Ok(_)) => {
                    assert!(is_accepted_all_the_same(test), "{id} was accepted");
                    accepted += 1;
                }
            }
        }
    }
    (accepted, refused, exceptions)
}

#[test]
fn json_web_signature() {
    let counts = run(SIGNATURES, |key| json!({ "keys": [key] }).to_string());
    let expected = if cfg!(feature = "aws-lc-rs") { (32, 355, 14) } else { (2, 355, 44) };
    assert_eq!(counts, expected);
}

#[test]
fn json_web_key() {
    let counts = run(KEYS, Value::to_string);
    let expected = if cfg!(feature = "aws-lc-rs") { (2, 20, 4) } else { (0, 21, 5) };
    assert_eq!(counts, expected);
}
