//! Key URIs: what is accepted has one canonical form.
#![no_main]

use bulla::KeyUri;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    match text.parse::<KeyUri>() {
        Ok(uri) => {
            let canonical = uri.to_string();
            assert!(canonical.bytes().all(|b| b.is_ascii_graphic()), "{canonical:?}");
            let again = canonical.parse::<KeyUri>().expect("the canonical form parses");
            assert_eq!(again, uri);
            assert_eq!(again.to_string(), canonical);
        }
        Err(error) => {
            let said = error.to_string();
            assert!(said.len() < 1000 && !said.contains(|c: char| c.is_control()), "{said:?}");
        }
    }
});
