//! The sealed format: one container for a value and for a stream, specified in FORMAT.md.
//!
//! [`Sealer`] and [`Opener`] hold the providers; [`Header`] is what `bulla inspect` shows. The
//! rooms behind them: `header` is the codec, `derive` the key schedule, `suite` the constants,
//! `text` the text form.

mod batch;
mod cache;
pub(crate) mod derive;
pub(crate) mod direct;
mod head;
pub(crate) mod header;
mod hedge;
mod message;
mod opener;
mod renew;
mod rewrap;
mod sealer;
mod suite;
mod text;
mod wrapping;

pub use batch::{BatchItem, SealedBatch};
pub use cache::{CachePolicy, CachePolicyBuilder, CacheStats};
pub use direct::DirectMessage;
pub use head::{Head, HeadReader};
pub use header::{Header, MAGIC, MAX_RECIPIENTS, PREFIX_LEN};
pub use hedge::Hedge;
pub use message::SealedHeader;
pub use opener::{OpenedHeader, Opener};
pub use renew::{Renewal, reencrypt};
pub use rewrap::{Rewrap, Rewrapped};
pub use sealer::{DEFAULT_HEADER_LEN, Sealer, SealerBuilder};
pub use suite::Suite;
pub use text::{TEXT_PREFIX, from_text, to_text};
pub use wrapping::{MissingRecipient, WritePolicy};

#[cfg(test)]
pub(crate) mod tests;
