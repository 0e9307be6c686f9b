//! The lane of encrypted object stores: against emulators of S3 and Azure Blob, and processes that are killed.

use crate::{
    lanes::{Level, tests},
    project::{Outcome, Project},
    tools,
};

/// The tests that need them, by their names.
const TESTS: [&str; 4] = ["store_remote", "store_kill", "maintain", "store"];

pub(crate) fn run(project: &Project, level: Level) -> Outcome {
    let aws = tools::python(project, "aws", "testworld/aws-requirements.txt")?;
    let azurite = tools::node(project, "azurite")?;
    let tests = tests(project, &TESTS)?
        .env("BULLA_AWS_PYTHON", &aws)
        .env("BULLA_STORE_NODE", &azurite)
        .env("BULLA_REQUIRE_AWS", "1")
        .env("BULLA_REQUIRE_STORE", "1");
    match level {
        Level::All => tests.env("BULLA_LONG_TESTS", "1").run(),
        Level::Quick | Level::Default => tests.run(),
    }
}
