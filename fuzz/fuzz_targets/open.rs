//! Opening a value: what opens is what was sealed, to the byte; and sealing what was given opens.
#![no_main]

use bulla::{format::{DirectMessage, from_text, to_text}, CryptoProviderExt as _, ErrorKind};
use bulla_fuzz::{context, open, seal, vault, wait};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let _ = wait(vault().decrypt_direct(data, &context()));
    if DirectMessage::parse(data).is_ok() {
        assert!(DirectMessage::begins(data) && data.len() <= DirectMessage::MAX_LEN);
    }
    if let Ok(plaintext) = open(data) {
        // Nobody but the corpus has sealed under this key: this is one of its messages, unchanged.
        let mut other = data.to_vec();
        let at = usize::from(plaintext.first().copied().unwrap_or(0)) % other.len();
        other[at] ^= 1;
        assert!(open(&other).is_err(), "byte {at} can be changed unnoticed");
        assert!(open(&data[..data.len() - 1]).is_err(), "the last byte can be cut off");
        other[at] ^= 1;
        other.push(0);
        assert!(open(&other).is_err(), "a byte can be added");
    }
    let (&[how, at, bit], plaintext) = data.split_first_chunk().unwrap_or((&[0, 0, 0], &[]));
    let mut sealed = seal(plaintext, how & 1 == 1);
    assert_eq!(open(&sealed).ok().as_deref(), Some(plaintext));
    let text = to_text(&sealed);
    assert_eq!(from_text(&text).ok().as_ref(), Some(&sealed));
    let at = (usize::from(at) << 3 | usize::from(how >> 5)) % sealed.len();
    sealed[at] ^= 1 << (bit & 7);
    let error = open(&sealed).expect_err("one bit is changed");
    assert_ne!(error.kind(), ErrorKind::Internal);
});
