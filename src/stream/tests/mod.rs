//! The engine and its adapters.

#![allow(clippy::cast_possible_truncation, reason = "small numbers of test data")]

use std::{
    io,
    pin::Pin,
    task::{Context as Task, Poll},
};

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt, ReadBuf};

use super::{
    DecryptReader, DecryptWriter, Decryptor, EncryptWriter, Encryptor, RangeReader, ReadAt,
    read_at_with, read_preamble,
};
use crate::{
    Context, CryptoProviderExt as _, Error, ErrorKind, Opener, Result, Sealer,
    envelope::tests::{context, kind},
    format::{Preamble, Suite},
    testing::Fake,
};

mod adapters;
mod damage;
mod random;
mod range;

const CHUNK: usize = 65_536;

/// Lengths at and around every boundary that there is.
const LENGTHS: [usize; 14] = [
    0,
    1,
    15,
    16,
    17,
    16_383,
    16_384,
    16_385,
    CHUNK - 1,
    CHUNK,
    CHUNK + 1,
    2 * CHUNK - 1,
    2 * CHUNK,
    3 * CHUNK + 5,
];

fn plaintext(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i % 251) as u8).collect()
}

fn sealer(fake: &Fake, suite: Suite) -> Sealer<&Fake> {
    Sealer::builder().recipient(fake).suite(suite).build().unwrap()
}

async fn sealed(fake: &Fake, suite: Suite, plaintext: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let reader = sealer(fake, suite).encrypt_reader(plaintext, &context()).await.unwrap();
    AsyncReadExt::read_to_end(&mut { reader }, &mut out).await.unwrap();
    out
}

/// Opens a whole message in memory by way of a stream's reader.
async fn opened(fake: &Fake, sealed: &[u8]) -> Result<Vec<u8>> {
    let mut reader = fake.decrypt_reader(sealed, &context()).await?;
    let mut out = Vec::new();
    AsyncReadExt::read_to_end(&mut reader, &mut out).await.map_err(Error::from_io)?;
    Ok(out)
}
