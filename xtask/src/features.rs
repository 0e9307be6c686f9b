//! The feature matrix: which packages must work with which sets of features. The default features
//! are the business of the lanes `clippy` and `test`.

use Depth::{Built, LibTested, Linted, Skipped, Tested};

use crate::{
    lanes::{Level, all_tests},
    project::{Outcome, Project},
};

/// No crypto backend: types and traits only.
const BARE: &[&str] = &["--no-default-features"];
const RUSTCRYPTO: &[&str] = &["--no-default-features", "--features", "rustcrypto"];
const BOTH: &[&str] = &["--features", "aws-lc-rs,rustcrypto"];

/// The next two are for packages with the feature `jwt`, which `RUSTCRYPTO` leaves out.
const AWS_LC: &[&str] = &["--no-default-features", "--features", "aws-lc-rs"];
const RUSTCRYPTO_JWT: &[&str] = &["--no-default-features", "--features", "rustcrypto,jwt"];

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

/// Packages with a set of features.
struct Row {
    packages: &'static [&'static str],
    features: &'static [&'static str],
    default: Depth,
    all: Depth,
}

const ROWS: &[Row] = &[
    Row { packages: &["bulla"], features: BARE, default: Linted, all: Tested },
    Row { packages: &["bulla"], features: RUSTCRYPTO, default: LibTested, all: Tested },
    Row { packages: &["bulla"], features: BOTH, default: Skipped, all: Tested },
    Row { packages: &["bulla"], features: AWS_LC, default: Skipped, all: Tested },
    Row { packages: &["bulla"], features: RUSTCRYPTO_JWT, default: Skipped, all: Tested },
    // Together, so that what they depend on is built once.
    Row {
        packages: &["bulla-local", "bulla-aws-kms"],
        features: RUSTCRYPTO,
        default: Built,
        all: Built,
    },
    Row { packages: &["bulla-local"], features: BARE, default: Skipped, all: Built },
    Row { packages: &["bulla-local"], features: RUSTCRYPTO, default: Skipped, all: Tested },
    Row { packages: &["bulla-local"], features: BOTH, default: Skipped, all: Tested },
    // It has no line of code for a backend.
    Row { packages: &["bulla-aws-kms"], features: BARE, default: Skipped, all: Built },
    Row { packages: &["bulla-aws-kms"], features: RUSTCRYPTO, default: Skipped, all: Linted },
    Row { packages: &["bulla-aws-kms"], features: BOTH, default: Skipped, all: Linted },
    // These are about backends, and mean nothing without one.
    Row { packages: &["bulla-conformance"], features: RUSTCRYPTO, default: Skipped, all: Tested },
    Row { packages: &["bulla-conformance"], features: BOTH, default: Skipped, all: Tested },
    // Joined tests take long to link: without tokens they are linted only.
    Row { packages: &["bulla-tests"], features: RUSTCRYPTO, default: Skipped, all: Linted },
    Row { packages: &["bulla-tests"], features: BOTH, default: Skipped, all: Tested },
    Row { packages: &["bulla-tests"], features: AWS_LC, default: Skipped, all: Tested },
    Row { packages: &["bulla-tests"], features: RUSTCRYPTO_JWT, default: Skipped, all: Tested },
];

impl Row {
    fn depth(&self, level: Level) -> Depth {
        if level == Level::All { self.all } else { self.default }
    }

    /// The packages and the features, as cargo is told them.
    fn selection(&self) -> Vec<&'static str> {
        let packages = self.packages.iter().flat_map(|name| ["-p", name]);
        packages.chain(self.features.iter().copied()).collect()
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
    let failures: Vec<_> =
        ROWS.iter().flat_map(|row| row.failures(project, row.depth(level))).collect();
    if failures.is_empty() { Ok(()) } else { Err(failures.join("; ")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_does_no_less_than_the_default() {
        for row in ROWS {
            assert!(row.depth(Level::All) >= row.depth(Level::Default), "{:?}", row.selection());
            assert_ne!(row.depth(Level::All), Skipped, "{:?}", row.selection());
        }
    }

    #[test]
    fn a_selection_is_packages_and_then_features() {
        let row = Row { packages: &["a", "b"], features: BOTH, default: Built, all: Built };
        let said = row.selection().join(" ");
        assert_eq!(said, "-p a -p b --features aws-lc-rs,rustcrypto");
    }
}
