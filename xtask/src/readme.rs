//! The README's first commands, run as a newcomer would: in a fresh clone, with an empty home.

use std::env;

use crate::{
    lanes::Level,
    project::{Outcome, Project, create_dir, read_file, remove_dir},
};

/// Stands in the README right before the fenced block to run.
const MARKER: &str = "<!-- xtask: run -->";

/// What the commands make of `README.md` when they have encrypted and decrypted it.
const COPY: &str = "copy.md";

pub(crate) fn run(project: &Project, _: Level) -> Outcome {
    if !project.command("git", ["status", "--porcelain"]).read()?.is_empty() {
        eprintln!("warning: there are uncommitted changes; this lane sees the last commit only");
    }

    let clone = project.target("readme-clone");
    remove_dir(&clone)?;
    create_dir(&project.target(""))?;
    project.command("git", ["clone", "--quiet", "--local", "."]).arg(&clone).run()?;

    let readme = read_file(&clone.join("README.md"))
        .map_err(|error| format!("{error}; is it committed?"))?;
    let script = marked_block(&readme)?;

    let home = project.target("readme-home");
    remove_dir(&home)?;
    create_dir(&home)?;
    let mut shell = project
        .command("sh", ["-e", "-x", "-c", &script])
        .titled("sh -e (the commands in README.md)")
        .current_dir(&clone)
        .env("CARGO_TARGET_DIR", project.target(""))
        .env("HOME", &home)
        .env("BULLA_HOME", home.join("bulla"));
    // The toolchain is the one thing that the empty home may not hide.
    let real_home = env::home_dir().ok_or("there is no home directory")?;
    for (name, default) in [("CARGO_HOME", ".cargo"), ("RUSTUP_HOME", ".rustup")] {
        if env::var_os(name).is_none() {
            shell = shell.env(name, real_home.join(default));
        }
    }
    for name in ["XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME"] {
        shell = shell.env_remove(name);
    }
    shell.run()?;

    if script.contains(COPY) && read_file(&clone.join(COPY))? != readme {
        return Err(format!("the README's commands made a {COPY} that differs from README.md"));
    }
    remove_dir(&home)?;
    remove_dir(&clone)
}

/// The fenced block after the marker.
fn marked_block(readme: &str) -> Outcome<String> {
    let (_, after) = readme
        .split_once(MARKER)
        .ok_or_else(|| format!("README.md has no {MARKER} before its first commands"))?;
    let mut lines = after.lines().skip_while(|line| line.trim().is_empty());
    if !lines.next().is_some_and(|line| line.starts_with("```")) {
        return Err(format!("in README.md, no fenced block follows {MARKER}"));
    }
    let block: Vec<_> = lines.take_while(|line| !line.starts_with("```")).collect();
    if block.iter().all(|line| line.trim().is_empty()) {
        return Err(format!("in README.md, the block after {MARKER} is empty"));
    }
    Ok(block.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_block_after_the_marker_is_taken() {
        let readme =
            format!("```sh\nno\n```\n{MARKER}\n\n```sh\none \\\n  two\nthree\n```\nmore\n");
        assert_eq!(marked_block(&readme).unwrap(), "one \\\n  two\nthree");
    }

    #[test]
    fn a_readme_without_commands_fails() {
        for readme in ["", "```sh\nls\n```", MARKER] {
            assert!(marked_block(readme).is_err(), "{readme}");
        }
        assert!(marked_block(&format!("{MARKER}\ntext\n```sh\nls\n```")).is_err());
        assert!(marked_block(&format!("{MARKER}\n```sh\n\n```")).is_err());
    }
}
