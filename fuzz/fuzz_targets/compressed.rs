//! What is called compressed comes out within the bounds, or not at all; what was compressed comes back, and what
//! was cut does not.
#![no_main]

use bulla::ErrorKind;
use bulla_fuzz::pipeline::{MAX_LEN, compress, decompress, frame, seal_as_compressed};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    match decompress(&seal_as_compressed(data)) {
        Ok(plaintext) => {
            assert!(plaintext.len() as u64 <= MAX_LEN, "{}", plaintext.len());
            if let Ok(again) = compress(&plaintext) {
                assert_eq!(decompress(&again).ok(), Some(plaintext));
            }
        }
        Err(error) => {
            let kind = error.kind();
            assert!(matches!(kind, ErrorKind::Damaged | ErrorKind::QuotaExceeded), "{error:?}");
        }
    }
    let at = data.first().copied().map_or(0, usize::from);
    let plaintext = data.repeat(at % 16 + 1);
    let Ok(sealed) = compress(&plaintext) else { return };
    assert_eq!(decompress(&sealed).ok().as_ref(), Some(&plaintext));
    let mut frame = frame(&sealed);
    let cut = seal_as_compressed(&frame[..frame.len() - 1 - at % frame.len()]);
    assert!(decompress(&cut).is_err(), "a frame that was cut is whole");
    frame.push(0);
    assert!(decompress(&seal_as_compressed(&frame)).is_err(), "something may stand behind a frame");
});
