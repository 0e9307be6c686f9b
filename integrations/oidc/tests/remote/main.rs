//! Keys of an issuer, over HTTP, from a server in this process.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "helpers of tests are tests too"
)]

mod cache;
mod discovery;
mod http;
mod observability;
mod outage;
mod tls;
mod world;
