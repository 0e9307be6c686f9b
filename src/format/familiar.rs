//! A value whose wraps are known already, as those of a cached data key are.

use super::{
    chunk::ChunkOpener,
    derive::{AFTER_HEADER_LEN, COMMITMENT_LEN, SALT_LEN, Salt, Schedule, TAG_LEN},
    header::{PREFIX_LEN, Prefix},
    opening::open_chunks,
    reader::Reader,
    suite::Suite,
};
use crate::{context::EncryptionContext, error::Result, key::Plaintext};

/// A sealed value, taken apart no further than its data key can be looked up with. **Nothing in it
/// is authenticated yet.**
///
/// To read context and recipients takes a third of the time that opening a small value takes, and
/// says nothing that is not known of the data key, if it was unwrapped from the same bytes.
pub(crate) struct Familiar<'a> {
    suite: Suite,
    untagged: &'a [u8],
    tag: &'a [u8; TAG_LEN],
    salt: Salt,
    commitment: &'a [u8; COMMITMENT_LEN],
    chunks: &'a [u8],
}

impl<'a> Familiar<'a> {
    /// `None` for whatever a whole parse has to judge, and for a header that may be padded: only
    /// without padding is all behind the prefix what an unwrap depends on.
    pub(crate) fn split(sealed: &'a [u8]) -> Option<Self> {
        let Prefix { suite, len, .. } = Prefix::parse(&mut Reader(sealed)).ok()?;
        let (header, behind) = sealed.split_at_checked(len)?;
        let (untagged, tag) = header.split_last_chunk()?;
        if untagged.last() == Some(&0) {
            return None;
        }
        let (after, chunks) = behind.split_at_checked(AFTER_HEADER_LEN)?;
        let (salt, commitment) = after.split_first_chunk::<SALT_LEN>()?;
        let (salt, commitment) = (Salt(*salt), commitment.first_chunk()?);
        Some(Self { suite, untagged, tag, salt, commitment, chunks })
    }

    /// What [`Header::wraps`](super::Header::wraps) is of the same header, if that is well-formed.
    pub(crate) fn wraps(&self) -> &'a [u8] {
        self.untagged.get(PREFIX_LEN..).unwrap_or_default()
    }

    /// Checks header and commitment under the data key and the whole context, and opens the value.
    pub(crate) fn open(&self, schedule: &Schedule, all: &EncryptionContext) -> Result<Plaintext> {
        let Self { suite, untagged, tag, salt, commitment, chunks } = self;
        schedule.check_tag(*tag, *suite, untagged, salt, commitment)?;
        let keys = schedule.body_keys(*suite, salt, all)?;
        keys.check(commitment)?;
        open_chunks(&ChunkOpener::new(*suite, keys), chunks)
    }
}
