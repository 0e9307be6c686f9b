//! The examples of RFC 7515, 7520, 7638 and 8037.

use serde::Deserialize;

use super::*;
use crate::crypto::SigningAlgorithm::*;

#[derive(Deserialize)]
struct Document {
    tokens: Vec<Token>,
    thumbprints: Vec<Thumbprint>,
}

#[derive(Deserialize)]
struct Token {
    source: String,
    key: Value,
    token: String,
    valid: bool,
}

#[derive(Deserialize)]
struct Thumbprint {
    source: String,
    key: Value,
    thumbprint: String,
}

fn document() -> Document {
    serde_json::from_str(include_str!("../../../tests/vectors/jose/rfc.json")).unwrap()
}

#[test]
fn tokens_of_the_rfcs() {
    let verifier = lax().algorithms([Rs256, Ps384, Es256, Es512, Ed25519]).build().unwrap();
    let (mut good, mut bad) = (0, 0);
    for Token { source, key, token, valid } in document().tokens {
        // The RFCs' keys without a `kid` go with tokens without one.
        let set = json!({ "keys": [key] }).to_string();
        let keys = JwkSet::from_json(&set).unwrap();
        let result = verifier.authenticate(&token, &keys);
        if valid && is_supported(&key) {
            let payload = result.unwrap_or_else(|error| panic!("{source}: {error}"));
            assert!(!payload.is_empty());
            good += 1;
        } else if valid {
            assert_eq!(result.unwrap_err().kind(), ErrorKind::Unsupported, "{source}");
        } else {
            assert_eq!(reason(result), InvalidToken::Algorithm, "{source}");
            assert!(keys.is_empty() || token.ends_with('.'), "{source}: a symmetric key");
            bad += 1;
        }
    }
    assert_eq!((good, bad), if cfg!(feature = "aws-lc-rs") { (7, 3) } else { (4, 3) });
}

fn is_supported(key: &Value) -> bool {
    cfg!(feature = "aws-lc-rs") || key["kty"] != "RSA"
}

/// RFC 7515, A.3, claims and all, as of 2011.
#[test]
fn an_old_token_in_its_time() {
    let token = document().tokens.into_iter().find(|t| t.source.contains("A.3")).unwrap();
    let keys = JwkSet::new([Jwk::from_json(token.key.to_string()).unwrap()]).unwrap();
    let at = |seconds| {
        let clock = move || UNIX_EPOCH + Duration::from_secs(seconds);
        let verifier = Verifier::builder().issuer("joe").any_audience().any_typ().clock(clock);
        verifier.build().unwrap().verify_with::<Value>(&token.token, &keys)
    };
    let verified = at(1_300_819_379).unwrap();
    assert_eq!(verified.claims()["http://example.com/is_root"], true);
    assert_eq!(verified.header().algorithm(), Es256);
    assert_eq!(reason(at(1_300_819_390)), InvalidToken::Expired);
}

#[test]
fn thumbprints_of_the_rfcs() {
    for Thumbprint { source, key, thumbprint } in document().thumbprints {
        assert_eq!(Jwk::from_json(key.to_string()).unwrap().thumbprint(), thumbprint, "{source}");
    }
}
