//! RFC 8725 (JSON Web Token Best Current Practices), section by section; the table in the module's
//! documentation names these tests.

use super::*;
use crate::crypto::SigningAlgorithm;

/// 3.1: the algorithm is the key's, and the token's must be the same.
#[test]
fn perform_algorithm_verification() {
    let fake = Fake::new(1);
    let check = |header: Value| {
        let token = forge(&fake, &header.to_string(), &claims().to_string());
        verify(strict(), &fake, &token)
    };
    let header = |alg: Value| json!({ "alg": alg, "typ": "JWT", "kid": fake.kid() });
    check(header(json!("Ed25519"))).unwrap();
    check(header(json!("EdDSA"))).unwrap(); // the older name
    for other in [
        "none", "None", "", "HS256", "HS384", "HS512", "ES256", "RS256", "ed25519", "EDDSA",
        "Ed448", "ES256K", "RSA-OAEP", "dir",
    ] {
        assert_eq!(reason(check(header(json!(other)))), InvalidToken::Algorithm, "{other}");
    }
    assert_eq!(reason(check(header(json!(null)))), InvalidToken::Json);
    assert_eq!(reason(check(header(json!(["Ed25519"])))), InvalidToken::Json);
    let none = json!({ "typ": "JWT", "kid": fake.kid() });
    assert_eq!(reason(check(none)), InvalidToken::Algorithm);
    // A caller can accept fewer than the keys have, and not more.
    let token = token_of(&fake, &claims());
    let only = strict().algorithms([SigningAlgorithm::Es256]);
    assert_eq!(reason(verify(only, &fake, &token)), InvalidToken::Algorithm);
}

/// 3.2: no `none`, no signature left out, and no algorithm for symmetric keys at all.
#[test]
fn use_appropriate_algorithms() {
    let fake = Fake::new(1);
    let payload = compact::encode(claims().to_string());
    for header in [r#"{"alg":"none","typ":"JWT"}"#.to_owned(), good_header(&fake)] {
        let token = format!("{}.{payload}.", compact::encode(&header));
        assert_eq!(verify(strict(), &fake, &token).unwrap_err().kind(), ErrorKind::NotAuthentic);
    }
    let secret = r#"{"kty":"oct","k":"-ebuDNsVZ2iJtoZ-akfXTSCt4UO2cruLCsbWlBinggE"}"#;
    assert_eq!(Jwk::from_json(secret).unwrap_err().kind(), ErrorKind::InvalidInput);
}

/// 3.3: every cryptographic operation is validated: one token, one signature, all or nothing.
#[test]
fn validate_all_cryptographic_operations() {
    let (fake, other) = (Fake::new(1), Fake::new(2));
    let signed = token_of(&fake, &claims());
    let (body, _) = signed.rsplit_once('.').unwrap();
    let foreign = token_of(&other, &claims());
    let (_, signature) = foreign.rsplit_once('.').unwrap();
    let swapped = format!("{body}.{signature}");
    assert_eq!(reason(verify(strict(), &fake, &swapped)), InvalidToken::Signature);
}

/// 3.4: inputs of cryptographic operations are validated: points on their curves, sizes of keys and
/// signatures.
#[test]
fn validate_cryptographic_inputs() {
    let fake = Fake::new(1);
    let token = token_of(&fake, &claims());
    let (body, signature) = token.rsplit_once('.').unwrap();
    let signature = compact::decode(signature).unwrap();
    for wrong in [&signature[..63], &[&signature[..], &[0]].concat(), &[0; 64], &[0xff; 64], &[]] {
        let token = format!("{body}.{}", compact::encode(wrong));
        assert_eq!(reason(verify(strict(), &fake, &token)), InvalidToken::Signature);
    }
    // RFC 7515, A.3, with the last bit of y changed.
    let off = r#"{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
        "y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a4"}"#;
    assert_eq!(Jwk::from_json(off).unwrap_err().kind(), ErrorKind::InvalidInput);
}

/// 3.5: keys have enough entropy. Keys of providers are theirs to make; what is read from elsewhere
/// is refused if it is too small. A `jti` has 128 random bits.
#[test]
fn ensure_keys_have_sufficient_entropy() {
    let weak = json!({ "kty": "RSA", "e": "AQAB", "n": compact::encode([0xff; 255]) });
    assert_eq!(Jwk::from_json(weak.to_string()).unwrap_err().kind(), ErrorKind::Unsupported);
    let (one, two) = (Claims::new().unwrap(), Claims::new().unwrap());
    assert_ne!(one.id(), two.id());
    assert_eq!(compact::decode(one.id().unwrap()).unwrap().len(), 16);
}

