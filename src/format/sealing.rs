//! A message being sealed: its header, and its chunks behind it.

use std::fmt;

use super::{
    chunk::ChunkSealer,
    derive::{AFTER_HEADER_LEN, Salt, Schedule},
    header::{self, split_tag},
    suite::Suite,
};
use crate::{
    context::{Context, EncryptionContext},
    error::{Error, Result},
    key::Wrapped,
};

/// What a header is made from.
#[derive(Clone, Copy)]
pub(crate) enum Head<'a> {
    /// The recipients that the data key was wrapped for.
    Recipients(&'a [Wrapped]),
    /// A header that was [written](header::write) before, its tag still zero.
    Written(&'a [u8]),
}

/// What is the same for every message sealed in one way.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Message {
    pub(crate) suite: Suite,
    /// Flag bit 0: the data key serves other messages too.
    pub(crate) shared: bool,
    pub(crate) padded: Option<u16>,
}

impl Message {
    /// A header for all messages of one data key, its tag still zero.
    pub(crate) fn write_head(
        &self,
        recipients: &[Wrapped],
        stored: &EncryptionContext,
    ) -> Result<Vec<u8>> {
        header::write(self.suite, self.shared, stored, recipients, self.padded, 0)
    }

    /// Seals a value under a data key that was wrapped for the recipients in `head`.
    pub(crate) fn seal(
        &self,
        schedule: &Schedule,
        head: Head<'_>,
        context: &Context,
        plaintext: &[u8],
    ) -> Result<Vec<u8>> {
        let body_len = u64::try_from(plaintext.len())
            .ok()
            .and_then(|len| self.suite.sealed_len(len))
            .and_then(|len| usize::try_from(len).ok())
            .ok_or_else(|| Error::invalid("the value is too long"))?;
        let salt = Salt::random()?;
        let Sealing { mut bytes, mut chunks } =
            self.begin_with(schedule, head, context, salt, body_len)?;
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
        schedule: &Schedule,
        recipients: &[Wrapped],
        context: &Context,
    ) -> Result<Sealing> {
        let head = Head::Recipients(recipients);
        self.begin_with(schedule, head, context, Salt::random()?, 0)
    }

    /// `body_len` is how many bytes will follow, for which room is made at once.
    pub(crate) fn begin_with(
        &self,
        schedule: &Schedule,
        head: Head<'_>,
        context: &Context,
        salt: Salt,
        body_len: usize,
    ) -> Result<Sealing> {
        let &Self { suite, shared, padded } = self;
        context.refuse_reserved()?;
        let room = AFTER_HEADER_LEN + body_len;
        let mut bytes = match head {
            Head::Recipients(recipients) => {
                header::write(suite, shared, context.key(), recipients, padded, room)?
            }
            Head::Written(header) => {
                let mut bytes = Vec::with_capacity(header.len() + room);
                bytes.extend_from_slice(header);
                bytes
            }
        };
        let keys = schedule.body_keys(suite, &salt, context.all())?;
        let (untagged, _) = split_tag(&mut bytes);
        let tag = schedule.header_tag(suite, untagged, &salt, &keys.commitment)?;
        let (_, place) = split_tag(&mut bytes);
        *place = tag;
        bytes.extend_from_slice(&salt.0);
        bytes.extend_from_slice(&keys.commitment);
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
