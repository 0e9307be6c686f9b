//! Against other implementations: programs on go-spiffe, the client in Python and, with `--all`, SPIRE. The lane
//! `spiffe` builds them. What is asked of this crate's server is asked of theirs first.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "helpers of tests are tests too"
)]

mod clients;
mod endpoint;
mod federation;
mod honest;
mod served;
#[cfg(unix)]
mod server;
#[cfg(unix)]
mod spire;
mod tls;
mod tokens;

use bulla_spiffe::{Bundle, BundleSource};

/// A bundle as it is now.
async fn bundle_of(source: &impl BundleSource) -> std::sync::Arc<Bundle> {
    source.bundle().await.unwrap()
}
