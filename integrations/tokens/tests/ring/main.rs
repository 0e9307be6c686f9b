//! Rings of signing keys.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "helpers of tests are tests too"
)]

mod keys;
mod rules;
mod simulation;
mod stores;
mod world;
