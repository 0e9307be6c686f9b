//! Tokens: what verifies is what was signed, to the character.
#![no_main]

use bulla_fuzz::token::{sign, verify, verify_changed};
use libfuzzer_sys::fuzz_target;
use serde_json::json;

fuzz_target!(|data: &[u8]| {
    let at =
        data.iter().fold(data.len(), |sum, byte| sum.wrapping_mul(31) + usize::from(*byte) % 31);
    if let Ok(token) = std::str::from_utf8(data) {
        let _ = bulla::jwt::decode_unverified(token);
        if verify(token).is_some() {
            assert!(verify_changed(token, at).is_none(), "{at} can be changed unnoticed");
        }
    }
    let text = String::from_utf8_lossy(data.get(..4096).unwrap_or(data));
    let claims = json!({ "text": text, "n": data.len() });
    let token = sign(&claims);
    if token.len() <= bulla::jwt::DEFAULT_MAX_LEN {
        assert_eq!(verify(&token), Some(claims));
    }
    assert!(verify_changed(&token, at).is_none(), "{at} can be changed unnoticed");
});
