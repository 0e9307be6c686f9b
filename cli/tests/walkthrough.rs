//! The README's walkthrough, run word for word: every line behind `$ ` goes to a shell, and what it
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

/// Puts `ID` for 32 hex digits, and `TIME` for an RFC 3339 time.
fn shape(text: &str) -> String {
    let is_id =
        |s: &str| s.len() == 32 && s.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    let is_time = |s: &str| s.len() == 20 && s.starts_with("20") && s.ends_with('Z');
    let word = |w: &str| {
        let core = w.trim_start_matches("local:").trim_end_matches(',');
        match core {
            _ if is_id(core) => w.replace(core, "ID"),
            _ if is_time(core) => w.replace(core, "TIME"),
            _ => w.to_owned(),
        }
    };
    let line = |l: &str| l.split(' ').map(word).collect::<Vec<_>>().join(" ");
    text.trim_end().lines().map(line).collect::<Vec<_>>().join("\n")
}

#[test]
fn the_readmes_walkthrough_is_as_recorded() {
    let readme = include_str!("../../README.md");
    let block = readme.split(MARK).nth(1).expect("the walkthrough").split("```").next().unwrap();
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
    assert!(run >= 10, "{run} commands");
}
