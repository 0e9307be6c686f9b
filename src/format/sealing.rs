//! A message being sealed: its header, and its chunks behind it.

use std::fmt;

use super::{
    chunk::ChunkSealer,
    derive::{self, BodyKeys, Salt},
    header::Header,
    suite::Suite,
};
use crate::{
    context::Context,
    error::{Error, Result},
    key::{DataKey, Wrapped},
};

/// What is the same for every message sealed in one way.
pub(crate) struct Message {
    pub(crate) suite: Suite,
    /// Flag bit 0: the data key serves other messages too.
    pub(crate) shared: bool,
    pub(crate) padded: Option<u16>,
}

impl Message {
    /// Seals a value under a data key that was wrapped for these recipients.
    pub(crate) fn seal(
        &self,
        data_key: &DataKey,
        recipients: Vec<Wrapped>,
        context: &Context,
        plaintext: &[u8],
    ) -> Result<Vec<u8>> {
        let Sealing { mut bytes, mut chunks } = self.begin(data_key, recipients, context)?;
        let body_len = u64::try_from(plaintext.len())
            .ok()
            .and_then(|len| self.suite.sealed_len(len))
            .and_then(|len| usize::try_from(len).ok())
            .ok_or_else(|| Error::invalid("the value is too long"))?;
        let start = bytes.len();
        bytes.resize(start + body_len, 0);
        let mut out =
            bytes.get_mut(start..).unwrap_or_default().chunks_mut(self.suite.sealed_chunk_len());
        let mut input = plaintext.chunks(self.suite.chunk_len());
        // One chunk of output for each of input, and an empty one behind a full last chunk.
        out.try_for_each(|out| chunks.seal(input.next().unwrap_or_default(), out))?;
        Ok(bytes)
    }

    pub(crate) fn begin(
        &self,
        data_key: &DataKey,
        recipients: Vec<Wrapped>,
        context: &Context,
    ) -> Result<Sealing> {
        self.begin_with_salt(data_key, recipients, context, Salt::random()?)
    }

    pub(crate) fn begin_with_salt(
        &self,
        data_key: &DataKey,
        recipients: Vec<Wrapped>,
        context: &Context,
        salt: Salt,
    ) -> Result<Sealing> {
        let &Self { suite, shared, padded } = self;
        context.refuse_reserved()?;
        let mut header = Header::write(suite, shared, context.key().clone(), recipients, padded)?;
        let x = derive::binding(suite, context.all());
        let keys = BodyKeys::derive(suite, data_key, &salt, &x)?;
        let tag = derive::header_tag(data_key, header.untagged(), &salt, &keys.commitment)?;
        header.set_tag(&tag);
        let bytes = [header.as_bytes(), &salt.0, &keys.commitment].concat();
        Ok(Sealing { bytes, chunks: ChunkSealer::new(suite, keys) })
    }
}

/// A message being sealed: its data key is in hand, its head is made, and the KMS's part is done.
///
/// Hand it to an [`Encryptor`](crate::stream::Encryptor) or one of the adapters in
/// [`stream`](crate::stream). It serves one message and can't be cloned.
#[must_use = "an `Encryptor` or an adapter takes it on"]
pub struct Sealing {
    pub(crate) bytes: Vec<u8>,
    pub(crate) chunks: ChunkSealer,
}

impl Sealing {
    /// How many bytes the sealed form of `plaintext` bytes will have in all, or `None` past 4 PiB.
    #[must_use]
    pub fn sealed_len(&self, plaintext: u64) -> Option<u64> {
        let body = self.chunks.suite().sealed_len(plaintext)?;
        body.checked_add(u64::try_from(self.bytes.len()).ok()?)
    }
}

impl fmt::Debug for Sealing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sealing").field("len", &self.bytes.len()).finish_non_exhaustive()
    }
}
