//! JWT-SVIDs: what is accepted says what the standard asks for, and was signed.
#![no_main]

use bulla_fuzz::svid::{HEADER, sign, verify};
use bulla_spiffe::spiffe_id;
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

fuzz_target!(|data: &[u8]| {
    if let Ok(token) = std::str::from_utf8(data) {
        let _ = verify(token);
    }
    // Nobody but the key's owner can have any claims accepted; so these are, to be looked at.
    let data = data.get(..4096).unwrap_or(data);
    let token = sign(HEADER.as_bytes(), data);
    let Some(svid) = verify(&token) else { return };
    let claims: Value = serde_json::from_slice(data).expect("what is accepted is JSON");
    let subject = claims["sub"].as_str().expect("it has a subject");
    assert_eq!(spiffe_id(subject).expect("which is an ID"), *svid.id());
    assert_eq!(svid.id().trust_domain_name(), "example.org");
    assert!(svid.audiences().iter().any(|audience| audience == "a"));
    assert!(claims["exp"].is_number());
    let (signed, _) = token.rsplit_once('.').expect("it has a signature");
    assert!(verify(&format!("{signed}.{}", "A".repeat(86))).is_none());
});
