//! Public keys: what was read is written, and read again as the same.
#![no_main]

use bulla::jwt::Jwk;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Ok(key) = Jwk::from_json(data) {
        assert_eq!(Jwk::from_json(key.to_json()).ok().as_ref(), Some(&key));
        let spki = key.to_spki().expect("a key that was read is written");
        let again = Jwk::from_spki(&spki).expect("and read");
        assert_eq!(again.thumbprint(), key.thumbprint());
    }
    let _ = Jwk::from_spki(data);
    if let Ok(text) = std::str::from_utf8(data) {
        let _ = Jwk::from_pem(text);
    }
});
