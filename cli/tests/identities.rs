//! `examples/spiffe.md`, run word for word: every line behind `$ ` goes to one shell, and what it prints must be what
//! stands below it. Times differ, and are compared by their shape.
//!
//! Runs where `BULLA_SPIFFE_PYTHON` names an interpreter with SPIFFE's client, as the lane `spiffe` sees to.
#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of tests are tests too")]

use std::{fs, path::Path};

use bulla_testworld::{Python, walk};

#[test]
fn the_walkthrough_is_as_recorded() {
    let Some(python) = Python::for_spiffe() else { return };
    let document = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/spiffe.md");
    let document = fs::read_to_string(document).unwrap();
    let bulla = Path::new(env!("CARGO_BIN_EXE_bulla")).parent().unwrap();
    assert!(walk(&document, &[bulla, python.bin()], shape) > 15);
}

/// Puts `SECONDS` for a time of this century as JSON has it, `TIME` for one of RFC 3339, `KEY` for a name that a ring
/// gives a key, which begins with a month, and `RANDOM` for 128 bits in base64url and quotes.
fn shape(text: &str) -> String {
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let is_key = |text: &str| {
        let parts: Vec<_> = text.split('-').collect();
        text.starts_with("20") && (2..=3).contains(&parts.len()) && parts.into_iter().all(digits)
    };
    let is_random = |text: &str| {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
        text.len() == 22 && text.bytes().all(fits)
    };
    let word = |word: &str| {
        let core = word.trim_matches(['"', ',', ':', ';', '.']);
        match core {
            _ if core.len() == 10 && digits(core) => word.replace(core, "SECONDS"),
            _ if core.len() == 20 && core.starts_with("20") && core.ends_with('Z') => {
                word.replace(core, "TIME")
            }
            _ if is_key(core) => word.replace(core, "KEY"),
            _ if word.starts_with('"') && is_random(core) => word.replace(core, "RANDOM"),
            _ => word.to_owned(),
        }
    };
    let line = |line: &str| line.split(' ').map(word).collect::<Vec<_>>().join(" ");
    text.trim_end().lines().map(line).collect::<Vec<_>>().join("\n")
}
