//! `examples/tokens.md`: tokens of the command, verified by the example's programs in Rust and Python.
//!
//! Runs where `BULLA_INTEROP_PYTHON` names an interpreter that has what
//! `tests/interop/requirements.txt` asks for, as the lane `interop` of `cargo xtask test` sees to.
#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "helpers of tests are tests too")]

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use bulla::ErrorKind;

#[path = "../../examples/tokens.rs"]
#[allow(unreachable_pub, reason = "an example is a program of its own")]
mod example;

const KEYS: [&str; 2] = ["id-rsa", "id-ec"];

/// `None`, loudly, where there is no interpreter; a failure where there must be one.
fn python() -> Option<String> {
    if let Ok(path) = std::env::var("BULLA_INTEROP_PYTHON") {
        return Some(path);
    }
    let required = std::env::var_os("BULLA_REQUIRE_INTEROP").is_some();
    assert!(!required, "BULLA_INTEROP_PYTHON is not set");
    eprintln!("SKIPPED: run `cargo xtask test --lane interop`, which sets up Python");
    None
}

fn examples(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples").join(name)
}

/// The directory of a run of the example's script.
fn scripted() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let bin = Path::new(env!("CARGO_BIN_EXE_bulla")).parent().unwrap();
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
    let output = Command::new("sh")
        .arg(examples("tokens.sh"))
        .arg(dir.path())
        .env("PATH", path)
        .env("BULLA_HOME", dir.path().join("store"))
        .env_remove("BULLA_CONFIG")
        .env("XDG_CONFIG_HOME", dir.path().join("config"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let verified = String::from_utf8(output.stdout).unwrap();
    assert_eq!(verified.matches("\"sub\": \"ada\"").count(), KEYS.len(), "{verified}");
    dir
}

/// The same token with a bit of its signature changed.
fn damaged(token: &str) -> String {
    let at = token.rfind('.').unwrap() + 5;
    let (before, after) = token.split_at(at);
    let (old, after) = after.split_at(1);
    format!("{before}{}{after}", if old == "A" { "B" } else { "A" })
}

#[test]
fn the_commands_tokens_verify_in_rust() {
    let dir = scripted();
    let jwks = fs::read_to_string(dir.path().join("jwks.json")).unwrap();
    for key in KEYS {
        let token = fs::read_to_string(dir.path().join(key).with_extension("jwt")).unwrap();
        assert_eq!(example::subject(&jwks, &token).unwrap(), "ada", "{key}");
        let error = example::subject(&jwks, &damaged(&token)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotAuthentic, "{key}");
    }
}

#[test]
fn the_commands_tokens_verify_in_python() {
    let Some(python) = python() else { return };
    let dir = scripted();
    let verify = |token: &Path| -> Output {
        let mut command = Command::new(&python);
        command.arg(examples("tokens.py")).arg(dir.path().join("jwks.json")).arg(token);
        command.output().unwrap()
    };
    for key in KEYS {
        let token = dir.path().join(key).with_extension("jwt");
        let output = verify(&token);
        assert!(output.status.success(), "{key}: {}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(output.stdout, b"ada\n", "{key}");
        let bad = dir.path().join("damaged.jwt");
        fs::write(&bad, damaged(&fs::read_to_string(&token).unwrap())).unwrap();
        let output = verify(&bad);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && said.contains("InvalidSignatureError"), "{said}");
    }
}
