//! Bundles of other trust domains, over TLS on this host.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "helpers of tests are tests too"
)]

mod answers;
mod lifecycle;
mod spiffe;
mod world;
