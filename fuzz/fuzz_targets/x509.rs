//! Certification requests and certificates of authorities. The first byte says which.
#![no_main]

use bulla_fuzz::{svid, wait};
use bulla_spiffe::{authority::X509Authority, spiffe_id, trust_domain};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some((which, der)) = data.split_first() else { return };
    if which % 2 == 0 {
        let id = spiffe_id("spiffe://example.org/a").expect("an ID");
        if let Ok(issued) = wait(svid::authority().issue(der, &id, None)) {
            // What it asks for besides its key, nobody gets.
            assert!(der.len() <= 16 * 1024 && issued.id() == &id);
        }
        return;
    }
    let domain = trust_domain("example.org").expect("a domain");
    let authority = X509Authority::builder(domain, svid::signer());
    if let Ok(authority) = wait(authority.with_certificates([der.to_vec()])) {
        assert_eq!(authority.roots(), [der]);
    }
});
