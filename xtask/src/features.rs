//! The feature matrix: which packages must work with which sets of features.

use crate::{
    lanes::all_tests,
    project::{Outcome, Project},
};

/// With these sets a package has a crypto backend, and must pass its tests.
const BACKENDS: &[&[&str]] = &[
    &["--no-default-features", "--features", "rustcrypto"],
    &["--features", "aws-lc-rs,rustcrypto"],
];

/// The same for packages with tokens, which the sets above leave out or have with both backends.
const TOKENS: &[&[&str]] = &[
    &["--no-default-features", "--features", "aws-lc-rs"],
    &["--no-default-features", "--features", "rustcrypto,jwt"],
];

/// With this one it has none: types and traits only.
const BARE: &[&str] = &["--no-default-features"];

/// What a package is without a backend.
enum Bare {
    Tested,
    Built,
    /// It is about backends, and means nothing without one.
    Nothing,
}

/// With which of its sets a package is tested, and not linted only.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Tested {
    All,
    /// Joined tests take long to link.
    WithTokens,
    /// It has no line of code for a backend.
    Linted,
}

struct Package {
    name: &'static str,
    tested: Tested,
    bare: Bare,
    /// Whether it has the feature `jwt`.
    tokens: bool,
}

/// The packages that choose a crypto backend by feature. The default features are the business of
/// the lanes `clippy` and `test`.
const PACKAGES: &[Package] = &[
    Package { name: "bulla", tested: Tested::All, bare: Bare::Tested, tokens: true },
    Package { name: "bulla-local", tested: Tested::All, bare: Bare::Built, tokens: false },
    Package { name: "bulla-aws-kms", tested: Tested::Linted, bare: Bare::Built, tokens: false },
    Package { name: "bulla-conformance", tested: Tested::All, bare: Bare::Nothing, tokens: false },
    Package { name: "bulla-tests", tested: Tested::WithTokens, bare: Bare::Nothing, tokens: true },
];

pub(crate) fn run(project: &Project) -> Outcome {
    let mut failures = Vec::new();
    for Package { name, tested, bare, tokens } in PACKAGES {
        let select = |features: &[&'static str]| [&["-p", *name], features].concat();
        let with_tokens: &[&[&str]] = if *tokens { TOKENS } else { &[] };
        for features in BACKENDS.iter().chain(with_tokens) {
            failures.extend(clippy(project, &select(features), &["--all-targets"]).err());
            let has_tokens = !features.contains(&"--no-default-features")
                || features.iter().any(|list| list.contains("jwt"));
            if *tested == Tested::All || (*tested == Tested::WithTokens && has_tokens) {
                failures.extend(all_tests(project, &select(features)).run().err());
            }
        }
        let features = select(BARE);
        match bare {
            Bare::Tested => {
                failures.extend(clippy(project, &features, &["--all-targets"]).err());
                failures.extend(all_tests(project, &features).run().err());
            }
            Bare::Built => failures.extend(clippy(project, &features, &["--lib"]).err()),
            Bare::Nothing => {}
        }
    }
    if failures.is_empty() { Ok(()) } else { Err(failures.join("; ")) }
}

fn clippy(project: &Project, selection: &[&str], targets: &[&str]) -> Outcome {
    let args = [&["clippy"], selection, targets, &["--", "-D", "warnings"]].concat();
    project.cargo(args).run()
}
