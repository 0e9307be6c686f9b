//! The header of a Zstandard frame (RFC 8878, section 3.1.1.1), read before the decoder sees it.

use bulla::{Error, ErrorKind, Result};

use crate::Bounds;

/// The longest frame header.
pub(crate) const MAX_HEADER_LEN: usize = 18;

const MAGIC: [u8; 4] = 0xFD2F_B528_u32.to_le_bytes();

/// What a frame says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FrameHeader {
    /// The window in bytes, which the decoder has to hold.
    window: u64,
    /// The length of the plaintext, where it is stated.
    content_len: Option<u64>,
}

impl FrameHeader {
    /// Reads a header off the front of these bytes: nothing while they are too few to tell.
    ///
    /// # Errors
    /// [`Damaged`](ErrorKind::Damaged) if they begin no frame that a chain writes: skippable frames,
    /// dictionaries and older formats among them.
    pub(crate) fn read(bytes: &[u8]) -> Result<Option<Self>> {
        let begins = bytes.len().min(MAGIC.len());
        if bytes.get(..begins) != MAGIC.get(..begins) {
            return Err(damaged("what was sealed as compressed is no frame of zstd"));
        }
        let mut fields = Fields(bytes.get(MAGIC.len()..).unwrap_or_default());
        let Some(descriptor) = fields.number(1) else { return Ok(None) };
        if descriptor & 0b1000 != 0 {
            return Err(damaged("the compressed frame has a bit set that is reserved"));
        }
        if descriptor & 0b11 != 0 {
            return Err(damaged("the compressed frame needs a dictionary, and none is used here"));
        }
        let is_single_segment = descriptor & 0b10_0000 != 0;
        let window = match is_single_segment {
            true => None,
            false => match fields.number(1) {
                Some(window) => Some(window_len(window)),
                None => return Ok(None),
            },
        };
        let content_len = match descriptor >> 6 {
            0 if !is_single_segment => Some(None),
            0 => fields.number(1).map(Some),
            1 => fields.number(2).map(|len| Some(len + 256)),
            2 => fields.number(4).map(Some),
            _ => fields.number(8).map(Some),
        };
        let Some(content_len) = content_len else { return Ok(None) };
        // Without a window of its own, all of the content is one.
        let window = window.or(content_len).unwrap_or_default();
        Ok(Some(Self { window, content_len }))
    }

    /// Refuses what would be beyond the bounds, before anything is set aside for it.
    pub(crate) fn check(&self, bounds: &Bounds) -> Result<()> {
        bounds.check_window(self.window)?;
        self.content_len.map_or(Ok(()), |len| bounds.check_len(len))
    }
}

fn window_len(descriptor: u64) -> u64 {
    let base = 1_u64 << (10 + (descriptor >> 3));
    base + base / 8 * (descriptor & 0b111)
}

/// Little-endian numbers off the front.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn number(&mut self, len: usize) -> Option<u64> {
        let (field, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(field.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte)))
    }
}

pub(crate) fn damaged(text: &'static str) -> Error {
    Error::new(ErrorKind::Damaged, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(rest: &[u8]) -> Vec<u8> {
        [&MAGIC[..], rest].concat()
    }

    fn read(rest: &[u8]) -> FrameHeader {
        FrameHeader::read(&header(rest)).unwrap().unwrap()
    }

    #[test]
    fn windows_and_lengths_are_those_of_the_specification() {
        let of = |window, content_len| FrameHeader { window, content_len };
        assert_eq!(read(&[0x00, 0x58]), of(2 << 20, None));
        assert_eq!(read(&[0x04, 0x59]), of((2 << 20) + (2 << 20) / 8, None));
        assert_eq!(read(&[0x20, 7]), of(7, Some(7)));
        assert_eq!(read(&[0x60, 1, 2]), of(0x0201 + 256, Some(0x0201 + 256)));
        assert_eq!(read(&[0xa0, 1, 2, 3, 4]), of(0x0403_0201, Some(0x0403_0201)));
        assert_eq!(read(&[0xc0, 0x00, 0, 0, 0, 0, 0, 0, 0, 0x80]), of(1024, Some(1 << 63)));
        assert_eq!(read(&[0x00, 0xff]).window, (1 << 41) + (1 << 41) / 8 * 7);
    }

    #[test]
    fn too_few_bytes_are_waited_for() {
        let whole = header(&[0xc0, 0x00, 0, 0, 0, 0, 0, 0, 0, 0x80]);
        for len in 0..whole.len() {
            assert_eq!(FrameHeader::read(&whole[..len]).unwrap(), None, "{len}");
        }
        assert!(FrameHeader::read(&whole).unwrap().is_some());
    }

    #[test]
    fn what_is_no_plain_frame_is_refused() {
        for bad in [
            &[0x50, 0x2a, 0x4d, 0x18, 1, 0, 0, 0][..], // skippable
            &[0x25, 0xb5, 0x2f, 0xfd],                 // an older format
            &header(&[0x08, 0x58]),                    // reserved bit
            &header(&[0x01, 0x58, 0]),                 // dictionaries, also one of id 0
            &header(&[0x03, 0x58, 1, 0, 0, 0]),
            b"plain",
            &[0x28, 0xb4],
        ] {
            assert_eq!(FrameHeader::read(bad).unwrap_err().kind(), ErrorKind::Damaged, "{bad:x?}");
        }
    }

    #[test]
    fn what_is_declared_is_held_to_the_bounds() {
        let bounds = Bounds::builder().max_len(1000).max_window(1 << 20).build().unwrap();
        assert!(read(&[0x00, 0x50]).check(&bounds).is_ok());
        assert!(read(&[0x00, 0x51]).check(&bounds).is_err());
        assert!(read(&[0x60, 0xe8, 0x02]).check(&bounds).is_ok());
        assert!(read(&[0x60, 0xe9, 0x02]).check(&bounds).is_err());
        assert!(read(&[0x00, 0xff]).check(&bounds).is_err());
    }
}
