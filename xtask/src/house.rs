//! House rules on the sources that neither rustfmt nor clippy has.

use std::path::Path;

use crate::{
    lanes::Level,
    project::{Outcome, Project, read_file},
    rooms,
    source::{attributes, code_of, line, split_brackets, words},
};

/// A source file has fewer lines than this, its trailing `mod tests` not counted.
const MAX_LINES: usize = 400;

/// The same for a `lib.rs`, which is for documentation and exports.
const MAX_LIB_LINES: usize = 150;

/// Files in directories of these names may be longer.
const LONG_DIRS: &[&str] = &["tests", "benches", "examples", "fuzz"];

const FORBIDDEN_MACROS: &[&str] = &["todo", "unimplemented", "dbg"];

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

fn check_source(file: &str, text: &str) -> Vec<String> {
    let code = code_of(text);
    let mut findings = Vec::new();

    let limit = if Path::new(file).ends_with("lib.rs") { MAX_LIB_LINES } else { MAX_LINES };
    let lines = lines_without_tests(&code);
    if !may_be_long(file) && lines >= limit {
        findings.push(format!("{file}: {lines} lines without tests; the limit is {limit}"));
    }

    for name in FORBIDDEN_MACROS {
        for (before, _) in words(&code, name).filter(|(_, after)| is_macro_call(after)) {
            findings.push(format!("{file}:{}: {name}! is for work in progress", line(before)));
        }
    }

    for (before, attribute) in attributes(&code) {
        let silences = ["allow", "expect"]
            .iter()
            .any(|name| words(attribute, name).any(|(_, after)| after.starts_with('(')));
        let mut reasons = words(attribute, "reason");
        if silences && !reasons.any(|(_, after)| after.trim_start().starts_with('=')) {
            findings.push(format!("{file}:{}: no `reason =`", line(before)));
        }
    }
    findings
}

fn may_be_long(file: &str) -> bool {
    let dir = Path::new(file).parent().into_iter().flat_map(Path::components);
    dir.into_iter().any(|part| LONG_DIRS.iter().any(|name| part.as_os_str() == *name))
}

fn lines_without_tests(code: &str) -> usize {
    let start = "#[cfg(test)]";
    let tests = code.match_indices(start).find_map(|(at, _)| {
        let (before, after) = code.split_at_checked(at)?;
        (before.ends_with('\n') && is_tests_to_the_end(after)).then_some(before)
    });
    tests.unwrap_or(code).trim_end().lines().count()
}

/// Whether code is attributes and then `mod tests { .. }`, and nothing behind it.
fn is_tests_to_the_end(code: &str) -> bool {
    let mut rest = code;
    while let Some(attribute) = rest.trim_start().strip_prefix('#') {
        let Some((_, after)) = split_brackets(attribute) else {
            return false;
        };
        rest = after;
    }
    let body = rest.trim_start().strip_prefix("mod tests").map(str::trim_start);
    body.filter(|body| body.starts_with('{'))
        .and_then(split_brackets)
        .is_some_and(|(_, after)| after.trim().is_empty())
}

fn is_macro_call(after: &str) -> bool {
    after.strip_prefix('!').is_some_and(|rest| rest.trim_start().starts_with(['(', '[', '{']))
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
    fn long_files_are_found() {
        let fine = "fn a() {}\n".repeat(MAX_LINES - 1);
        let long = "fn a() {}\n".repeat(MAX_LINES);
        assert!(check_source("src/a.rs", &fine).is_empty());
        assert_eq!(check_source("src/a.rs", &long).len(), 1);
        assert_eq!(check_source("src/lib.rs", &fine).len(), 1);
        assert!(check_source("src/mylib.rs", &fine).is_empty());
        for exempt in ["tests/a.rs", "cli/tests/a.rs", "benches/a.rs", "fuzz/fuzz_targets/a.rs"] {
            assert!(check_source(exempt, &long).is_empty(), "{exempt}");
        }
    }

    #[test]
    fn only_trailing_tests_are_not_counted() {
        let tests = "#[cfg(test)]\n#[expect(\n    a,\n    reason = \"]\"\n)]\nmod tests {\n    \
                     const A: &str = \"}\n}\";\n    fn a() {}\n}\n";
        let item = "fn b() {}\n";
        assert_eq!(lines_without_tests(&code_of(&format!("{item}\n{tests}"))), 1);
        assert_eq!(lines_without_tests(&code_of(&format!("{item}{tests}// end\n"))), 1);
        assert_eq!(lines_without_tests(&code_of(&format!("{item}{tests}{item}"))), 12);
        assert_eq!(lines_without_tests(&format!("{item}#[cfg(test)]\nmod tests;\n")), 3);
    }

    #[test]
    fn macros_for_work_in_progress_are_found() {
        let source = "fn a() {\n    todo!();\n    dbg! [1];\n    unimplemented!{}\n}\n";
        assert_eq!(check_source("a.rs", source).len(), 3);
        assert!(check_source("a.rs", "// todo!()\nfn a() { todo(\"dbg!()\"); }").is_empty());
        assert!(check_source("a.rs", "fn a() -> bool { todo != (1) }").is_empty());
    }

    #[test]
    fn silenced_lints_need_a_reason() {
        for (source, findings) in [
            ("#[allow(a)]\nfn a() {}", 1),
            ("#![expect(a)]", 1),
            ("#[cfg_attr(b, allow(a))]\nfn a() {}", 1),
            ("#[allow(\n    a,\n    reason = \"b\"\n)]\nfn a() {}", 0),
            ("fn a() { b.expect(\"#[allow(a)]\"); }", 0),
            ("#[should_panic(expected = \"a\")]\n#[arg(allow_hyphen_values = true)]", 0),
            ("/// `#[allow(a)]`\nfn a() {}", 0),
        ] {
            assert_eq!(check_source("a.rs", source).len(), findings, "{source}");
        }
    }

    #[test]
    fn stated_rust_versions_are_found() {
        let manifest = "# rust-version = \"1\"\nrust-version.workspace = true\n\
                        package = { rust-version = \"1.95\" }\nrust-version= '1.95'\n";
        assert_eq!(stated_rust_versions("a", manifest), ["a:3", "a:4"]);
    }
}
