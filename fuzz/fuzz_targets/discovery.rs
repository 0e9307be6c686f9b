//! The metadata of an issuer.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    bulla_oidc::fuzzing::metadata("https://id.example/a", data);
    bulla_oidc::fuzzing::metadata("http://localhost:1", data);
});
