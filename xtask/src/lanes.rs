//! The table of lanes, and the lanes that are a command or two.

use std::ffi::OsStr;

use Level::{All, Default, Quick};

use crate::{
    features, fuzz, house, lake, package, pipeline,
    project::{Outcome, Project, Step},
    providers::{self, Provider, ServersLane},
    readme, spiffe, store, tokens, tools,
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

type Run = dyn Fn(&Project, Level) -> Outcome;

pub(crate) struct Lane {
    pub(crate) name: String,
    pub(crate) about: String,
    /// The first level that runs it.
    pub(crate) level: Level,
    /// What it does more at the level `All`.
    pub(crate) more: Option<String>,
    pub(crate) run: Box<Run>,
}

impl Lane {
    fn new(
        name: &str,
        level: Level,
        about: &str,
        run: impl Fn(&Project, Level) -> Outcome + 'static,
    ) -> Self {
        let (name, about) = (name.to_owned(), about.to_owned());
        Self { name, about, level, more: None, run: Box::new(run) }
    }

    fn with_all(mut self, more: &str) -> Self {
        self.more = Some(more.to_owned());
        self
    }
}

/// Every lane, in the order in which they run. None is ever skipped: a lane that can't run fails.
pub(crate) fn all(providers: Vec<Provider>) -> Vec<Lane> {
    let mut lanes = vec![
        Lane::new("fmt", Quick, "formatting", fmt),
        Lane::new("clippy", Quick, "lints, all targets", clippy),
        Lane::new("test", Quick, "unit and integration tests", test),
        Lane::new("doctest", Quick, "examples in the documentation", doctest),
        Lane::new("house", Quick, "house rules on the sources", house::run),
        Lane::new("features", Default, "the core, providers and command with fewer", features::run)
            .with_all("lints and tests for every set of features"),
        Lane::new("doc", Default, "documentation builds without warnings", doc),
        Lane::new("deny", Default, "licences, banned crates and sources of dependencies", deny),
        Lane::new("interop", Default, "against another implementation, in Python", interop),
    ];
    lanes.extend(providers.iter().cloned().filter_map(servers));
    let several = move |project: &Project, _| several(project, &providers);
    lanes.extend([
        Lane::new("several", Default, "several providers at once, against servers", several),
        Lane::new("tokens", Default, "tokens for life, against other implementations", |p, _| {
            tokens::run(p)
        }),
        Lane::new("pipeline", Default, "what goes to storage, against servers", pipeline::run)
            .with_all("uploads of 1 GiB"),
        Lane::new("store", Default, "encrypted object stores, against emulators", store::run)
            .with_all("200 kills of a process that writes"),
        Lane::new(
            "spiffe",
            Default,
            "workload identities, against go-spiffe and Python",
            spiffe::run,
        )
        .with_all("workload identities, against go-spiffe, Python and SPIRE"),
        Lane::new("fuzz", Default, "every fuzz target, 5 seconds each", fuzz::lane)
            .with_all("60 seconds each"),
        Lane::new("readme", Default, "the README's commands, in a clean clone", readme::run),
        Lane::new("lake", All, "SQL over sealed Parquet, in one process and in several", lake::run),
        Lane::new("package", All, "what a release publishes, packed", package::run),
    ]);
    lanes
}

/// The lane of a provider that has servers to be tested against.
fn servers(provider: Provider) -> Option<Lane> {
    let ServersLane { name, long, .. } = provider.lane.clone()?;
    let about = format!("the provider for {}, against servers", provider.name);
    let run = {
        let name = name.clone();
        move |project: &Project, level| against_servers(project, &name, &provider, level)
    };
    let lane = Lane::new(&name, Default, &about, run);
    Some(match long {
        Some(long) => lane.with_all(&long),
        None => lane,
    })
}

fn fmt(project: &Project, _: Level) -> Outcome {
    project.cargo(["fmt", "--all", "--check"]).run()
}

fn clippy(project: &Project, _: Level) -> Outcome {
    let args = ["--all-targets", "--", "-D", "warnings"];
    project.cargo(["clippy"]).args(providers::workspace(project)?).args(args).run()
}

fn test(project: &Project, _: Level) -> Outcome {
    all_tests(project, &providers::workspace(project)?).run()
}

fn doctest(project: &Project, _: Level) -> Outcome {
    project.cargo(["test"]).args(providers::workspace(project)?).arg("--doc").run()
}

/// Libraries only: for a binary, rustdoc would document private items.
fn doc(project: &Project, _: Level) -> Outcome {
    project
        .cargo(["doc", "--no-deps", "--lib"])
        .args(providers::workspace(project)?)
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

fn interop(project: &Project, _: Level) -> Outcome {
    let python = tools::python(project, "interop", "tests/interop/requirements.txt")?;
    tests(project, &["interop"])?
        .env("BULLA_INTEROP_PYTHON", python)
        .env("BULLA_REQUIRE_INTEROP", "1")
        .run()
}

/// The tests of a provider, of the command with its keys, and of it beside others.
fn against_servers(project: &Project, name: &str, provider: &Provider, level: Level) -> Outcome {
    let tests = in_world(project, tests(project, &provider.lane_tests())?, name, provider)?;
    match level {
        All => tests.env("BULLA_LONG_TESTS", "1").run(),
        Quick | Default => tests.run(),
    }
}

/// The tests that need the servers of all providers.
fn several(project: &Project, providers: &[Provider]) -> Outcome {
    let mut step = tests(project, &["five", "several"])?;
    step = step.env("BULLA_TOKENS_PYTHON", tokens::python(project)?);
    step = step.env("BULLA_REQUIRE_TOKENS", "1");
    for provider in providers {
        if let Some(lane) = &provider.lane {
            step = in_world(project, step, &lane.name, provider)?;
        }
    }
    step.run()
}

/// Installs the servers of a provider, and names them to a step.
fn in_world(project: &Project, step: Step, name: &str, provider: &Provider) -> Outcome<Step> {
    let variable = name.to_uppercase();
    let lane = provider.lane.as_ref();
    let debian = lane.map_or(&[][..], |lane| &lane.debian);
    let (found, place) = if lane.is_some_and(|lane| lane.go) {
        ("BIN", tools::go(project, name)?)
    } else if debian.is_empty() {
        let requirements = format!("testworld/{name}-requirements.txt");
        ("PYTHON", tools::python(project, name, &requirements)?)
    } else {
        ("ROOT", tools::debian(project, name, debian)?)
    };
    let step = step.env(&format!("BULLA_{variable}_{found}"), &place);
    Ok(step.env(&format!("BULLA_REQUIRE_{variable}"), "1"))
}

/// Tests that need a world of their own, by their names. They are built with the whole workspace, as
/// the lane `test` does: its features, and so its artifacts.
pub(crate) fn tests(project: &Project, names: &[&str]) -> Outcome<Step> {
    let runner: &[&str] = if tools::has_nextest(project) { &["nextest", "run"] } else { &["test"] };
    let named = names.iter().flat_map(|name| ["--test", name]);
    Ok(project.cargo(runner).args(providers::workspace(project)?).args(named))
}

/// All tests of a selection of packages, but no doctests and no benchmarks. Those after a failure too: it
/// would hide what else fails.
pub(crate) fn all_tests(project: &Project, selection: &[impl AsRef<OsStr>]) -> Step {
    let (before, after): (&[&str], &[&str]) = if tools::has_nextest(project) {
        (&["nextest", "run", "--no-fail-fast"], &[])
    } else {
        // `--tests` is libraries and binaries too. Asking for `--lib` fails for a package without.
        (&["test", "--no-fail-fast"], &["--tests", "--examples"])
    };
    project.cargo(before).args(selection).args(after)
}
