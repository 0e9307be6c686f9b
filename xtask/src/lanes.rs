//! The table of lanes, and the lanes that are a command or two.

use crate::{
    features, fuzz, house,
    project::{Outcome, Project, Step},
    readme, tools,
};

pub(crate) struct Lane {
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    /// Whether `--quick` runs it.
    pub(crate) quick: bool,
    pub(crate) run: fn(&Project) -> Outcome,
}

/// Every lane, in the order in which they run. None is ever skipped: a lane that can't run fails.
pub(crate) const LANES: &[Lane] = &[
    Lane { name: "fmt", about: "formatting", quick: true, run: fmt },
    Lane { name: "clippy", about: "lints, all targets", quick: true, run: clippy },
    Lane { name: "test", about: "unit and integration tests", quick: true, run: test },
    Lane { name: "doctest", about: "examples in the documentation", quick: true, run: doctest },
    Lane { name: "house", about: "house rules on the sources", quick: true, run: house::run },
    Lane {
        name: "features",
        about: "lints and tests for every set of features",
        quick: false,
        run: features::run,
    },
    Lane { name: "doc", about: "documentation builds without warnings", quick: false, run: doc },
    Lane {
        name: "deny",
        about: "licences, banned crates and sources of dependencies",
        quick: false,
        run: deny,
    },
    Lane {
        name: "interop",
        about: "against another implementation, in Python",
        quick: false,
        run: interop,
    },
    Lane {
        name: "aws",
        about: "the AWS KMS provider, against emulators in Python",
        quick: false,
        run: aws,
    },
    Lane {
        name: "fuzz",
        about: "every fuzz target, 10 seconds each",
        quick: false,
        run: fuzz::lane,
    },
    Lane {
        name: "readme",
        about: "the README's commands, in a clean clone",
        quick: false,
        run: readme::run,
    },
];

/// Those of the provider, of the command with its keys, and of it beside another provider.
const AWS_TESTS: &[&str] = &[
    "conformance",
    "contexts",
    "cost",
    "errors",
    "iam",
    "keys",
    "logs",
    "resilience",
    "signing",
    "aws",
    "two_clouds",
];

fn fmt(project: &Project) -> Outcome {
    project.cargo(["fmt", "--all", "--check"]).run()
}

fn clippy(project: &Project) -> Outcome {
    project.cargo(["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]).run()
}

fn test(project: &Project) -> Outcome {
    all_tests(project, &["--workspace"]).run()
}

fn doctest(project: &Project) -> Outcome {
    project.cargo(["test", "--workspace", "--doc"]).run()
}

/// Libraries only: for a binary, rustdoc would document private items.
fn doc(project: &Project) -> Outcome {
    project
        .cargo(["doc", "--workspace", "--no-deps", "--lib"])
        .env("RUSTDOCFLAGS", "-D warnings")
        .run()
}

/// Not `advisories`: cargo-deny fetches their database with git, from a place that builds without
/// full network access can't reach.
fn deny(project: &Project) -> Outcome {
    let cargo_deny = tools::cargo_deny(project)?;
    // Without `--workspace`, only the root package and what it depends on.
    let checks = ["--workspace", "check", "--hide-inclusion-graph", "licenses", "bans", "sources"];
    project.command(cargo_deny, checks).run()
}

/// Built with the whole workspace, as the lane `test` does: its features, and so its artifacts.
fn interop(project: &Project) -> Outcome {
    let python = tools::python(project, "interop", "tests/interop/requirements.txt")?;
    tests(project, &["--workspace", "--test", "interop"])
        .env("BULLA_INTEROP_PYTHON", python)
        .env("BULLA_REQUIRE_INTEROP", "1")
        .run()
}

/// Built with the whole workspace too.
fn aws(project: &Project) -> Outcome {
    let python = tools::python(project, "aws", "testworld/aws-requirements.txt")?;
    let named = AWS_TESTS.iter().flat_map(|name| ["--test", name]);
    let selection: Vec<_> = ["--workspace"].into_iter().chain(named).collect();
    tests(project, &selection).env("BULLA_AWS_PYTHON", &python).env("BULLA_REQUIRE_AWS", "1").run()
}

/// Tests that need a world of their own.
fn tests(project: &Project, selection: &[&str]) -> Step {
    let runner: &[&str] = if tools::has_nextest(project) { &["nextest", "run"] } else { &["test"] };
    project.cargo(runner.iter().chain(selection))
}

/// All tests of a selection of packages, but no doctests and no benchmarks.
pub(crate) fn all_tests(project: &Project, selection: &[&str]) -> Step {
    let (before, after): (&[&str], &[&str]) = if tools::has_nextest(project) {
        (&["nextest", "run"], &[])
    } else {
        // `--tests` is libraries and binaries too. Asking for `--lib` fails for a package without.
        (&["test"], &["--tests", "--examples"])
    };
    project.cargo(before.iter().chain(selection).chain(after))
}
