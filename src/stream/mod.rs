//! Streams: one engine without I/O, and thin adapters over it.
//!
//! | plaintext or sealed bytes come from / go to | sealing | opening |
//! |---|---|---|
//! | [`std::io`] and [`tokio::io`](::tokio::io) readers | [`EncryptReader`] | [`DecryptReader`] |
//! | [`std::io`] and [`tokio::io`](::tokio::io) writers | [`EncryptWriter`] | [`DecryptWriter`] |
//! | a [`Stream`](futures_core::Stream) of [`Bytes`](::bytes::Bytes) | [`EncryptStream`] | [`DecryptStream`] |
//! | anything that reads at an offset | – | [`RangeReader`] |
//! | files and other readers and writers, on several threads | [`Parallel`] | [`Parallel`] |
//! | your own loop | [`Encryptor`] | [`Decryptor`] |
//! | your own loop, in any order and on any thread | [`RunSealer`] | [`RandomAccess`] |
//!
//! Each starts from a [`Sealing`](crate::format::Sealing) or an
//! [`Opening`](crate::format::Opening), for which a [`Sealer`](crate::Sealer) or
//! [`Opener`](crate::Opener) called the KMS, once. From there on everything is local, and memory
//! is constant: one chunk of plaintext and one of ciphertext, but for [`Parallel`], which holds
//! some megabytes.
//!
//! **What ends a message.** Only a clean end of the source (readers, streams) or an explicit
//! `finish` (writers, engine) writes the last chunk. After an error, a cancellation or a drop, what
//! was written does not open. The same holds the other way: an adapter that has not said that the
//! message ended has not vouched for its length.

mod bytes;
mod decryptor;
mod encryptor;
mod engine;
mod layout;
pub mod parallel;
mod preamble;
mod random;
mod range;
mod runs;
mod sync;
mod tokio;

pub use self::{
    bytes::{DecryptStream, EncryptStream},
    decryptor::Decryptor,
    encryptor::Encryptor,
    engine::{DecryptReader, DecryptWriter, EncryptReader, EncryptWriter, Engine, Reader, Writer},
    layout::Layout,
    parallel::Parallel,
    preamble::{read_preamble, read_preamble_async, read_preamble_at},
    random::RandomAccess,
    range::{RangeReader, ReadAt, read_at_with},
    runs::{RunSealer, SealRun},
};

pub(crate) use self::preamble::read_preamble_of;

#[cfg(test)]
mod tests;
