//! `uploads.md`, run word for word: every line behind `$ ` goes to one shell, and what it prints must be what stands
//! below it.

use std::{
    env, fs,
    path::Path,
    process::{Command, Stdio},
};

use crate::server::has_curl;

const MARK: &str = "<!-- test: walkthrough -->\n```console\n";

/// Printed behind what a command has printed.
const NEXT: &str = "=== next ===";

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
    let blocks: Vec<_> =
        document.split(MARK).skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    let steps: Vec<_> =
        blocks.iter().flat_map(|block| block.trim_start_matches("$ ").split("\n$ ")).collect();
    assert!(steps.len() > 10, "{}", steps.len());
    let (commands, recorded): (Vec<_>, Vec<_>) = steps.iter().map(|step| command(step)).unzip();

    let dir = tempfile::tempdir().unwrap();
    let script = commands.iter().map(|command| format!("{command}\necho '{NEXT}'\n"));
    let script = format!(
        "exec 2>&1\ntrap 'kill $(jobs -p) 2> /dev/null' EXIT\n{}",
        script.collect::<String>()
    );
    let output = Command::new("sh")
        .args(["-c", &script])
        .current_dir(dir.path())
        .env("PATH", format!("{}:{}", bin.display(), env::var("PATH").unwrap()))
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
