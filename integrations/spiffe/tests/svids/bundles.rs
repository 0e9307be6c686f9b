//! Bundle documents: read, written, refused.

use std::time::Duration;

use bulla::{ErrorKind, jwt::JwkSet};
use bulla_spiffe::{Bundle, MAX_BUNDLE_KEYS, MAX_BUNDLE_LEN, trust_domain};
use rustls_pki_types::CertificateDer;
use serde_json::{Value, json};

/// The certificate of go-spiffe's test data (bundle/spiffebundle/testdata, commit e9973f6, Apache-2.0), and its
/// key.
const X5C: &str = "MIIBzDCCAVOgAwIBAgIJAJM4DhRH0vmuMAoGCCqGSM49BAMEMB4xCzAJBgNVBAYTAlVTMQ8wDQYDVQQKDAZTUElGRkUwHhcNMTgwNTEzMTkzMzQ3WhcNMjMwNTEyMTkzMzQ3WjAeMQswCQYDVQQGEwJVUzEPMA0GA1UECgwGU1BJRkZFMHYwEAYHKoZIzj0CAQYFK4EEACIDYgAEWjB+nSGSxIYiznb84xu5WGDZj80nL7W1c3zf48Why0ma7Y7mCBKzfQkrgDguI4j0Z+0/tDH/r8gtOtLLrIpuMwWHoe4vbVBFte1vj6Xt6WeE8lXwcCvLs/mcmvPqVK9jo10wWzAdBgNVHQ4EFgQUh6XzV6LwNazA+GTEVOdu07o5yOgwDwYDVR0TAQH/BAUwAwEB/zAOBgNVHQ8BAf8EBAMCAQYwGQYDVR0RBBIwEIYOc3BpZmZlOi8vbG9jYWwwCgYIKoZIzj0EAwQDZwAwZAIwE4Me13qMC9i6Fkx0h26y09QZIbuRqA9puLg9AeeAAyo5tBzRl1YL0KNEp02VKSYJAjBdeJvqjJ9wW55OGj1JQwDFD7kWeEB6oMlwPbI/5hEY3azJi16I0uN1JSYTSWGSqWc=";

fn x509() -> Value {
    json!({
        "use": "x509-svid",
        "kty": "EC",
        "crv": "P-384",
        "x": "WjB-nSGSxIYiznb84xu5WGDZj80nL7W1c3zf48Why0ma7Y7mCBKzfQkrgDguI4j0",
        "y": "Z-0_tDH_r8gtOtLLrIpuMwWHoe4vbVBFte1vj6Xt6WeE8lXwcCvLs_mcmvPqVK9j",
        "x5c": [X5C],
    })
}

/// A key of the same.
fn jwt() -> Value {
    json!({
        "use": "jwt-svid",
        "kty": "EC",
        "kid": "C6vs25welZOx6WksNYfbMfiw9l96pMnD",
        "crv": "P-256",
        "x": "ngLYQnlfF6GsojUwqtcEE3WgTNG2RUlsGhK73RNEl5k",
        "y": "tKbiDSUSsQ3F1P7wteeHNXIcU-cx6CgSbroeQrQHTLM",
    })
}

fn read(document: &Value) -> bulla::Result<Bundle> {
    Bundle::from_json(trust_domain("domain.test").unwrap(), document.to_string())
}

fn with(change: impl FnOnce(&mut Value)) -> Value {
    let mut document = json!({ "keys": [x509(), jwt()] });
    change(&mut document);
    document
}

#[track_caller]
fn refused(document: &Value, what: &str) {
    let error = read(document).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput, "{document}");
    assert!(error.message().contains(what), "{error}");
}

