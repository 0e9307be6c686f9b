//! The header's parser, at once and in pieces.
#![no_main]

use bulla::format::{Header, Preamble, PreambleReader};
use bulla_fuzz::check_header;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Ok(header) = Header::parse(data) {
        check_header(&header, data);
        assert_eq!(Header::declared_len(data).ok(), Some(data.len()));
    }
    let whole = Preamble::split(data).map(|(head, rest)| (head.len(), rest.len()));
    // The first byte says how long the pieces are.
    let step = usize::from(data.first().copied().unwrap_or(0)) + 1;
    let mut reader = PreambleReader::new();
    let mut taken = 0;
    let mut failed = false;
    for piece in data.chunks(step) {
        match reader.push(piece) {
            Ok(len) => taken += len,
            Err(_) => {
                failed = true;
                break;
            }
        }
        if reader.needed() == 0 {
            break;
        }
    }
    match (whole, failed) {
        (Ok((head, rest)), false) => {
            assert_eq!((taken, data.len() - taken), (head, rest));
            check_header(reader.finish().expect("a head").header(), &data[..head - 56]);
        }
        (Ok(_), true) => panic!("in pieces it failed, and at once it did not"),
        (Err(_), true) => {}
        (Err(_), false) => assert!(reader.finish().is_err()),
    }
});
