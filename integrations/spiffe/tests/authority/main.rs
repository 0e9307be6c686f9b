//! X.509-SVIDs, looked at by those who will have to accept them: webpki, OpenSSL, and the crate `x509-cert`.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "helpers of tests are tests too"
)]

mod certificates;
mod chains;
mod requests;
mod world;
