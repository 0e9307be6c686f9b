//! A message being opened.

use std::fmt;

use super::{
    chunk::ChunkOpener,
    derive::{self, BodyKeys},
    header::Header,
    preamble::Preamble,
};
use crate::{
    context::EncryptionContext,
    crypto::TAG_LEN,
    error::{Error, Result},
    key::{DataKey, Plaintext, Wiped},
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
        data_key: &DataKey,
        all: &EncryptionContext,
    ) -> Result<Self> {
        preamble.check_tag(data_key)?;
        let Preamble { header, salt, commitment } = preamble;
        let x = derive::binding(header.suite, all);
        let keys = BodyKeys::derive(header.suite, data_key, &salt, &x)?;
        keys.check(&commitment)?;
        Ok(Self { chunks: ChunkOpener::new(header.suite, keys), header })
    }

    /// Opens all chunks of a value, or none.
    pub(crate) fn open_value(self, sealed: &[u8]) -> Result<Plaintext> {
        let suite = self.header.suite;
        let len = u64::try_from(sealed.len())
            .ok()
            .and_then(|len| suite.plaintext_len(len))
            .and_then(|len| usize::try_from(len).ok())
            .ok_or_else(Error::not_authentic)?;
        let mut plaintext = Wiped::zeros(len);
        let mut out: &mut [u8] = &mut plaintext;
        for (index, chunk) in (0..).zip(sealed.chunks(suite.sealed_chunk_len())) {
            let (head, tail) = out
                .split_at_mut_checked(chunk.len().saturating_sub(TAG_LEN))
                .ok_or_else(Error::not_authentic)?;
            self.chunks.open(index, chunk, head)?;
            out = tail;
        }
        Ok(Plaintext::new(plaintext.into_vec()))
    }
}

impl fmt::Debug for Opening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Opening").field("header", &self.header).finish_non_exhaustive()
    }
}
