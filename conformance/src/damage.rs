//! Messages with something wrong, made from good ones.

use bulla::format::{Header, PREFIX_LEN, Suite};

/// The bytes before the first chunk.
pub(crate) fn head_len(sealed: &[u8]) -> usize {
    let prefix = sealed.get(..PREFIX_LEN).unwrap_or_default();
    Header::declared_len(prefix).map_or(0, |len| len + 56)
}

/// Preamble and chunks.
pub(crate) fn split(sealed: &[u8], suite: Suite) -> (&[u8], Vec<&[u8]>) {
    let (head, body) = sealed.split_at_checked(head_len(sealed)).unwrap_or((sealed, &[]));
    (head, body.chunks(suite.sealed_chunk_len()).collect())
}

/// One bit of one byte changed.
pub(crate) fn flip(sealed: &[u8], at: usize) -> Vec<u8> {
    let mut bad = sealed.to_vec();
    if let Some(byte) = bad.get_mut(at) {
        *byte ^= 1 << (at % 8);
    }
    bad
}

/// Two bytes replaced.
pub(crate) fn with_u16(sealed: &[u8], at: usize, value: u16) -> Vec<u8> {
    let mut bad = sealed.to_vec();
    if let Some(field) = bad.get_mut(at..at + 2) {
        field.copy_from_slice(&value.to_be_bytes());
    }
    bad
}
