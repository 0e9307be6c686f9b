//! Keys and sets of keys.

use super::*;
use crate::crypto::SigningAlgorithm;

const EC: &str = r#"{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}"#;

fn all_kinds() -> Vec<Value> {
    let file: Value =
        serde_json::from_str(include_str!("../../../tests/vectors/jose/rfc.json")).unwrap();
    let tokens = file["tokens"].as_array().unwrap();
    let keys: Vec<Value> = tokens.iter().map(|token| token["key"].clone()).collect();
    keys.into_iter().filter(|key| key["kty"] != "oct").collect()
}

#[track_caller]
fn refused(jwk: impl AsRef<[u8]>) -> ErrorKind {
    Jwk::from_json(jwk).unwrap_err().kind()
}

/// A JWK with one member changed, or taken out by `null`.
fn changed(jwk: &Value, name: &str, value: Value) -> String {
    let mut jwk = jwk.clone();
    match value {
        Value::Null => jwk.as_object_mut().unwrap().remove(name),
        value => jwk.as_object_mut().unwrap().insert(name.to_owned(), value),
    };
    jwk.to_string()
}

#[test]
fn every_form_leads_to_the_same_key() {
    let kinds = all_kinds();
    assert_eq!(kinds.len(), 8);
    for key in kinds {
        let jwk = Jwk::from_json(key.to_string()).unwrap();
        let thumbprint = jwk.thumbprint();
        let mut forms = vec![
            Jwk::from_json(jwk.to_json()).unwrap(),
            Jwk::from_pem(&jwk.to_pem().unwrap()).unwrap(),
            Jwk::from_pem(&jwk.to_pem().unwrap().replace('\n', "\r\n")).unwrap(),
            Jwk::from_spki(&jwk.to_spki().unwrap()).unwrap(),
        ];
        if key["kty"] == "RSA" {
            forms.push(Jwk::from_pem(&jwk.to_pkcs1_pem().unwrap()).unwrap());
            assert_eq!(jwk.algorithm(), None);
        } else {
            assert_eq!(jwk.to_pkcs1_pem().unwrap_err().kind(), ErrorKind::Unsupported);
            assert!(jwk.algorithm().is_some());
        }
        for form in forms {
            assert_eq!(form.thumbprint(), thumbprint);
        }
        assert_eq!(Jwk::from_json(jwk.to_json()).unwrap().kid(), jwk.kid());
    }
}

