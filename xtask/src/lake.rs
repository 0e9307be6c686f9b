//! The lane of SQL engines over sealed Parquet: a workspace of its own, which takes long to build.

use crate::{
    lanes::Level,
    project::{Outcome, Project},
};

const MANIFEST: &str = "examples/datafusion/Cargo.toml";

pub(crate) fn run(project: &Project, _: Level) -> Outcome {
    project.cargo(["fmt", "--check", "--manifest-path", MANIFEST]).run()?;
    project
        .cargo(["test", "--locked", "--manifest-path", MANIFEST, "--target-dir"])
        .arg(project.target("lake"))
        .titled("cargo test (in examples/datafusion/)")
        .run()
}
