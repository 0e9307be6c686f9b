//! Servers for the tests of `bulla`: emulators as child processes on free loopback ports.
//!
//! What they need comes from a virtual environment, or from Debian packages, that `cargo xtask test` sets
//! up below the target directory and names by an environment variable. A test that finds none says so, or
//! fails where the variable `BULLA_REQUIRE_…` of its lane is set: none is skipped silently.
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
mod counter;
#[cfg(feature = "aws-kms")]
pub mod kms;
#[cfg(feature = "pkcs11")]
mod nss;
mod openbao;
mod python;
mod server;
mod softhsm;
#[cfg(feature = "pkcs11")]
pub mod tokens;

pub use aws::{Microburst, Ministack, Moto};
pub use counter::Counter;
#[cfg(feature = "pkcs11")]
pub use nss::Nss;
pub use openbao::OpenBao;
pub use python::Python;
pub use server::Server;
pub use softhsm::SoftHsm;
