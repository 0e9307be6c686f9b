//! What a verifier accepts and refuses, rule by rule.

use proptest::prelude::*;

use super::*;

/// The claims with some changed; `null` takes one out.
fn with(changes: Value) -> Value {
    let mut claims = claims();
    for (name, value) in changes.as_object().unwrap() {
        match value {
            Value::Null => claims.as_object_mut().unwrap().remove(name),
            value => claims.as_object_mut().unwrap().insert(name.clone(), value.clone()),
        };
    }
    claims
}

#[track_caller]
fn refused(changes: Value, because: InvalidToken) {
    let fake = Fake::new(1);
    let claims = with(changes);
    let result = verify(strict(), &fake, &token_of(&fake, &claims));
    assert_eq!(reason(result), because, "{claims}");
}

#[track_caller]
fn accepted(verifier: VerifierBuilder, changes: Value) {
    let fake = Fake::new(1);
    let claims = with(changes);
    assert_eq!(verify(verifier, &fake, &token_of(&fake, &claims)).unwrap(), claims);
}

#[test]
fn what_is_expected_comes_through() {
    accepted(strict(), json!({}));
    let fake = Fake::new(1);
    let verifier = strict().build().unwrap();
    let token = token_of(&fake, &claims());
    let verified: Verified<Claims> = verifier.verify_with(&token, &set_of(&fake)).unwrap();
    assert_eq!(verified.header().kid(), Some(fake.kid().as_str()));
    assert_eq!(verified.header().typ(), Some("JWT"));
    assert_eq!(verified.header().as_json(), good_header(&fake));
    assert!(!format!("{verified:?}").contains("admin"));
    let claims = verified.into_claims();
    assert_eq!((claims.subject(), claims.audiences()), (Some("ada"), &["orders".to_owned()][..]));
    assert_eq!(claims.expires_at(), Some(now() + Duration::from_secs(3600)));
    assert_eq!(claims.member("role"), Some(&json!("admin")));
}

#[test]
fn exp_is_required_unless_waived() {
    let missing = InvalidToken::MissingClaim(RegisteredClaim::Exp);
    refused(json!({ "exp": null }), missing);
    accepted(strict().allow_missing_exp(), json!({ "exp": null }));
    // Waived is only its absence.
    let fake = Fake::new(1);
    let token = token_of(&fake, &with(json!({ "exp": NOW - 60 })));
    assert_eq!(reason(verify(strict().allow_missing_exp(), &fake, &token)), InvalidToken::Expired);
}

/// Ten seconds of leeway by default: the last second of a token's life is the one before.
#[test]
fn dates_at_their_edges() {
    accepted(strict(), json!({ "exp": NOW - 9 }));
    refused(json!({ "exp": NOW - 10 }), InvalidToken::Expired);
    accepted(strict(), json!({ "nbf": NOW + 10 }));
    refused(json!({ "nbf": NOW + 11 }), InvalidToken::NotYetValid);
    accepted(strict(), json!({ "iat": NOW + 10 }));
    refused(json!({ "iat": NOW + 11 }), InvalidToken::IssuedInFuture);
    #[allow(clippy::cast_precision_loss, reason = "well below 2^53")]
    let now = NOW as f64;
    accepted(strict(), json!({ "exp": now - 9.5, "iat": now + 9.5 }));
    refused(json!({ "nbf": now + 10.5 }), InvalidToken::NotYetValid);
    let none = || strict().leeway(Duration::ZERO);
    accepted(none(), json!({ "exp": NOW + 1, "iat": NOW, "nbf": NOW }));
    let fake = Fake::new(1);
    let token = token_of(&fake, &with(json!({ "exp": NOW })));
    assert_eq!(reason(verify(none(), &fake, &token)), InvalidToken::Expired);
}

