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

/// With this one it has none: types and traits only.
const BARE: &[&str] = &["--no-default-features"];

/// What a package is without a backend.
enum Bare {
    Tested,
    Built,
    /// It is about backends, and means nothing without one.
    Nothing,
}

struct Package {
    name: &'static str,
    bare: Bare,
}

/// The packages that choose a crypto backend by feature. The default features are the business of
/// the lanes `clippy` and `test`.
const PACKAGES: &[Package] = &[
    Package { name: "bulla", bare: Bare::Tested },
    Package { name: "bulla-local", bare: Bare::Built },
    Package { name: "bulla-aws-kms", bare: Bare::Built },
    Package { name: "bulla-conformance", bare: Bare::Nothing },
    Package { name: "bulla-tests", bare: Bare::Nothing },
];

pub(crate) fn run(project: &Project) -> Outcome {
    let mut failures = Vec::new();
    for Package { name, bare } in PACKAGES {
        let select = |features: &[&'static str]| [&["-p", *name], features].concat();
        for features in BACKENDS {
            failures.extend(clippy(project, &select(features), &["--all-targets"]).err());
            failures.extend(all_tests(project, &select(features)).run().err());
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
