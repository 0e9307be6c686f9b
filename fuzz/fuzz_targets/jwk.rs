//! Public keys: what was read is written, and read again as the same.
#![no_main]

use bulla::jwt::Jwk;
use bulla_fuzz::token::same_key;
use libfuzzer_sys::fuzz_target;

/// What is added in writing, `alg` and `use`, must not make a key longer than may be read.
const MAX_LEN: usize = 60_000;

fuzz_target!(|data: &[u8]| {
    if let Ok(key) = Jwk::from_json(data)
        && data.len() <= MAX_LEN
    {
        let again = Jwk::from_json(key.to_json()).expect("what was written can be read");
        assert!(same_key(&key, &again), "{key:?} became {again:?}");
        assert_eq!(again.to_json(), key.to_json());
        let spki = key.to_spki().expect("a key that was read is written");
        let again = Jwk::from_spki(&spki).expect("and read");
        assert_eq!(again.thumbprint(), key.thumbprint());
    }
    let _ = Jwk::from_spki(data);
    if let Ok(text) = std::str::from_utf8(data) {
        let _ = Jwk::from_pem(text);
    }
});
