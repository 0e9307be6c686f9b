//! `bulla store` on local files, and on S3 as MiniStack plays it.
#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test that can't go on has failed, or says why it is skipped"
)]

#[path = "store/azure.rs"]
mod azure;
#[path = "store/files.rs"]
mod files;
#[path = "store/killed.rs"]
mod killed;
#[cfg(feature = "aws-kms")]
#[path = "store/kms.rs"]
mod kms;
#[path = "store/objects.rs"]
mod objects;
#[path = "store/s3.rs"]
mod s3;
#[path = "cli/sandbox.rs"]
mod sandbox;
