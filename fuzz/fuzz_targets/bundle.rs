//! Bundle documents of SPIFFE: what was read is written, and read again.
#![no_main]

use bulla_spiffe::{Bundle, MAX_BUNDLE_KEYS, trust_domain};
use libfuzzer_sys::fuzz_target;

/// What is added in writing, `alg` for example, must not make a document longer than may be read.
const MAX_LEN: usize = 60_000;

fuzz_target!(|data: &[u8]| {
    let domain = trust_domain("example.org").expect("a domain");
    let Ok(bundle) = Bundle::from_json(domain.clone(), data) else { return };
    let keys = bundle.jwt_authorities();
    assert!(keys.len() + bundle.x509_authorities().len() + bundle.skipped() <= MAX_BUNDLE_KEYS);
    for key in keys.iter() {
        let kid = key.kid().expect("each key has a name");
        assert!(!kid.is_empty() && keys.find(kid) == Some(key));
    }
    if data.len() > MAX_LEN {
        return;
    }
    let written = bundle.to_json().expect("what was read can be written");
    let again = Bundle::from_json(domain, &written).expect("what was written can be read");
    assert!(again.same_keys(&bundle) && again.skipped() == 0);
    assert_eq!(
        (again.sequence(), again.refresh_hint()),
        (bundle.sequence(), bundle.refresh_hint())
    );
});
