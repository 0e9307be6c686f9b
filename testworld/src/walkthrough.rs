//! Documents whose commands are run word for word: every line behind `$ ` goes to one shell, and what it prints must be
//! what stands below it.

use std::{
    env,
    path::Path,
    process::{Command, Stdio},
};

const MARK: &str = "<!-- test: walkthrough -->\n```console\n";

/// Printed behind what a command has printed.
const NEXT: &str = "=== next ===";

/// Runs the commands of a document in an empty directory, with programs from these directories first, and says how many
/// there were. `shape` makes the same of what differs from run to run.
///
/// # Panics
/// If a command prints something else than is recorded, or the document has none.
pub fn walk(document: &str, programs: &[&Path], shape: impl Fn(&str) -> String) -> usize {
    let blocks = document.split(MARK).skip(1).map(|rest| rest.split("```").next().unwrap());
    let steps: Vec<_> = blocks
        .flat_map(|block| block.trim_start_matches("$ ").split("\n$ "))
        .map(command)
        .collect();
    assert!(!steps.is_empty(), "the document has no commands to run");

    let lines = steps.iter().map(|(command, _)| format!("{command}\necho '{NEXT}'\n"));
    let script = format!(
        "exec 2>&1\ntrap 'kill $(jobs -p) 2> /dev/null' EXIT\n{}",
        lines.collect::<String>()
    );
    let dir = tempfile::tempdir().unwrap();
    let path = env::var_os("PATH").unwrap();
    let path = programs.iter().map(|dir| dir.to_path_buf()).chain(env::split_paths(&path));
    let output = Command::new("sh")
        .args(["-c", &script])
        .current_dir(dir.path())
        .env("PATH", env::join_paths(path).unwrap())
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
    for (command, recorded) in &steps {
        let printed = printed.next().unwrap_or_default();
        assert_eq!(shape(printed), shape(recorded), "$ {command}");
    }
    steps.len()
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
