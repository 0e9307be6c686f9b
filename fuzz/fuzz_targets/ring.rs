//! The document of a ring of signing keys.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| bulla_tokens::ring::fuzzing::document(data));
