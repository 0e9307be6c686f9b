//! The sealed format, byte by byte: one container for a value and for a stream, specified in
//! FORMAT.md.
//!
//! Nothing here calls a provider or does I/O. A [`Sealer`](crate::Sealer) makes a [`Sealing`] and an
//! [`Opener`](crate::Opener) an [`Opening`]; [`Header`] is what `bulla inspect` shows.

pub(crate) mod chunk;
pub(crate) mod derive;
mod direct;
mod familiar;
mod header;
mod opening;
mod preamble;
mod reader;
pub(crate) mod recipient;
mod sealing;
mod suite;
mod text;

pub use self::{
    direct::DirectMessage,
    header::{Header, MAX_RECIPIENTS, PREFIX_LEN},
    opening::Opening,
    preamble::{Preamble, PreambleReader},
    sealing::Sealing,
    suite::Suite,
    text::{TEXT_PREFIX, from_text, to_text},
};
pub(crate) use self::{
    familiar::Familiar,
    header::{fixed_len, split_tag, write},
    sealing::{Head, Message},
};
pub use crate::context::Transform;

/// The first bytes of sealed data.
pub const MAGIC: [u8; 5] = *b"bulla";

/// The first bytes of a direct message.
const DIRECT_MAGIC: [u8; 5] = *b"bulld";
