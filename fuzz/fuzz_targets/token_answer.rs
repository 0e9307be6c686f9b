//! What a token endpoint answers. The first byte says with which status.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Some((status, body)) = data.split_first() {
        let status = [200, 400, 401, 429, 503][usize::from(*status) % 5];
        bulla_oidc::client::fuzzing::answer(status, body);
    }
});
