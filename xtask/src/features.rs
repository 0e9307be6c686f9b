//! The feature matrix: which packages must work with which sets of features.

use crate::{
    lanes::all_tests,
    project::{Outcome, Project},
};

/// The packages that choose a crypto backend by feature.
const PACKAGES: &[&str] = &["bulla", "bulla-local", "bulla-tests"];

/// The sets of features that each of them is checked with. The default ones are the business of
/// the lanes `clippy` and `test`.
const FEATURE_SETS: &[&[&str]] = &[
    &["--no-default-features"],
    &["--no-default-features", "--features", "rustcrypto"],
    &["--features", "aws-lc-rs,rustcrypto"],
];

pub(crate) fn run(project: &Project) -> Outcome {
    let mut failures = Vec::new();
    for package in PACKAGES {
        for features in FEATURE_SETS {
            let selection = [&["-p", *package], *features].concat();
            failures.extend(clippy(project, &selection).err());
            // Without a backend, a package may be left without tests.
            let tests = all_tests(project, &selection).env("NEXTEST_NO_TESTS", "pass");
            failures.extend(tests.run().err());
        }
    }
    if failures.is_empty() { Ok(()) } else { Err(failures.join("; ")) }
}

fn clippy(project: &Project, selection: &[&str]) -> Outcome {
    let args = [&["clippy"], selection, &["--all-targets", "--", "-D", "warnings"]].concat();
    project.cargo(args).run()
}
