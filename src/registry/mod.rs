//! Named providers, in one place: a value that the application owns, never a global.

mod builder;
mod connect;
pub(crate) mod named;

pub(crate) use self::named::{Registry, SharedProvider};
pub use self::{builder::RegistryBuilder, connect::Connect};

#[cfg(test)]
#[cfg(any(feature = "aws-lc-rs", feature = "rustcrypto"))]
mod tests;
