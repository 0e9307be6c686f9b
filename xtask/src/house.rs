//! House rules on the sources that neither rustfmt nor clippy has.

use std::path::Path;

use crate::{
    lanes::Level,
    project::{Outcome, Project, read_file},
    providers, rooms,
    source::words,
};

/// A `lib.rs` has fewer lines than this: it is for documentation and exports.
const MAX_LIB_LINES: usize = 150;

pub(crate) fn run(project: &Project, _: Level) -> Outcome {
    let mut findings = Vec::new();
    let mut versions = Vec::new();
    let mut sources = 0;
    for file in files(project)? {
        let path = project.path(&file);
        if !path.exists() {
            continue; // Deleted, but not committed yet.
        }
        let text = read_file(&path)?;
        if file.ends_with(".rs") {
            sources += 1;
            findings.extend(check_source(&file, &text));
        } else {
            versions.extend(stated_rust_versions(&file, &text));
        }
    }
    if sources == 0 {
        return Err("git knows of no sources here".to_owned());
    }
    if !matches!(versions.as_slice(), [one] if one.starts_with("Cargo.toml:")) {
        findings.push(format!(
            "the minimum Rust version is stated once, in the root Cargo.toml, but here: {versions:?}"
        ));
    }
    findings.extend(rooms::check(project)?);
    findings.extend(providers::check(project)?);

    println!("{sources} source files, {} findings", findings.len());
    for finding in &findings {
        eprintln!("{finding}");
    }
    if findings.is_empty() { Ok(()) } else { Err(format!("{} findings", findings.len())) }
}

/// Sources and manifests that git tracks, or would with the next `git add`.
fn files(project: &Project) -> Outcome<Vec<String>> {
    let list = ["ls-files", "-z", "--cached", "--others", "--exclude-standard", "--"];
    let globs = ["*.rs", "Cargo.toml", "*/Cargo.toml"];
    let output = project.command("git", list.iter().chain(&globs)).read()?;
    Ok(output.split_terminator('\0').map(str::to_owned).collect())
}

fn check_source(file: &str, text: &str) -> Option<String> {
    let lines = text.lines().count();
    let too_long = Path::new(file).ends_with("lib.rs") && lines >= MAX_LIB_LINES;
    too_long.then(|| format!("{file}: {lines} lines; a lib.rs has fewer than {MAX_LIB_LINES}"))
}

/// Where a manifest states a `rust-version` rather than inheriting it.
fn stated_rust_versions(file: &str, manifest: &str) -> Vec<String> {
    let stated = |line: &str| {
        let line = line.split('#').next().unwrap_or(line);
        words(line, "rust-version").any(|(_, after)| {
            let value = after.trim_start().strip_prefix('=').map(str::trim_start);
            value.is_some_and(|value| value.starts_with(['"', '\'']))
        })
    };
    let lines = manifest.lines().enumerate().filter(|(_, line)| stated(line));
    lines.map(|(index, _)| format!("{file}:{}", index + 1)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_root_of_a_library_is_found() {
        let fine = "fn a() {}\n".repeat(MAX_LIB_LINES - 1);
        let long = "fn a() {}\n".repeat(MAX_LIB_LINES);
        assert_eq!(check_source("src/lib.rs", &fine), None);
        assert!(check_source("src/lib.rs", &long).unwrap().contains("150 lines"));
        assert_eq!(check_source("src/mylib.rs", &long), None);
    }

    #[test]
    fn stated_rust_versions_are_found() {
        let manifest = "# rust-version = \"1\"\nrust-version.workspace = true\n\
                        package = { rust-version = \"1.95\" }\nrust-version= '1.95'\n";
        assert_eq!(stated_rust_versions("a", manifest), ["a:3", "a:4"]);
    }
}
