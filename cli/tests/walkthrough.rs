//! The README's walkthroughs, run word for word: every line behind `$ ` goes to a shell, and what it
//! prints must be what stands below it. Ids, times and the store's directory differ every time and
//! are compared by their shape.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of tests are tests too")]

use std::{
    path::Path,
    process::{Command, Stdio},
};

const MARK: &str = "<!-- test: walkthrough -->\n```console\n";

/// Where the recorded run kept its keys.
const RECORDED_STORE: &str = "/home/ada/.local/share/bulla";

/// Puts `ID` for 32 hex digits, `TIME` for an RFC 3339 time, `SECONDS` for one of this century as
/// JSON tokens have it, and `RANDOM` for 128 bits in base64url and quotes.
fn shape(text: &str) -> String {
    let is_id =
        |s: &str| s.len() == 32 && s.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    let is_time = |s: &str| s.len() == 20 && s.starts_with("20") && s.ends_with('Z');
    let is_seconds = |s: &str| s.len() == 10 && s.bytes().all(|b| b.is_ascii_digit());
    let is_random = |s: &str| {
        let inner = s.strip_prefix('"').and_then(|s| s.strip_suffix('"')).unwrap_or_default();
        let fit = |b: u8| b.is_ascii_alphanumeric() || b"-_".contains(&b);
        inner.len() == 22 && inner.bytes().all(fit)
    };
    let word = |w: &str| {
        let core = w.trim_start_matches("local:").trim_end_matches(',');
        match core {
            _ if is_id(core) => w.replace(core, "ID"),
            _ if is_time(core) => w.replace(core, "TIME"),
            _ if is_seconds(core) => w.replace(core, "SECONDS"),
            _ if is_random(core) => w.replace(core, "RANDOM"),
            _ => w.to_owned(),
        }
    };
    let line = |l: &str| l.split(' ').map(word).collect::<Vec<_>>().join(" ");
    text.trim_end().lines().map(line).collect::<Vec<_>>().join("\n")
}

#[test]
fn the_readmes_walkthroughs_are_as_recorded() {
    let readme = include_str!("../../README.md");
    let blocks: Vec<_> =
        readme.split(MARK).skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    assert_eq!(blocks.len(), 2);
    for (block, commands) in blocks.into_iter().zip([10, 7]) {
        assert_eq!(walk(block), commands);
    }
}

/// Runs the commands of one walkthrough, which has a store of its own, and counts them.
fn walk(block: &str) -> usize {
    let dir = tempfile::tempdir().unwrap();
    let store = dir.path().join("store");
    let bin = Path::new(env!("CARGO_BIN_EXE_bulla")).parent().unwrap();
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
    let mut run = 0;
    for step in block.split("$ ").skip(1) {
        let (command, recorded) = step.split_once('\n').unwrap();
        let output = Command::new("sh")
            .args(["-c", &format!("exec 2>&1; {command}")])
            .current_dir(dir.path())
            .env("PATH", &path)
            .env("BULLA_HOME", &store)
            .env_remove("BULLA_CONFIG")
            .env("XDG_CONFIG_HOME", dir.path().join("config"))
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let printed = String::from_utf8(output.stdout).unwrap();
        let printed = printed.replace(store.to_str().unwrap(), RECORDED_STORE);
        assert_eq!(shape(&printed), shape(recorded), "$ {command}");
        run += 1;
    }
    run
}
