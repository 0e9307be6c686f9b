//! `uploads.md`, run word for word: every line behind `$ ` goes to one shell, and what it prints must be what stands
//! below it.

use std::{env, fs, path::Path};

use bulla_testworld::walk;

use crate::server::has_curl;

/// Puts `PORT` for the port, which is another each time.
fn shape(text: &str) -> String {
    let word = |word: &str| match word.rsplit_once(':') {
        Some((before, port)) if before.ends_with("127.0.0.1") && port.parse::<u16>().is_ok() => {
            format!("{before}:PORT")
        }
        _ => word.to_owned(),
    };
    let line = |line: &str| line.split(' ').map(word).collect::<Vec<_>>().join(" ");
    text.trim_end().lines().map(line).collect::<Vec<_>>().join("\n")
}

#[test]
fn the_walkthrough_is_as_recorded() {
    let uploads = Path::new(env!("CARGO_BIN_EXE_uploads"));
    let bin = uploads.parent().unwrap();
    if !has_curl() {
        return;
    }
    if !bin.join("bulla").exists() {
        assert!(env::var_os("BULLA_REQUIRE_PIPELINE").is_none(), "`bulla` was not built");
        eprintln!("SKIPPED: run `cargo xtask test --lane pipeline`, which builds `bulla`");
        return;
    }
    let document =
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("uploads.md")).unwrap();
    assert!(walk(&document, &[bin], shape) > 10);
}
