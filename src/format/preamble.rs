//! What stands before the chunks: header, salt and commitment.

use super::{
    derive::{AFTER_HEADER_LEN, COMMITMENT_LEN, SALT_LEN, Salt, Schedule},
    header::{Header, PREFIX_LEN},
};
use crate::error::{Error, Result};

/// Header, salt and commitment of one message, parsed and **not yet authenticated**.
///
/// An [`Opener`](crate::Opener) turns it into an [`Opening`](super::Opening).
#[derive(Clone, Debug)]
pub struct Preamble {
    pub(crate) header: Header,
    pub(crate) salt: Salt,
    pub(crate) commitment: [u8; COMMITMENT_LEN],
}

impl Preamble {
    /// Splits sealed bytes into head and chunks.
    ///
    /// # Errors
    /// As for [`Header::declared_len`] and [`Header::parse`], and
    /// [`NotAuthentic`](crate::ErrorKind::NotAuthentic) if the bytes end before the first chunk.
    pub fn split(sealed: &[u8]) -> Result<(Self, &[u8])> {
        let len = Header::declared_len(sealed)?;
        let (header, behind) = sealed.split_at_checked(len).ok_or_else(cut_short)?;
        let (preamble, chunks) = behind.split_at_checked(AFTER_HEADER_LEN).unwrap_or((behind, &[]));
        Ok((Self::from_parts(header, preamble)?, chunks))
    }

    fn from_parts(header: &[u8], behind: &[u8]) -> Result<Self> {
        let header = Header::parse(header)?;
        let cut = Error::not_authentic;
        let (salt, rest) = behind.split_first_chunk::<SALT_LEN>().ok_or_else(cut)?;
        let commitment = rest.first_chunk().ok_or_else(cut)?;
        Ok(Self { header, salt: Salt(*salt), commitment: *commitment })
    }

    /// The header: not authenticated.
    #[must_use]
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// How many bytes stand before the first chunk: the header and 56 more.
    #[must_use]
    pub fn len(&self) -> usize {
        self.header.as_bytes().len() + AFTER_HEADER_LEN
    }

    /// Never: a preamble has at least 109 bytes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        false
    }

    /// Holds the header against a data key, in constant time.
    pub(crate) fn check_tag(&self, schedule: &Schedule) -> Result<()> {
        let Self { header, salt, commitment } = self;
        schedule.check_tag(header.tag(), header.suite(), header.untagged(), salt, commitment)
    }
}

/// Collects a [`Preamble`] from pieces of any size; takes no byte of the chunks behind it.
#[derive(Debug, Default)]
pub struct PreambleReader {
    bytes: Vec<u8>,
    /// The length of the whole head, once the prefix has told it.
    len: Option<usize>,
}

impl PreambleReader {
    /// A reader that has seen nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// How many more bytes are needed before anything new can be said; 0 when the head is whole.
    #[must_use]
    pub fn needed(&self) -> usize {
        self.len.unwrap_or(PREFIX_LEN) - self.bytes.len()
    }

    /// Takes what it needs of `input`, and returns how many bytes that was. Holds at most
    /// 65,591 bytes whatever the input claims.
    ///
    /// # Errors
    /// As for [`Header::declared_len`].
    pub fn push(&mut self, input: &[u8]) -> Result<usize> {
        let mut taken = 0;
        while self.needed() > 0 {
            let rest = input.get(taken..).unwrap_or_default();
            let piece = rest.get(..self.needed()).unwrap_or(rest);
            if piece.is_empty() {
                break;
            }
            self.bytes.extend_from_slice(piece);
            taken += piece.len();
            if self.len.is_none() && self.bytes.len() == PREFIX_LEN {
                self.len = Some(Header::declared_len(&self.bytes)? + AFTER_HEADER_LEN);
            }
        }
        Ok(taken)
    }

    /// The head, when [`needed`](Self::needed) is 0.
    ///
    /// # Errors
    /// [`Malformed`](crate::ErrorKind::Malformed) if the bytes ended inside the header or break
    /// one of its rules; [`NotAuthentic`](crate::ErrorKind::NotAuthentic) if they ended behind it.
    pub fn finish(self) -> Result<Preamble> {
        let header_len = match self.len {
            Some(len) => len - AFTER_HEADER_LEN,
            // Tells "not sealed data at all" from "cut short".
            None => Header::declared_len(&self.bytes)?,
        };
        let (header, behind) = self.bytes.split_at_checked(header_len).ok_or_else(cut_short)?;
        Preamble::from_parts(header, behind)
    }
}

fn cut_short() -> Error {
    Error::malformed("the header is cut short")
}