/// go-spiffe's cases by name; where the standard says something else, that is what is done.
#[test]
fn go_spiffes_cases() {
    let valid_1 = read(&with(|_| {})).unwrap();
    assert_eq!((valid_1.jwt_authorities().len(), valid_1.x509_authorities().len()), (1, 1));
    assert_eq!((valid_1.sequence(), valid_1.refresh_hint()), (None, None));

    let valid_2 = read(&with(|document| {
        document["spiffe_refresh_hint"] = 60.into();
        document["spiffe_sequence"] = 1.into();
    }));
    let valid_2 = valid_2.unwrap();
    assert_eq!(valid_2.sequence(), Some(1));
    assert_eq!(valid_2.refresh_hint(), Some(Duration::from_secs(60)));

    let wit = with(|document| document["keys"][1]["use"] = "wit-svid".into());
    let wit = read(&wit).unwrap();
    assert_eq!((wit.jwt_authorities().len(), wit.skipped()), (0, 1), "not known here");

    refused(
        &with(|document| drop(document["keys"][1].as_object_mut().unwrap().remove("kid"))),
        "kid",
    );
    refused(&json!({ "spiffe_refresh_hint": 60, "spiffe_sequence": 1 }), "keys");
    // go-spiffe refuses several certificates in an entry; X509-SVID, section 6.2, has the first count.
    let multiple = with(|document| document["keys"][0]["x5c"] = json!([X5C, "AAAA"]));
    assert_eq!(read(&multiple).unwrap().x509_authorities().len(), 1);
    assert_eq!(
        Bundle::from_json(trust_domain("a").unwrap(), "").unwrap_err().kind(),
        ErrorKind::InvalidInput
    );
}

#[test]
fn what_is_written_is_read_again() {
    let domain = trust_domain("domain.test").unwrap();
    let first = read(&with(|_| {})).unwrap().with_sequence(u64::MAX);
    for bundle in [
        Bundle::new(domain.clone()),
        first.clone(),
        first.with_refresh_hint(Duration::from_millis(60_999)),
        Bundle::new(domain.clone()).with_sequence(0).with_refresh_hint(Duration::ZERO),
    ] {
        let written = bundle.to_json().unwrap();
        assert_eq!(Bundle::from_json(domain.clone(), &written).unwrap(), bundle, "{written}");
    }
    let document: Value =
        serde_json::from_str(&read(&with(|_| {})).unwrap().to_json().unwrap()).unwrap();
    // No kid and no alg for X.509; alg for JWT as RFC 7517 has it.
    assert_eq!(document["keys"][0], x509());
    let mut expected = jwt();
    expected["alg"] = "ES256".into();
    assert_eq!(document["keys"][1], expected);
}

#[test]
fn what_is_not_known_is_skipped() {
    for key in [
        json!({ "kty": "EC" }),
        json!({ "use": "sig", "kty": "EC", "kid": "a" }),
        json!({ "use": "JWT-SVID", "kty": "EC", "kid": "a" }),
        json!({ "use": "jwt-svid", "kty": "XX", "kid": "a" }),
        json!({ "use": "jwt-svid", "kty": "EC", "crv": "secp256k1", "kid": "a" }),
        // Ed25519 signs no JWT-SVID.
        json!({ "use": "jwt-svid", "kty": "OKP", "crv": "Ed25519", "kid": "a",
                "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo" }),
        json!({ "use": "x509-svid", "kty": "EC" }),
        json!({ "use": "x509-svid", "kty": "EC", "x5c": [] }),
        json!({}),
    ] {
        let bundle =
            read(&with(|document| document["keys"].as_array_mut().unwrap().push(key.clone())));
        let bundle = bundle.unwrap();
        assert_eq!(bundle.skipped(), 1, "{key}");
        assert_eq!((bundle.jwt_authorities().len(), bundle.x509_authorities().len()), (1, 1));
    }
    // Extensions of the document, and of a key.
    let extended = with(|document| {
        document["x"] = json!({ "a": [1, 2] });
        document["keys"][1]["y2"] = "b".into();
    });
    assert_eq!(read(&extended).unwrap().skipped(), 0);
    // The same certificate twice is one.
    let twice = with(|document| document["keys"].as_array_mut().unwrap().push(x509()));
    assert_eq!(read(&twice).unwrap().x509_authorities().len(), 1);
    // And no keys are a bundle of none.
    let none = read(&json!({ "keys": [] })).unwrap();
    assert!(none.jwt_authorities().is_empty() && none.x509_authorities().is_empty());
}

