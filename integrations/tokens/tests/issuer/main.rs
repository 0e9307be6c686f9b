//! Access tokens and refresh tokens.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "helpers of tests are tests too"
)]

mod access;
mod refresh;
mod revocation;
mod routes;
mod stores;
mod world;
