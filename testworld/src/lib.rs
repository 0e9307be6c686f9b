//! Servers for the tests of `bulla`: emulators as child processes on free loopback ports.
//!
//! What they need comes from a virtual environment, from Debian packages, or from a Go module, and
//! `cargo xtask test` sets it up below the target directory and names it by an environment variable. A test
//! that finds none says so, or fails where the variable `BULLA_REQUIRE_…` of its lane is set: none is skipped
//! silently.
//!
//! No emulator of AWS KMS is honest about everything. Which is asked about what is said where they
//! are used.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "it is part of tests only, which fail by panicking"
)]

mod aws;
#[cfg(feature = "azure")]
pub mod azure;
mod azurite;
mod counter;
mod gcp;
#[cfg(feature = "aws-kms")]
pub mod kms;
mod node;
#[cfg(feature = "pkcs11")]
mod nss;
mod openbao;
mod postgres;
mod python;
mod redis;
mod server;
mod softhsm;
mod spiffe;
#[cfg(unix)]
mod spire;
#[cfg(feature = "pkcs11")]
pub mod tokens;
#[cfg(unix)]
mod walkthrough;
mod watch;

pub use aws::{Microburst, Ministack, Moto};
pub use azurite::Azurite;
pub use counter::Counter;
pub use gcp::CloudKms;
pub use node::Node;
#[cfg(feature = "pkcs11")]
pub use nss::Nss;
pub use openbao::OpenBao;
pub use postgres::Postgres;
pub use python::Python;
pub use redis::Redis;
pub use server::Server;
pub use softhsm::SoftHsm;
pub use spiffe::{GoSpiffe, TrustDomain, write};
#[cfg(unix)]
pub use spire::{Endpoint, Spire};
#[cfg(unix)]
pub use walkthrough::walk;
pub use watch::Watch;