#[test]
fn what_is_wrong_is_refused() {
    for (document, what) in [
        (json!([]), "no JSON object"),
        (json!({ "keys": {} }), "array `keys`"),
        (json!({ "keys": null }), "array `keys`"),
        (json!({ "keys": [7] }), "key number 1"),
        (with(|document| document["spiffe_sequence"] = json!(-1)), "whole number"),
        (with(|document| document["spiffe_sequence"] = json!(1.5)), "whole number"),
        (with(|document| document["spiffe_sequence"] = json!("1")), "whole number"),
        (with(|document| document["spiffe_refresh_hint"] = json!(-60)), "whole number"),
        (with(|document| document["spiffe_refresh_hint"] = json!(1e300)), "whole number"),
        (with(|document| document["keys"][1]["kid"] = "".into()), "kid"),
        (with(|document| document["keys"][1]["x"] = "AAAA".into()), "key number 2"),
        (with(|document| document["keys"][1]["d"] = "AAAA".into()), "private key"),
        (
            with(|document| {
                document["keys"][1] =
                    json!({ "use": "jwt-svid", "kty": "oct", "kid": "a", "k": "AAAA" });
            }),
            "symmetric key",
        ),
        (with(|document| document["keys"].as_array_mut().unwrap().push(jwt())), "same kid"),
        (with(|document| document["keys"][0]["x5c"] = json!(["AAAA"])), "certificate"),
        (with(|document| document["keys"][0]["x5c"] = json!(["MIIB_-"])), "base64"),
        (with(|document| document["keys"][0]["x5c"] = json!("MIIB")), "another type"),
        (
            with(|document| {
                for member in ["crv", "x", "y"] {
                    document["keys"][0][member] = jwt()[member].clone();
                }
            }),
            "another key than",
        ),
    ] {
        refused(&document, what);
    }
    // Members that occur twice, which a value of JSON can't have.
    let domain = || trust_domain("domain.test").unwrap();
    for twice in [
        r#"{"keys":[],"keys":[]}"#,
        r#"{"keys":[],"spiffe_sequence":1,"spiffe_sequence":2}"#,
        r#"{"keys":[{"use":"sig","use":"jwt-svid"}]}"#,
        r#"{"keys":[{"use":"jwt-svid","kid":"a","kid":"b"}]}"#,
        r#"{"keys":[]} {"keys":[]}"#,
    ] {
        assert!(Bundle::from_json(domain(), twice).is_err(), "{twice}");
    }
}

#[test]
fn sizes_are_bounded() {
    let skipped = |count: usize| json!({ "keys": vec![json!({}); count] });
    assert_eq!(read(&skipped(MAX_BUNDLE_KEYS)).unwrap().skipped(), MAX_BUNDLE_KEYS);
    refused(&skipped(MAX_BUNDLE_KEYS + 1), "over 1024 keys");
    let domain = || trust_domain("domain.test").unwrap();
    let padded = |len: usize| format!("{}{}", r#"{"keys":[]}"#, " ".repeat(len - 11));
    Bundle::from_json(domain(), padded(MAX_BUNDLE_LEN)).unwrap();
    assert!(Bundle::from_json(domain(), padded(MAX_BUNDLE_LEN + 1)).is_err());
    // Deep nesting is nobody's stack: it is read past, or refused where something is read.
    let deep = format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000));
    Bundle::from_json(domain(), format!(r#"{{"keys":[],"a":{deep}}}"#)).unwrap();
    let key = format!(r#"{{"keys":[{{"use":"jwt-svid","kid":"a","kty":"EC","a":{deep}}}]}}"#);
    assert!(Bundle::from_json(domain(), key).is_err());
}

#[test]
fn authorities_that_are_given_are_checked_too() {
    let bundle = || Bundle::new(trust_domain("domain.test").unwrap());
    let error = bundle().with_x509_authorities([CertificateDer::from(vec![1, 2, 3])]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    let mut key = jwt();
    key.as_object_mut().unwrap().remove("use");
    let without_kid = {
        let mut key = key.clone();
        key.as_object_mut().unwrap().remove("kid");
        JwkSet::from_json(json!({ "keys": [key] }).to_string()).unwrap()
    };
    assert!(bundle().with_jwt_authorities(&without_kid).is_err());
    let set = JwkSet::from_json(json!({ "keys": [key] }).to_string()).unwrap();
    assert_eq!(bundle().with_jwt_authorities(&set).unwrap().jwt_authorities().len(), 1);
}