#[test]
fn private_and_symmetric_keys_are_refused() {
    let key: Value = serde_json::from_str(EC).unwrap();
    for private in ["d", "p", "q", "dp", "dq", "qi", "oth", "k"] {
        let jwk = changed(&key, private, json!("AQAB"));
        assert_eq!(refused(&jwk), ErrorKind::InvalidInput, "{private}");
        let set = JwkSet::from_json(format!(r#"{{"keys":[{jwk}]}}"#)).unwrap();
        assert_eq!((set.len(), set.skipped()), (0, 1));
    }
    assert_eq!(refused(r#"{"kty":"oct","k":"AAAA"}"#), ErrorKind::InvalidInput);
    assert_eq!(refused(r#"{"kty":"oct"}"#), ErrorKind::InvalidInput);
    let pem = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
    assert_eq!(Jwk::from_pem(pem).unwrap_err().kind(), ErrorKind::InvalidInput);
}

#[test]
fn malformed_keys_are_refused() {
    let key: Value = serde_json::from_str(EC).unwrap();
    for (name, value, kind) in [
        ("kty", json!(null), ErrorKind::InvalidInput),
        ("kty", json!("RSA"), ErrorKind::InvalidInput),
        ("kty", json!("AKP"), ErrorKind::Unsupported),
        ("kty", json!(1), ErrorKind::InvalidInput),
        ("crv", json!("P-384"), ErrorKind::InvalidInput),
        ("crv", json!("secp256k1"), ErrorKind::Unsupported),
        ("crv", json!(null), ErrorKind::Unsupported),
        ("x", json!(null), ErrorKind::InvalidInput),
        ("x", json!("AAAA"), ErrorKind::InvalidInput),
        ("y", json!("x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a1"), ErrorKind::InvalidInput),
        ("y", json!("x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0="), ErrorKind::InvalidInput),
        ("alg", json!("ES384"), ErrorKind::InvalidInput),
        ("alg", json!("RS256"), ErrorKind::InvalidInput),
        ("alg", json!("HS256"), ErrorKind::Unsupported),
        ("alg", json!("ECDH-ES"), ErrorKind::Unsupported),
        ("use", json!(1), ErrorKind::InvalidInput),
        ("kid", json!(1), ErrorKind::InvalidInput),
        ("key_ops", json!(["verify", "verify"]), ErrorKind::InvalidInput),
        ("key_ops", json!("verify"), ErrorKind::InvalidInput),
    ] {
        assert_eq!(refused(changed(&key, name, value.clone())), kind, "{name} {value}");
    }
    for bad in ["", "[]", "null", "{\"kty\":\"EC\",\"kty\":\"EC\"}", &format!("{EC}{EC}")] {
        assert_eq!(refused(bad), ErrorKind::InvalidInput, "{bad}");
    }
    let padded = format!("{}{EC}", " ".repeat(70_000));
    assert_eq!(refused(padded), ErrorKind::InvalidInput);
}

#[test]
fn weak_rsa_keys_are_refused() {
    let key = all_kinds().into_iter().find(|key| key["kty"] == "RSA").unwrap();
    let n = compact::decode(key["n"].as_str().unwrap()).unwrap();
    let mut even = n.clone();
    *even.last_mut().unwrap() &= 0xfe;
    let mut short = n.clone();
    short[0] = 0x7f; // 2,047 bits
    for (n, kind) in [
        (even, ErrorKind::InvalidInput),
        (short, ErrorKind::Unsupported),
        (n[128..].to_vec(), ErrorKind::Unsupported),
        ([&[0], &n[..]].concat(), ErrorKind::InvalidInput),
        (vec![0xff; 1025], ErrorKind::Unsupported),
        (Vec::new(), ErrorKind::InvalidInput),
    ] {
        let len = n.len();
        assert_eq!(refused(changed(&key, "n", json!(compact::encode(n)))), kind, "{len}");
    }
    for e in [&[1][..], &[3], &[17], &[0, 3], &[1, 0, 0], &[0, 1, 0, 1], &[1, 0, 0, 0, 1], &[]] {
        let jwk = changed(&key, "e", json!(compact::encode(e)));
        assert_eq!(refused(jwk), ErrorKind::Unsupported, "{e:?}");
    }
    Jwk::from_json(changed(&key, "e", json!(compact::encode([1, 0, 0, 1])))).unwrap();
}

#[test]
fn ed25519_points_of_small_order_are_refused() {
    let jwk = |x: &[u8]| json!({ "kty": "OKP", "crv": "Ed25519", "x": compact::encode(x) });
    for first in [0, 1] {
        let mut point = [0; 32];
        point[0] = first;
        assert_eq!(refused(jwk(&point).to_string()), ErrorKind::InvalidInput);
        point[31] = 0x80;
        assert_eq!(refused(jwk(&point).to_string()), ErrorKind::InvalidInput);
    }
    assert_eq!(refused(jwk(&[9; 31]).to_string()), ErrorKind::InvalidInput);
    let other = json!({ "kty": "OKP", "crv": "X25519", "x": compact::encode([9; 32]) });
    assert_eq!(refused(other.to_string()), ErrorKind::Unsupported);
}

#[test]
fn sets_skip_what_is_unknown_and_refuse_what_is_ambiguous() {
    let named = |kid: &str| changed(&serde_json::from_str(EC).unwrap(), "kid", json!(kid));
    let set = |keys: &[&str]| JwkSet::from_json(format!(r#"{{"keys":[{}]}}"#, keys.join(",")));
    let (a, b) = (named("a"), named("b"));
    let unknown = r#"{"kty":"AKP","alg":"ML-DSA-44","pub":"AA"}"#;
    let read = set(&[&a, unknown, r#"{"kty":"EC"}"#, "{}", "1", &b]).unwrap();
    assert_eq!((read.len(), read.skipped(), read.is_empty()), (2, 4, false));
    assert!(read.find("a").is_some() && read.find("b").is_some() && read.find("c").is_none());
    assert_eq!(set(&[&a, &b, &a]).unwrap_err().kind(), ErrorKind::InvalidInput);
    assert_eq!(set(&[EC, EC]).unwrap().len(), 2); // without a kid
    assert!(set(&[]).unwrap().is_empty());
    for bad in ["", "{}", "[]", r#"{"keys":{}}"#, r#"{"keys":1}"#, r#"{"keys":[],"keys":[]}"#] {
        assert_eq!(JwkSet::from_json(bad).unwrap_err().kind(), ErrorKind::InvalidInput, "{bad}");
    }
    let long = format!(r#"{{"keys":[]{}}}"#, " ".repeat(MAX_SET_LEN));
    assert_eq!(JwkSet::from_json(long).unwrap_err().kind(), ErrorKind::InvalidInput);
    let many = vec!["1"; MAX_SET_KEYS + 1];
    assert_eq!(set(&many).unwrap_err().kind(), ErrorKind::InvalidInput);
}

#[test]
fn a_thousand_keys_of_any_kind_fit() {
    for key in all_kinds() {
        let keys: Vec<_> = (0..1000).map(|n| changed(&key, "kid", json!(n.to_string()))).collect();
        let set = JwkSet::from_json(format!(r#"{{"keys":[{}]}}"#, keys.join(","))).unwrap();
        assert_eq!(set.len(), 1000);
        assert!(set.find("999").is_some());
    }
}

#[test]
fn what_a_key_is_for_survives() {
    let key: Value = serde_json::from_str(EC).unwrap();
    for (name, value) in [("use", json!("enc")), ("key_ops", json!(["sign", "verify"]))] {
        let jwk = Jwk::from_json(changed(&key, name, value.clone())).unwrap();
        let written: Value = serde_json::from_str(&jwk.to_json()).unwrap();
        assert_eq!(written[name], value);
        assert_eq!(jwk.is_for_verifying(), name != "use");
        assert_eq!(Jwk::from_json(jwk.to_json()).unwrap(), jwk);
    }
    let jwk = Jwk::from_json(EC).unwrap().with_kid("a");
    assert_ne!(jwk, Jwk::from_json(EC).unwrap());
    let error = jwk.with_algorithm(SigningAlgorithm::Es384).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
}
