//! Envelope encryption: data keys wrapped by providers, around the sealed format.

mod batch;
mod cache;
pub(crate) mod direct;
mod hedge;
pub(crate) mod opener;
mod renew;
mod rewrap;
pub(crate) mod sealer;
mod streams;
mod wrapping;

pub use batch::{BatchItem, SealedBatch};
pub use cache::{CachePolicy, CachePolicyBuilder, CacheStats};
pub use hedge::Hedge;
pub use opener::OpenerBuilder;
pub use renew::Renewal;
pub use rewrap::{Rewrap, Rewrapped};
pub use sealer::{DEFAULT_HEADER_LEN, SealerBuilder};
pub use wrapping::{MissingRecipient, WritePolicy};

pub(crate) use self::{opener::Opener, sealer::Sealer};

#[cfg(test)]
pub(crate) mod tests;
