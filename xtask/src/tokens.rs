//! The lane of tokens: against PostgreSQL, OpenBao, and other libraries in Python and Node.js.

use std::{fs, path::PathBuf};

use crate::{
    lanes::tests,
    project::{Outcome, Project},
    tools,
};

/// The tests that need them, by their names.
const TESTS: [&str; 2] = ["lifecycle", "postgres"];

/// Where Debian puts the programs of PostgreSQL, one directory a version.
const VERSIONS: &str = "usr/lib/postgresql";

pub(crate) fn run(project: &Project) -> Outcome {
    let python = python(project)?;
    let aws = tools::python(project, "aws", "testworld/aws-requirements.txt")?;
    let openbao = tools::python(project, "vault", "testworld/vault-requirements.txt")?;
    let node = tools::node(project, "tokens")?;
    let postgres = postgres(project)?;
    tests(project, &TESTS)?
        .env("BULLA_TOKENS_PYTHON", &python)
        .env("BULLA_AWS_PYTHON", &aws)
        .env("BULLA_VAULT_PYTHON", &openbao)
        .env("BULLA_TOKENS_NODE", &node)
        .env("BULLA_TOKENS_POSTGRES", &postgres)
        .env("BULLA_REQUIRE_TOKENS", "1")
        .env("BULLA_REQUIRE_AWS", "1")
        .env("BULLA_REQUIRE_VAULT", "1")
        .run()
}

/// The Python with other implementations of tokens.
pub(crate) fn python(project: &Project) -> Outcome<PathBuf> {
    tools::python(project, "tokens", "testworld/tokens-requirements.txt")
}

/// The programs of the system's PostgreSQL, or of Debian's, unpacked.
fn postgres(project: &Project) -> Outcome<PathBuf> {
    if let Some(bin) = newest(&PathBuf::from("/").join(VERSIONS)) {
        return Ok(bin);
    }
    // The package of that name has nothing but a dependency on the one of the system's version.
    let told = project.command("apt-cache", ["depends", "postgresql"]).read()?;
    let package = told.lines().find_map(|line| line.trim().strip_prefix("Depends: "));
    let package = package.filter(|name| name.starts_with("postgresql-")).ok_or(
        "apt-cache names no version of postgresql. Install PostgreSQL, or run `apt-get update`",
    )?;
    let packages = [package.to_owned(), "libpq5".to_owned()];
    let root = tools::debian(project, "tokens-debian", &packages)?;
    newest(&root.join(VERSIONS)).ok_or_else(|| format!("{package} has no {VERSIONS}"))
}

fn newest(versions: &std::path::Path) -> Option<PathBuf> {
    let entries = fs::read_dir(versions).ok()?;
    let bins = entries.flatten().filter_map(|entry| {
        let version: u32 = entry.file_name().to_str()?.parse().ok()?;
        let bin = entry.path().join("bin");
        bin.join("initdb").exists().then_some((version, bin))
    });
    bins.max_by_key(|(version, _)| *version).map(|(_, bin)| bin)
}
