//! The lane of workload identities: against programs on go-spiffe, the client in Python and, for a release, SPIRE.

use crate::{
    lanes::{Level, tests},
    project::{Outcome, Project},
    tools,
};

/// The tests that need them, by their names.
const TESTS: [&str; 2] = ["identities", "spiffe_peers"];

pub(crate) fn run(project: &Project, level: Level) -> Outcome {
    let programs = tools::go(project, "spiffe")?;
    let python = tools::python(project, "spiffe-python", "testworld/spiffe-requirements.txt")?;
    let tests = tests(project, &TESTS)?
        .env("BULLA_SPIFFE_BIN", &programs)
        .env("BULLA_SPIFFE_PYTHON", &python)
        .env("BULLA_REQUIRE_SPIFFE", "1");
    match level {
        // Building SPIRE takes longer than all else that the lane does.
        Level::All => {
            let spire = tools::go_and_c(project, "spire")?;
            tests
                .env("BULLA_SPIRE_BIN", &spire)
                .env("BULLA_REQUIRE_SPIRE", "1")
                .env("BULLA_LONG_TESTS", "1")
                .run()
        }
        Level::Quick | Level::Default => tests.run(),
    }
}
