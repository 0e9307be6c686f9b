//! Fields, off the front of bytes that an attacker may have written.

use crate::{
    context::EncryptionContext,
    error::{Error, Result},
};

/// Takes bytes off the front, and never more than there are.
pub(crate) struct Reader<'a>(pub(crate) &'a [u8]);

impl<'a> Reader<'a> {
    pub(crate) fn take(&mut self, len: usize) -> Result<&'a [u8]> {
        let (head, tail) = self
            .0
            .split_at_checked(len)
            .ok_or_else(|| Error::malformed("the header is cut short"))?;
        self.0 = tail;
        Ok(head)
    }

    pub(crate) fn take_bounded(&mut self, len: usize, most: usize) -> Result<&'a [u8]> {
        if !(1..=most).contains(&len) {
            return Err(Error::malformed("a field of a recipient has an impossible length"));
        }
        self.take(len)
    }

    pub(crate) fn u8(&mut self) -> Result<u8> {
        self.take(1)?.first().copied().ok_or_else(|| Error::malformed("the header is cut short"))
    }

    pub(crate) fn u16(&mut self) -> Result<u16> {
        Ok(u16::from_be_bytes([self.u8()?, self.u8()?]))
    }

    pub(crate) fn u32(&mut self) -> Result<u32> {
        Ok(u32::from_be_bytes([self.u8()?, self.u8()?, self.u8()?, self.u8()?]))
    }

    pub(super) fn text(&mut self) -> Result<String> {
        let len = usize::from(self.u16()?);
        let bytes = self.take(len)?;
        std::str::from_utf8(bytes)
            .map(str::to_owned)
            .map_err(|_| Error::malformed("the stored context is not UTF-8"))
    }
}

/// Reads `pairs(S)`: a count, then keys and values in strictly ascending order of the keys.
pub(crate) fn read_context(reader: &mut Reader<'_>) -> Result<EncryptionContext> {
    let count = reader.u8()?;
    EncryptionContext::from_ordered((0..count).map(|_| Ok((reader.text()?, reader.text()?))))
}
