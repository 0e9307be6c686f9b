//! The table of lanes, and the lanes that are a command or two.

use Level::{Default, Quick};

use crate::{
    features, fuzz, house,
    project::{Outcome, Project, Step},
    readme, tools,
};

/// How much is run. Each level runs what those before it do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Level {
    /// For daily use.
    Quick,
    /// For a change that is ready.
    Default,
    /// For a release.
    All,
}

impl Level {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Quick => "quick",
            Self::Default => "default",
            Self::All => "all",
        }
    }
}

pub(crate) struct Lane {
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    /// The first level that runs it.
    pub(crate) level: Level,
    /// What it does more at the level `All`.
    pub(crate) more: Option<&'static str>,
    pub(crate) run: fn(&Project, Level) -> Outcome,
}

impl Lane {
    const fn new(
        name: &'static str,
        level: Level,
        about: &'static str,
        run: fn(&Project, Level) -> Outcome,
    ) -> Self {
        Self { name, about, level, more: None, run }
    }

    const fn with_all(mut self, more: &'static str) -> Self {
        self.more = Some(more);
        self
    }
}

/// Every lane, in the order in which they run. None is ever skipped: a lane that can't run fails.
pub(crate) const LANES: &[Lane] = &[
    Lane::new("fmt", Quick, "formatting", fmt),
    Lane::new("clippy", Quick, "lints, all targets", clippy),
    Lane::new("test", Quick, "unit and integration tests", test),
    Lane::new("doctest", Quick, "examples in the documentation", doctest),
    Lane::new("house", Quick, "house rules on the sources", house::run),
    Lane::new("features", Default, "the core and the providers with other features", features::run)
        .with_all("lints and tests for every set of features"),
    Lane::new("doc", Default, "documentation builds without warnings", doc),
    Lane::new("deny", Default, "licences, banned crates and sources of dependencies", deny),
    Lane::new("interop", Default, "against another implementation, in Python", interop),
    Lane::new("aws", Default, "the AWS KMS provider, against emulators in Python", aws),
    Lane::new("fuzz", Default, "every fuzz target, 5 seconds each", fuzz::lane)
        .with_all("60 seconds each"),
    Lane::new("readme", Default, "the README's commands, in a clean clone", readme::run),
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

fn fmt(project: &Project, _: Level) -> Outcome {
    project.cargo(["fmt", "--all", "--check"]).run()
}

fn clippy(project: &Project, _: Level) -> Outcome {
    project.cargo(["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]).run()
}

fn test(project: &Project, _: Level) -> Outcome {
    all_tests(project, &["--workspace"]).run()
}

fn doctest(project: &Project, _: Level) -> Outcome {
    project.cargo(["test", "--workspace", "--doc"]).run()
}

/// Libraries only: for a binary, rustdoc would document private items.
fn doc(project: &Project, _: Level) -> Outcome {
    project
        .cargo(["doc", "--workspace", "--no-deps", "--lib"])
        .env("RUSTDOCFLAGS", "-D warnings")
        .run()
}

/// Not `advisories`: cargo-deny fetches their database with git, from a place that builds without
/// full network access can't reach.
fn deny(project: &Project, _: Level) -> Outcome {
    let cargo_deny = tools::cargo_deny(project)?;
    // Without `--workspace`, only the root package and what it depends on.
    let checks = ["--workspace", "check", "--hide-inclusion-graph", "licenses", "bans", "sources"];
    project.command(cargo_deny, checks).run()
}

/// Built with the whole workspace, as the lane `test` does: its features, and so its artifacts.
fn interop(project: &Project, _: Level) -> Outcome {
    let python = tools::python(project, "interop", "tests/interop/requirements.txt")?;
    tests(project, &["--workspace", "--test", "interop"])
        .env("BULLA_INTEROP_PYTHON", python)
        .env("BULLA_REQUIRE_INTEROP", "1")
        .run()
}

/// Built with the whole workspace too.
fn aws(project: &Project, _: Level) -> Outcome {
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
