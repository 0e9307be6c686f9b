//! Values: whatever decodes is a value that comes back; errors are of few kinds.
#![no_main]

use std::collections::BTreeMap;

use bulla::{CryptoProviderExt as _, ErrorKind};
use bulla_fuzz::{
    pipeline::{place, place_context, values},
    vault, wait,
};
use ciborium::Value;
use libfuzzer_sys::fuzz_target;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize, PartialEq, Debug)]
struct Card {
    number: String,
    year: Option<u16>,
    tags: BTreeMap<String, Vec<i32>>,
}

fuzz_target!(|data: &[u8]| {
    let any = values::<Value>();
    let _ = wait(any.open(&place(), data));
    if let Ok(text) = std::str::from_utf8(data) {
        let _ = wait(any.open_text(&place(), text));
    }
    // As if somebody had sealed these very bytes as a value.
    let sealed = wait(vault().seal(data, &place_context())).expect("seals");
    match wait(any.open(&place(), &sealed)) {
        Err(error) => {
            let kind = error.kind();
            assert!(matches!(kind, ErrorKind::Damaged | ErrorKind::QuotaExceeded), "{error:?}");
        }
        Ok(value) => {
            // It may be longer when it is written anew, and then be too long.
            if let Ok(again) = wait(any.seal(&place(), &value)) {
                let again = wait(any.open(&place(), &again)).expect("what was sealed opens");
                assert_eq!(bytes(&again), bytes(&value));
            }
        }
    }
    if let Ok(card) = wait(values::<Card>().open(&place(), &sealed)) {
        if let Ok(again) = wait(values::<Card>().seal(&place(), &card)) {
            assert_eq!(wait(values::<Card>().open(&place(), &again)).ok(), Some(card));
        }
    }
});

fn bytes(value: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    ciborium::into_writer(value, &mut out).expect("writes");
    out
}
