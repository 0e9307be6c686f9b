//! `examples/spiffe.md`, run word for word: every line behind `$ ` goes to one shell, and what it prints must be what
//! stands below it. Times differ, and are compared by their shape.
//!
//! Runs where `BULLA_SPIFFE_PYTHON` names an interpreter with SPIFFE's client, as the lane `spiffe` sees to.
#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of tests are tests too")]

use std::{
    env, fs,
    path::Path,
    process::{Command, Stdio},
};

use bulla_testworld::Python;

const MARK: &str = "<!-- test: walkthrough -->\n```console\n";

/// Printed behind what a command has printed.
const NEXT: &str = "=== next ===";

#[test]
fn the_walkthrough_is_as_recorded() {
    let Some(python) = Python::for_spiffe() else { return };
    let document = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/spiffe.md");
    let document = fs::read_to_string(document).unwrap();
    let blocks: Vec<_> =
        document.split(MARK).skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    let steps: Vec<_> =
        blocks.iter().flat_map(|block| block.trim_start_matches("$ ").split("\n$ ")).collect();
    assert!(steps.len() > 15, "{}", steps.len());
    let (commands, recorded): (Vec<_>, Vec<_>) = steps.iter().map(|step| command(step)).unzip();

    let script = commands.iter().map(|command| format!("{command}\necho '{NEXT}'\n"));
    let script = format!(
        "exec 2>&1\ntrap 'kill $(jobs -p) 2> /dev/null' EXIT\n{}",
        script.collect::<String>()
    );
    let dir = tempfile::tempdir().unwrap();
    let bulla = Path::new(env!("CARGO_BIN_EXE_bulla")).parent().unwrap();
    let python = python.bin();
    let path = format!("{}:{}:{}", bulla.display(), python.display(), env::var("PATH").unwrap());
    let output = Command::new("sh")
        .args(["-c", &script])
        .current_dir(dir.path())
        .env("PATH", path)
        .env("BULLA_HOME", dir.path().join("keys"))
        .env_remove("BULLA_CONFIG")
        .env("XDG_CONFIG_HOME", dir.path().join("config"))
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    let home = dir.path().to_str().unwrap();
    let printed = printed
        .replace(&format!("{home}/keys"), "/home/ada/.local/share/bulla")
        .replace(home, "/home/ada/work");
    let next = format!("{NEXT}\n");
    let mut printed = printed.split(&next);
    for (command, recorded) in commands.iter().zip(recorded) {
        let printed = printed.next().unwrap_or_default();
        assert_eq!(shape(printed), shape(&recorded), "$ {command}");
    }
}

/// A command goes on while its lines end in a backslash, or, of a document in it, up to its end.
fn command(step: &str) -> (String, String) {
    let mut lines = step.lines();
    let mut command = lines.next().unwrap().to_owned();
    let mut inside =
        command.split_once("<<").map(|(_, end)| end.trim_matches([' ', '\'']).to_owned());
    while command.ends_with('\\') || inside.is_some() {
        let line = lines.next().unwrap();
        command = format!("{command}\n{line}");
        inside = inside.filter(|end| line != end);
    }
    (command, lines.collect::<Vec<_>>().join("\n"))
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
