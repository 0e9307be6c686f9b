//! Audits and rotations of stores in memory, in files and in S3.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    clippy::cast_possible_truncation,
    reason = "a test that can't go on has failed, or says why it is skipped"
)]

mod audit;
mod counted;
#[cfg(all(feature = "fs", target_os = "linux"))]
mod files;
mod keys;
mod rotation;
#[cfg(feature = "aws")]
mod s3;
mod scale;
mod world;
