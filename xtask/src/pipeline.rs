//! The lane of what goes to storage: against Redis, SQLite and, by curl, the example that takes uploads.

use crate::{
    lanes::{Level, tests},
    project::{Outcome, Project},
    tools,
};

/// The tests that it runs, by their names. The last one is the command's, which is built for it: a walkthrough calls it.
const TESTS: [&str; 4] = ["redis", "sqlite", "uploads", "walkthrough"];

/// Redis, and what it needs that a small system may lack.
const PACKAGES: [&str; 5] =
    ["redis-server", "redis-tools", "libatomic1", "libjemalloc2", "liblzf1"];

pub(crate) fn run(project: &Project, level: Level) -> Outcome {
    let root = tools::debian(project, "pipeline", &PACKAGES.map(str::to_owned))?;
    let tests = tests(project, &TESTS)?
        .env("BULLA_PIPELINE_ROOT", &root)
        .env("BULLA_REQUIRE_PIPELINE", "1");
    match level {
        Level::All => tests.env("BULLA_LONG_TESTS", "1").run(),
        Level::Quick | Level::Default => tests.run(),
    }
}
