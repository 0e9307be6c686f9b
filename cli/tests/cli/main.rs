//! The command as its users meet it: files, pipes, terminals, signals and exit codes.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test that can't go on has failed, or says why it is skipped"
)]

mod access;
mod config;
mod context;
mod doctor;
mod files;
mod groups;
mod inspect;
mod interrupt;
#[cfg(feature = "oidc")]
mod issuers;
mod keys;
mod manual;
mod passphrase;
mod pipes;
mod range;
mod rewrap;
mod sandbox;
#[cfg(feature = "spiffe")]
mod spiffe;
mod tampering;
mod terminal;
mod together;
mod tokens;
mod transcripts;
