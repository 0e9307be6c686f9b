//! Sets of public keys: what was read is written, and each key found by its id.
#![no_main]

use bulla::jwt::{JwkSet, MAX_SET_KEYS};
use bulla_fuzz::token::same_key;
use libfuzzer_sys::fuzz_target;

/// What is added in writing, `alg` and `use`, must not make a key longer than may be read.
const MAX_LEN: usize = 60_000;

fuzz_target!(|data: &[u8]| {
    let Ok(set) = JwkSet::from_json(data) else { return };
    assert!(set.len() + set.skipped() <= MAX_SET_KEYS);
    for key in set.iter() {
        assert!(key.kid().is_none_or(|kid| set.find(kid) == Some(key)));
    }
    if data.len() > MAX_LEN {
        return;
    }
    let again = JwkSet::from_json(set.to_json()).expect("what was written can be read");
    assert_eq!((again.len(), again.skipped()), (set.len(), 0));
    assert!(set.iter().zip(again.iter()).all(|(key, again)| same_key(key, again)));
});
