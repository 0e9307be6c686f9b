//! The text form: one spelling for each message.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let text = bulla::format::to_text(data);
    assert_eq!(bulla::format::from_text(&text).ok().as_deref(), Some(data));
    if let Ok(text) = std::str::from_utf8(data)
        && let Ok(bytes) = bulla::format::from_text(text)
    {
        assert_eq!(bulla::format::to_text(&bytes), text);
    }
});