/// 3.6: what is signed is not compressed: `zip` is no parameter of JWS, and neither written nor
/// followed.
#[test]
fn avoid_compression_of_encryption_inputs() {
    let fake = Arc::new(Fake::new(1));
    let error = Signer::builder(keys(&fake)).member("zip", "DEF").build().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    let header = json!({ "alg": "Ed25519", "typ": "JWT", "kid": fake.kid(), "zip": "DEF" });
    let deflated = [0xab, 0x56, 0x2a, 0x4e, 0x2d, 0x2a, 0x4b, 0x2d, 0x02, 0x00];
    let signed = format!("{}.{}", compact::encode(header.to_string()), compact::encode(deflated));
    let token = format!("{signed}.{}", compact::encode(fake.signature(signed.as_bytes())));
    assert_eq!(reason(verify(lax(), &fake, &token)), InvalidToken::Json);
}

/// 3.7: UTF-8, in JSON that means one thing.
#[test]
fn use_utf8() {
    let fake = Fake::new(1);
    let payload = json!({ "sub": "ad\u{e1}\u{1f511}", "exp": NOW + 1 }).to_string();
    let token = forge(&fake, &good_header(&fake), &payload);
    assert_eq!(verify(lax(), &fake, &token).unwrap()["sub"], "ad\u{e1}\u{1f511}");
    let utf16: Vec<u8> = payload.encode_utf16().flat_map(u16::to_be_bytes).collect();
    let latin1 = b"{\"sub\":\"ad\xe1\"}".to_vec();
    let marked = [b"\xef\xbb\xbf", payload.as_bytes()].concat();
    for bad in [utf16, latin1, marked] {
        let signed = format!("{}.{}", compact::encode(good_header(&fake)), compact::encode(bad));
        let token = format!("{signed}.{}", compact::encode(fake.signature(signed.as_bytes())));
        let because = reason(verify(lax(), &fake, &token));
        let sub = InvalidToken::ClaimValue(RegisteredClaim::Sub);
        assert!([InvalidToken::Json, sub].contains(&because), "{because:?}");
    }
    for twice in [r#"{"sub":"ada","sub":"eve"}"#, r#"{"a":[{"b":1,"b":1}]}"#] {
        let token = forge(&fake, &good_header(&fake), twice);
        assert_eq!(reason(verify(lax(), &fake, &token)), InvalidToken::DuplicateMember);
    }
    let kid = fake.kid();
    let header = format!(r#"{{"alg":"none","kid":"{kid}","typ":"JWT","alg":"Ed25519"}}"#);
    let token = forge(&fake, &header, &claims().to_string());
    assert_eq!(reason(verify(strict(), &fake, &token)), InvalidToken::DuplicateMember);
}

/// 3.8: issuer and subject: the keys of a verifier are those of its issuer.
#[test]
fn validate_issuer_and_subject() {
    let (ours, theirs) = (Fake::new(1), Fake::new(2));
    let token = token_of(&theirs, &claims());
    assert_eq!(reason(verify(strict(), &ours, &token)), InvalidToken::UnknownKey);
    let other = strict().issuer("https://other.example");
    assert_eq!(reason(verify(other, &theirs, &token)), InvalidToken::Issuer);
}

/// 3.9: audience.
#[test]
fn use_and_validate_audience() {
    let fake = Fake::new(1);
    let token = token_of(&fake, &claims());
    let other = Verifier::builder().any_issuer().any_typ().clock(now).audience("billing");
    assert_eq!(reason(verify(other, &fake, &token)), InvalidToken::Audience);
}

/// 3.10: received claims are not trusted: `kid` is looked up and nothing else, and keys or addresses
/// in the header are refused.
#[test]
fn do_not_trust_received_claims() {
    let (fake, eve) = (Fake::new(1), Fake::new(2));
    let own: Value = serde_json::from_str(&eve.jwk().to_json()).unwrap();
    for (name, value) in [
        ("jwk", own),
        ("jku", json!("https://eve.example/keys")),
        ("x5u", json!("https://eve.example/chain")),
        ("x5c", json!(["MIIB"])),
    ] {
        let mut header = json!({ "alg": "Ed25519", "typ": "JWT", "kid": fake.kid() });
        header[name] = value;
        for signer in [&fake, &eve] {
            let token = forge(signer, &header.to_string(), &claims().to_string());
            assert_eq!(reason(verify(strict(), &fake, &token)), InvalidToken::OfferedKey);
        }
    }
    for kid in ["../../etc/passwd", "' OR 1=1", "https://eve.example", "\u{0}", "{}"] {
        let header = json!({ "alg": "Ed25519", "typ": "JWT", "kid": kid });
        let token = forge(&fake, &header.to_string(), &claims().to_string());
        assert_eq!(reason(verify(strict(), &fake, &token)), InvalidToken::UnknownKey);
    }
}

/// 3.11: explicit typing.
#[test]
fn use_explicit_typing() {
    let fake = Fake::new(1);
    let token = token_of(&fake, &claims());
    assert_eq!(reason(verify(strict().typ("at+jwt"), &fake, &token)), InvalidToken::Type);
    verify(strict().typ("application/JWT"), &fake, &token).unwrap();
}

/// 3.12: rules of different kinds of tokens exclude each other: by type, audience or key.
#[test]
fn use_mutually_exclusive_validation_rules() {
    let fake = Fake::new(1);
    let kinds = [("at+jwt", "api"), ("logout+jwt", "client")];
    let verifier = |(typ, audience): (&str, &str)| {
        Verifier::builder().issuer("https://id.example").typ(typ).audience(audience).clock(now)
    };
    for (at, (typ, audience)) in kinds.into_iter().enumerate() {
        let header = json!({ "alg": "Ed25519", "typ": typ, "kid": fake.kid() });
        let mut claims = claims();
        claims["aud"] = json!(audience);
        let token = forge(&fake, &header.to_string(), &claims.to_string());
        for (other, kind) in kinds.into_iter().enumerate() {
            assert_eq!(verify(verifier(kind), &fake, &token).is_ok(), at == other);
        }
    }
}

/// RFC 7515, 4.1.11, and RFC 7797: no extension is understood, so each one that is critical is
/// refused.
#[test]
fn critical_extensions_are_refused() {
    let fake = Fake::new(1);
    for (name, value) in [
        ("crit", json!(["exp"])),
        ("crit", json!([])),
        ("crit", json!(null)),
        ("b64", json!(false)),
    ] {
        let mut header = json!({ "alg": "Ed25519", "typ": "JWT", "kid": fake.kid() });
        header[name] = value;
        let token = forge(&fake, &header.to_string(), &claims().to_string());
        assert_eq!(reason(verify(strict(), &fake, &token)), InvalidToken::Critical);
    }
    let mut header = json!({ "alg": "Ed25519", "typ": "JWT", "kid": fake.kid() });
    header["unknown"] = json!({ "ignored": [1, 2] });
    let token = forge(&fake, &header.to_string(), &claims().to_string());
    verify(strict(), &fake, &token).unwrap();
}

/// RFC 7515, 7.1: the compact form, in its one spelling and nothing around it.
#[test]
fn other_spellings_are_refused() {
    let fake = Fake::new(1);
    let token = token_of(&fake, &claims());
    let parts: Vec<_> = token.split('.').collect();
    let (header, payload, signature) = (parts[0], parts[1], parts[2]);
    let json = json!({ "protected": header, "payload": payload, "signature": signature });
    for (bad, because) in [
        (json.to_string(), InvalidToken::NotCompact),
        (format!(" {token}"), InvalidToken::Encoding),
        (format!("{token}\n"), InvalidToken::Encoding),
        (format!("{token}="), InvalidToken::Encoding),
        (format!("{token}=="), InvalidToken::Encoding),
        (format!("{header}=.{payload}.{signature}"), InvalidToken::Encoding),
        (format!("{header}. {payload}.{signature}"), InvalidToken::Signature),
        (format!("Bearer {token}"), InvalidToken::Encoding),
    ] {
        assert_eq!(reason(verify(strict(), &fake, &bad)), because, "{bad}");
    }
    // 64 bytes leave four bits over in the last character, which must be zero.
    let last = token.chars().last().unwrap();
    const ALPHABET: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let at = ALPHABET.find(last).unwrap();
    let other = ALPHABET.as_bytes()[at ^ 1];
    let bad = format!("{}{}", &token[..token.len() - 1], char::from(other));
    assert_eq!(reason(verify(strict(), &fake, &bad)), InvalidToken::Encoding);
}

/// Sizes are refused before anything is decoded, and nesting before it is deep.
#[test]
fn sizes_are_bounded() {
    let fake = Fake::new(1);
    let mut claims = claims();
    claims["fill"] = json!("x".repeat(11_000));
    verify(strict(), &fake, &token_of(&fake, &claims)).unwrap();
    claims["fill"] = json!("x".repeat(12_500));
    let long = token_of(&fake, &claims);
    assert_eq!(reason(verify(strict(), &fake, &long)), InvalidToken::TooLong);
    verify(strict().max_len(20_000), &fake, &long).unwrap();
    let garbage = "!".repeat(50 << 20);
    assert_eq!(reason(verify(strict(), &fake, &garbage)), InvalidToken::TooLong);
    let deep = format!(r#"{{"a":{}1{}}}"#, "[".repeat(4000), "]".repeat(4000));
    let token = forge(&fake, &good_header(&fake), &deep);
    assert_eq!(reason(verify(lax(), &fake, &token)), InvalidToken::TooDeep);
    let header = format!(r#"{{"alg":"Ed25519","a":{}1{}}}"#, "[".repeat(4000), "]".repeat(4000));
    let token = forge(&fake, &header, "{}");
    assert_eq!(reason(verify(lax(), &fake, &token)), InvalidToken::TooDeep);
}
