//! Sets of public keys: what was read is written, and each key found by its id.
#![no_main]

use bulla::jwt::{JwkSet, MAX_SET_KEYS};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(set) = JwkSet::from_json(data) else { return };
    assert!(set.len() + set.skipped() <= MAX_SET_KEYS);
    let again = JwkSet::from_json(set.to_json()).expect("what was written can be read");
    assert_eq!((again.len(), again.skipped()), (set.len(), 0));
    for (key, same) in set.iter().zip(again.iter()) {
        assert_eq!(key, same);
        if let Some(kid) = key.kid() {
            assert_eq!(set.find(kid), Some(key));
        }
    }
});
