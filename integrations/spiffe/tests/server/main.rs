//! The Workload API as its clients see it, and what is made of it: sources and mTLS.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "helpers of tests are tests too"
)]

mod attested;
mod bounds;
mod fetched;
mod mtls;
mod sockets;
mod tokens;
mod world;
