//! A message being opened.

use std::fmt;

use super::{chunk::ChunkOpener, derive::Schedule, header::Header, preamble::Preamble};
use crate::{
    context::EncryptionContext,
    error::{Error, Result},
    key::{Plaintext, Wiped},
};

/// A message being opened: its head is authenticated, its chunks are to come, and the KMS's part is
/// done.
///
/// Hand it to a [`Decryptor`](crate::stream::Decryptor) or one of the adapters in
/// [`stream`](crate::stream).
pub struct Opening {
    pub(crate) chunks: ChunkOpener,
    pub(crate) header: Header,
}

impl Opening {
    /// The header, authenticated by the data key.
    #[must_use]
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// Checks header and commitment under the data key and the whole context.
    pub(crate) fn check(
        preamble: Preamble,
        schedule: &Schedule,
        all: &EncryptionContext,
    ) -> Result<Self> {
        preamble.check_tag(schedule)?;
        let Preamble { header, salt, commitment } = preamble;
        let keys = schedule.body_keys(header.suite, &salt, all)?;
        keys.check(&commitment)?;
        Ok(Self { chunks: ChunkOpener::new(header.suite, keys), header })
    }

    /// Opens all chunks of a value, or none.
    pub(crate) fn open_value(self, sealed: &[u8]) -> Result<Plaintext> {
        open_chunks(&self.chunks, sealed)
    }
}

/// Opens all chunks of a value, or none.
pub(super) fn open_chunks(chunks: &ChunkOpener, sealed: &[u8]) -> Result<Plaintext> {
    let len = u64::try_from(sealed.len())
        .ok()
        .and_then(|len| chunks.suite().plaintext_len(len))
        .and_then(|len| usize::try_from(len).ok())
        .ok_or_else(Error::not_authentic)?;
    let mut plaintext = Wiped::zeros(len);
    chunks.open_run(0, sealed, &mut plaintext, || false)?;
    Ok(Plaintext::new(plaintext.into_vec()))
}

impl fmt::Debug for Opening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Opening").field("header", &self.header).finish_non_exhaustive()
    }
}
