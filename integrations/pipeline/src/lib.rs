//! Byte streams and values on their way to storage: compressed, sealed, and back.
//!
//! | to | start at |
//! |---|---|
//! | compress and seal streams, readers and writers | [`Chain`] and [`Writing`] |
//! | open and decompress them | [`Reading`] |
//! | bound what comes out of compressed bytes | [`Bounds`] |
//! | seal values of caches and database columns | [`Values`] and [`Place`] |
//! | upload what may have to be tried again | [`Source`] and [`Writing::upload`] |
//!
//! # Compression tells of contents
//!
//! A compressed message is as long as its plaintext is repetitive. Where somebody can put bytes of their own into a
//! message beside a secret, and see its length, they find the secret out (CRIME, BREACH). So nothing is compressed
//! unless a [`Chain`] says so, and nothing is decompressed unless a [`Reading`] allows it.
//!
//! # Memory
//!
//! Buffers of plaintext in this crate are wiped when they are dropped. Zstandard's own, a window of up to 8 MiB on
//! each way and its tables, are freed without being wiped, and so is what streams yield, which is the caller's.

mod bounds;
mod chain;
mod source;
mod streams;
mod upload;
mod values;
mod wiped;
mod writer;
mod zstd;

pub use self::{
    bounds::{Bounds, BoundsBuilder},
    chain::{Chain, Plain, Reading, ReadingBuilder, Writing},
    source::{FileSource, Once, Source, source_with},
    streams::{ByteStream, OpenedReader, SealedReader},
    upload::Attempts,
    values::{Place, ValueBounds, Values, ValuesBuilder},
    writer::SealedWriter,
    zstd::Zstd,
};
