//! Contexts: their encoding is canonical, and what a header stores is what comes back.
#![no_main]

use bulla::CryptoProviderExt as _;
use bulla::{format::Preamble, Context, EncryptionContext};
use bulla_fuzz::{vault, wait};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|pairs: (Vec<(String, String)>, Vec<(String, String)>)| {
    let Ok(key) = EncryptionContext::from_pairs(pairs.0.clone()) else { return };
    let Ok(item) = EncryptionContext::from_pairs(pairs.1) else { return };
    let mut reversed = pairs.0;
    reversed.reverse();
    let other = EncryptionContext::from_pairs(reversed).expect("the same pairs");
    assert_eq!((other.encode(), key.encoded_len()), (key.encode(), key.encode().len()));
    let Ok(context) = Context::from_parts(key.clone(), item.clone()) else { return };
    match wait(vault().seal(b"v", &context)) {
        Ok(sealed) => {
            let (head, _) = Preamble::split(&sealed).expect("a head");
            assert_eq!(head.header().stored_context(), &key);
            assert_eq!(wait(vault().open(&sealed, &context)).ok().as_deref(), Some(&b"v"[..]));
            if !item.is_empty() {
                let less = Context::from_parts(key, EncryptionContext::new()).expect("fewer pairs");
                assert!(wait(vault().open(&sealed, &less)).is_err());
            }
        }
        Err(_) => {
            let reserved = |name: &str| name == "bulla" || name.starts_with("bulla.");
            assert!(context.all().iter().any(|(name, _)| reserved(name)), "{context:?}");
        }
    }
});
