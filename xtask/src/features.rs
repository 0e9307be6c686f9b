//! The feature matrix: which packages must work with which sets of features. The default features
//! are the business of the lanes `clippy` and `test`.

use Depth::{Built, LibTested, Linted, Skipped, Tested};

use crate::{
    lanes::{Level, all_tests},
    project::{Outcome, Project},
    providers::{self, Provider},
};

/// No crypto backend: types and traits only.
const BARE: &[&str] = &["--no-default-features"];
const RUSTCRYPTO: &[&str] = &["--no-default-features", "--features", "rustcrypto"];
const BOTH: &[&str] = &["--features", "aws-lc-rs,rustcrypto"];

/// The next two are for packages with the feature `jwt`, which `RUSTCRYPTO` leaves out.
const AWS_LC: &[&str] = &["--no-default-features", "--features", "aws-lc-rs"];
const RUSTCRYPTO_JWT: &[&str] = &["--no-default-features", "--features", "rustcrypto,jwt"];

const EVERY: &[&str] = &["--all-features"];

/// What is done with a row. Each does what stands before it, but for the library's own tests, which
/// are among the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Depth {
    Skipped,
    /// The libraries are linted.
    Built,
    /// All targets are linted.
    Linted,
    /// The library's own tests run.
    LibTested,
    Tested,
}

/// A package with a set of features.
struct Row {
    package: String,
    features: &'static [&'static str],
    default: Depth,
    all: Depth,
}

/// The whole matrix. What is skipped by default is for releases.
fn rows(providers: &[Provider]) -> Vec<Row> {
    let mut rows = vec![
        Row::new("bulla", BARE, Linted, Tested),
        Row::new("bulla", RUSTCRYPTO, LibTested, Tested),
        Row::new("bulla", BOTH, Skipped, Tested),
        Row::new("bulla", AWS_LC, Skipped, Tested),
        Row::new("bulla", RUSTCRYPTO_JWT, Skipped, Tested),
    ];
    for Provider { package, has_backend_code, .. } in providers {
        let depth = if *has_backend_code { Tested } else { Linted };
        // Those that hand the choice on would have their SDKs built again for it.
        let default = if *has_backend_code { Built } else { Skipped };
        rows.push(Row::new(package, BARE, Skipped, Built));
        rows.push(Row::new(package, RUSTCRYPTO, default, depth));
        rows.push(Row::new(package, BOTH, Skipped, depth));
    }
    rows.extend([
        // The suite and the joined tests are about backends, and mean nothing without one.
        Row::new("bulla-conformance", RUSTCRYPTO, Skipped, Tested),
        Row::new("bulla-conformance", BOTH, Skipped, Tested),
        Row::new("bulla-config", BARE, Skipped, Built),
        Row::new("bulla-config", RUSTCRYPTO, Skipped, Tested),
        // Joined tests take long to link: without tokens they are linted only.
        Row::new("bulla-tests", RUSTCRYPTO, Skipped, Linted),
        Row::new("bulla-tests", BOTH, Skipped, Tested),
        Row::new("bulla-tests", AWS_LC, Skipped, Tested),
        Row::new("bulla-tests", RUSTCRYPTO_JWT, Skipped, Tested),
        Row::new("bulla-spiffe", BARE, Built, Linted),
        Row::new("bulla-cli", EVERY, Skipped, Built),
    ]);
    rows
}

impl Row {
    fn new(package: &str, features: &'static [&'static str], default: Depth, all: Depth) -> Self {
        Self { package: package.to_owned(), features, default, all }
    }

    fn depth(&self, level: Level) -> Depth {
        if level == Level::All { self.all } else { self.default }
    }

    /// The package and the features, as cargo is told them.
    fn selection(&self) -> Vec<&str> {
        [&["-p", self.package.as_str()], self.features].concat()
    }

    fn failures(&self, project: &Project, depth: Depth) -> Vec<String> {
        let selection = self.selection();
        let targets = if depth == Built { "--lib" } else { "--all-targets" };
        let lint = [&["clippy"], &*selection, &[targets, "--", "-D", "warnings"]].concat();
        let linted = (depth >= Built).then(|| project.cargo(lint).run());
        let tested = match depth {
            LibTested => Some(project.cargo([&["test"], &*selection, &["--lib"]].concat()).run()),
            Tested => Some(all_tests(project, &selection).run()),
            Skipped | Built | Linted => None,
        };
        linted.into_iter().chain(tested).filter_map(Outcome::err).collect()
    }
}

pub(crate) fn run(project: &Project, level: Level) -> Outcome {
    let rows = rows(&providers::all(project)?);
    let failures = rows.iter().flat_map(|row| row.failures(project, row.depth(level)));
    let failures: Vec<_> = failures.chain(lean_command(project, level)).collect();
    if failures.is_empty() { Ok(()) } else { Err(failures.join("; ")) }
}

/// The command as it is built by default, without providers that are features. For a release its tests run too: they
/// are selected with the whole workspace, so that less of what it depends on is built again.
fn lean_command(project: &Project, level: Level) -> Vec<String> {
    let lint = ["clippy", "-p", "bulla-cli", "--lib", "--bins", "--", "-D", "warnings"];
    let all: [&[&str]; 2] = [
        &["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"],
        &["test", "--workspace", "--test", "cli"],
    ];
    let steps = if level == Level::All { &all[..] } else { &[&lint[..]][..] };
    steps.iter().filter_map(|step| project.cargo(*step).run().err()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_does_no_less_than_the_default() {
        let providers = providers::all(&Project::find().unwrap()).unwrap();
        for row in rows(&providers) {
            assert!(row.depth(Level::All) >= row.depth(Level::Default), "{:?}", row.selection());
            assert_ne!(row.depth(Level::All), Skipped, "{:?}", row.selection());
        }
    }

    #[test]
    fn every_provider_has_rows() {
        let providers = providers::all(&Project::find().unwrap()).unwrap();
        let rows = rows(&providers);
        let depth = |selection: &str| {
            let row = rows.iter().find(|row| row.selection().join(" ") == selection);
            row.unwrap_or_else(|| panic!("no row {selection}")).all
        };
        let rustcrypto = "--no-default-features --features rustcrypto";
        assert_eq!(depth(&format!("-p bulla-local {rustcrypto}")), Tested);
        assert_eq!(depth(&format!("-p bulla-aws-kms {rustcrypto}")), Linted);
        let local =
            rows.iter().find(|row| row.package == "bulla-local" && row.features == RUSTCRYPTO);
        assert_eq!(local.unwrap().depth(Level::Default), Built);
    }
}
