//! One data key for many values, within limits.
//!
//! Nothing of this is a wrapper around a provider, since what limits the use of a data key is how
//! many messages and bytes it has sealed, and a provider doesn't see those. A sealer has a cache of
//! its own, so two sets of recipients can't share a key, and neither can two openers with different
//! providers. `table` is what both are made of.

mod opening;
mod policy;
mod sealing;
mod stats;
mod table;
#[cfg(test)]
mod tests;

pub(super) use self::{
    opening::{Found, OpeningCache},
    sealing::{Lease, SealingCache, Wanted},
};
pub use self::{
    policy::{CachePolicy, CachePolicyBuilder},
    stats::CacheStats,
};