#[test]
fn dates_are_numbers_in_range() {
    for (name, claim) in [
        ("exp", RegisteredClaim::Exp),
        ("nbf", RegisteredClaim::Nbf),
        ("iat", RegisteredClaim::Iat),
    ] {
        for bad in [
            json!("1800000000"),
            json!(-1),
            json!(-0.5),
            json!(253_402_300_800_u64),
            json!(NOW * 1000), // milliseconds
            json!(u64::MAX),
            json!(1e300),
            json!(true),
            json!([NOW]),
            json!({}),
        ] {
            refused(json!({ name: bad }), InvalidToken::ClaimValue(claim));
        }
        let fake = Fake::new(1);
        let text = claims().to_string().replacen('{', &format!(r#"{{"{name}":null,"#), 1);
        let text = text
            .replace(&format!(",\"{name}\":{NOW}"), "")
            .replace(&format!(",\"{name}\":{}", NOW + 3600), "");
        let token = forge(&fake, &good_header(&fake), &text);
        assert!(verify(strict(), &fake, &token).is_err(), "{text}");
    }
}

#[test]
fn issuer_and_audience_are_compared_byte_by_byte() {
    refused(json!({ "iss": null }), InvalidToken::MissingClaim(RegisteredClaim::Iss));
    for other in ["https://id.example/", "HTTPS://id.example", "", "https://id.exampl"] {
        refused(json!({ "iss": other }), InvalidToken::Issuer);
    }
    refused(
        json!({ "iss": ["https://id.example"] }),
        InvalidToken::ClaimValue(RegisteredClaim::Iss),
    );
    refused(json!({ "aud": null }), InvalidToken::MissingClaim(RegisteredClaim::Aud));
    for other in [json!("Orders"), json!("order"), json!([]), json!(["a", "orders2"])] {
        refused(json!({ "aud": other }), InvalidToken::Audience);
    }
    for bad in [json!(1), json!({ "orders": 1 }), json!(["orders", 1]), json!([["orders"]])] {
        refused(json!({ "aud": bad }), InvalidToken::ClaimValue(RegisteredClaim::Aud));
    }
    accepted(strict(), json!({ "aud": ["a", "orders", "b"] }));
    accepted(strict().audience("billing"), json!({ "aud": "billing" }));
    accepted(strict().any_audience(), json!({ "aud": "elsewhere" }));
    accepted(strict().any_issuer(), json!({ "iss": null }));
    refused(json!({ "sub": 1 }), InvalidToken::ClaimValue(RegisteredClaim::Sub));
}

#[test]
fn type_is_required_unless_waived() {
    let fake = Fake::new(1);
    let token = |typ: Value| {
        let mut header = json!({ "alg": "Ed25519", "kid": fake.kid() });
        if !typ.is_null() {
            header["typ"] = typ;
        }
        forge(&fake, &header.to_string(), &claims().to_string())
    };
    for good in ["JWT", "jwt", "application/jwt"] {
        verify(strict(), &fake, &token(json!(good))).unwrap();
    }
    for bad in [json!(null), json!("at+jwt"), json!("")] {
        let token = token(bad);
        assert_eq!(reason(verify(strict(), &fake, &token)), InvalidToken::Type);
        verify(strict().any_typ(), &fake, &token).unwrap();
    }
    assert_eq!(reason(verify(strict(), &fake, &token(json!(1)))), InvalidToken::Json);
}

#[test]
fn kid_selects_the_key() {
    let (one, two) = (Fake::new(1), Fake::new(2));
    let set = JwkSet::new([one.jwk(), two.jwk()]).unwrap();
    let check = |verifier: VerifierBuilder, header: Value| {
        let token = forge(&two, &header.to_string(), &claims().to_string());
        verifier.build().unwrap().verify_with::<Value>(&token, &set)
    };
    let header = |kid: &str| json!({ "alg": "Ed25519", "typ": "JWT", "kid": kid });
    check(strict(), header(&two.kid())).unwrap();
    assert_eq!(reason(check(strict(), header(&one.kid()))), InvalidToken::Signature);
    assert_eq!(reason(check(strict(), header("other"))), InvalidToken::UnknownKey);
    let none = json!({ "alg": "Ed25519", "typ": "JWT" });
    assert_eq!(reason(check(strict(), none.clone())), InvalidToken::NoKeyId);
    check(strict().allow_missing_kid(), none.clone()).unwrap();
    // With but one key there is no choice.
    let token = forge(&two, &none.to_string(), &claims().to_string());
    verify(strict(), &two, &token).unwrap();
    assert_eq!(reason(verify(strict(), &one, &token)), InvalidToken::Signature);
    let many = JwkSet::new((10..27).map(|salt| Fake::new(salt).jwk())).unwrap();
    let verifier = strict().allow_missing_kid().build().unwrap();
    assert_eq!(reason(verifier.verify_with::<Value>(&token, &many)), InvalidToken::NoKeyId);
    let empty = verifier.verify_with::<Value>(&token, &JwkSet::default());
    assert_eq!(reason(empty), InvalidToken::UnknownKey);
}

#[test]
fn a_key_for_something_else_verifies_nothing() {
    let fake = Fake::new(1);
    let token = token_of(&fake, &claims());
    let mut jwk: Value = serde_json::from_str(&fake.jwk().to_json()).unwrap();
    for (name, value) in [("use", json!("enc")), ("key_ops", json!(["encrypt"]))] {
        jwk.as_object_mut().unwrap().remove("use");
        jwk[name] = value;
        let set = JwkSet::from_json(json!({ "keys": [jwk] }).to_string()).unwrap();
        let result = strict().build().unwrap().verify_with::<Value>(&token, &set);
        assert_eq!(reason(result), InvalidToken::KeyUse);
        jwk.as_object_mut().unwrap().remove(name);
    }
    jwk["key_ops"] = json!(["sign", "verify"]);
    let set = JwkSet::from_json(json!({ "keys": [jwk] }).to_string()).unwrap();
    strict().build().unwrap().verify_with::<Value>(&token, &set).unwrap();
}

#[test]
fn builders_want_to_be_told() {
    let builder = Verifier::builder;
    for incomplete in [
        builder(),
        builder().issuer("a").audience("b"),
        builder().issuer("a").typ("c"),
        builder().audience("b").typ("c"),
        strict().issuer(""),
        strict().audience(""),
        strict().typ(""),
        strict().leeway(Duration::from_secs(61)),
        strict().max_len(2 << 20),
        strict().algorithms([]),
    ] {
        assert_eq!(incomplete.build().unwrap_err().kind(), ErrorKind::InvalidInput);
    }
}

#[test]
fn claims_that_are_of_another_type() {
    #[derive(Debug, serde::Deserialize)]
    #[allow(dead_code, reason = "never made")]
    struct Other {
        tenant: u8,
    }
    let fake = Fake::new(1);
    let token = token_of(&fake, &claims());
    let result = strict().build().unwrap().verify_with::<Other>(&token, &set_of(&fake));
    assert_eq!(reason(result), InvalidToken::Claims);
}

#[test]
fn inspection_tells_what_a_token_says_and_no_more() {
    let token = forge(&Fake::new(1), r#"{"alg":"none"}"#, r#"{"sub":"eve"}"#);
    let seen = decode_unverified(&token).unwrap();
    assert_eq!((&seen.header()["alg"], &seen.claims()["sub"]), (&json!("none"), &json!("eve")));
    assert!(!format!("{seen:?}").contains("eve"));
    for bad in ["a.b", "e30.e30.=", "e30.W10.AA", "eyJhIjoxLCJhIjoyfQ.e30.AA"] {
        assert_eq!(decode_unverified(bad).unwrap_err().kind(), ErrorKind::InvalidToken, "{bad}");
    }
}

proptest! {
    #[test]
    fn any_change_of_a_byte_is_refused(at in any::<prop::sample::Index>(), to in 0_u8..128) {
        let fake = Fake::new(1);
        let token = token_of(&fake, &claims());
        let mut changed = token.clone().into_bytes();
        let at = at.index(changed.len());
        prop_assume!(changed[at] != to);
        changed[at] = to;
        let changed = String::from_utf8(changed).unwrap();
        prop_assert!(verify(strict(), &fake, &changed).is_err());
        prop_assert!(verify(lax(), &fake, &changed).is_err());
    }

    #[test]
    fn any_cut_or_growth_is_refused(cut in any::<prop::sample::Index>(), more in "[A-Za-z0-9_.=-]{1,8}") {
        let fake = Fake::new(1);
        let token = token_of(&fake, &claims());
        let at = cut.index(token.len());
        let (before, after) = token.split_at(at);
        let changed = [before.to_owned(), format!("{token}{more}"), format!("{before}{more}{after}")];
        for changed in changed {
            prop_assert!(verify(lax(), &fake, &changed).is_err());
        }
    }

    #[test]
    fn no_input_panics(token in "\\PC{0,200}", parts in "[A-Za-z0-9_-]{0,60}\\.[A-Za-z0-9_-]{0,60}\\.[A-Za-z0-9_-]{0,90}") {
        let fake = Fake::new(1);
        for text in [token, parts] {
            prop_assert!(verify(lax(), &fake, &text).is_err());
            let _ = decode_unverified(&text);
        }
    }

    #[test]
    fn no_header_or_claims_panic(header in any::<Vec<u8>>(), payload in any::<Vec<u8>>()) {
        let fake = Fake::new(1);
        let signed = format!("{}.{}", compact::encode(&header), compact::encode(&payload));
        let token = format!("{signed}.{}", compact::encode(fake.signature(signed.as_bytes())));
        prop_assert!(verify(lax(), &fake, &token).is_err());
        let signed = format!("{}.{}", compact::encode(good_header(&fake)), compact::encode(&payload));
        let token = format!("{signed}.{}", compact::encode(fake.signature(signed.as_bytes())));
        prop_assert_eq!(
            verify(lax(), &fake, &token).is_ok(),
            strict::check(&payload).is_ok()
        );
    }
}
