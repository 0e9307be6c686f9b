//! Where the chunks of a message stand: FORMAT.md, "Body". Arithmetic alone.

use std::ops::Range;

use crate::{
    crypto::TAG_LEN,
    format::{Header, Suite, derive::AFTER_HEADER_LEN},
};

/// Where the chunks of a sealed message stand, by the length that it is said to have.
///
/// **Nothing here is authenticated.** Who stores the message says how long it is; what was opened in
/// these places tells whether that is true.
///
/// ```
/// use bulla::{format::Suite, stream::Layout};
///
/// // 100,000 bytes in two chunks of suite 1, behind a header of 1 KiB.
/// let layout = Layout::new(Suite::default(), 1024, 1024 + 56 + 100_000 + 2 * 16).unwrap();
/// assert_eq!(layout.plaintext_len(), 100_000);
/// assert_eq!(layout.chunks_of(70_000..70_001), 1..2);
/// assert_eq!(layout.sealed_places(1..2), 1080 + 65_552..101_112);
/// // Cut at a chunk's end, it is no message.
/// assert!(Layout::new(Suite::default(), 1024, 1080 + 65_552).is_none());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    suite: Suite,
    preamble_len: u64,
    /// The bytes of all chunks.
    sealed_len: u64,
    plaintext_len: u64,
}

impl Layout {
    /// The layout of a message of `len` bytes in all, whose header has `header_len`. `None` if no
    /// message has that length.
    #[must_use]
    pub fn new(suite: Suite, header_len: u16, len: u64) -> Option<Self> {
        Self::behind(suite, usize::from(header_len), len)
    }

    /// The layout of a message of `len` bytes in all with this header.
    #[must_use]
    pub fn of(header: &Header, len: u64) -> Option<Self> {
        Self::behind(header.suite(), header.as_bytes().len(), len)
    }

    fn behind(suite: Suite, header_len: usize, len: u64) -> Option<Self> {
        let preamble_len = u64::try_from(header_len + AFTER_HEADER_LEN).ok()?;
        let sealed_len = len.checked_sub(preamble_len)?;
        let plaintext_len = suite.plaintext_len(sealed_len)?;
        Some(Self { suite, preamble_len, sealed_len, plaintext_len })
    }

    /// The suite.
    #[must_use]
    pub fn suite(&self) -> Suite {
        self.suite
    }

    /// The bytes before the first chunk: header, salt and commitment.
    #[must_use]
    pub fn preamble_len(&self) -> u64 {
        self.preamble_len
    }

    /// The bytes of the whole message.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.preamble_len + self.sealed_len
    }

    /// Never: a message has a preamble and one chunk at least.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        false
    }

    /// The bytes of the plaintext.
    #[must_use]
    pub fn plaintext_len(&self) -> u64 {
        self.plaintext_len
    }

    /// How many chunks there are, 1 at least.
    #[must_use]
    pub fn chunk_count(&self) -> u64 {
        self.last_chunk() + 1
    }

    /// The number of the last chunk, which is shorter than all others and may be empty.
    #[must_use]
    pub fn last_chunk(&self) -> u64 {
        self.sealed_len / self.suite.sealed_chunk_len() as u64
    }

    /// The numbers of the chunks that hold these bytes of the plaintext, none for an empty range. What is
    /// past the end is in none.
    #[must_use]
    pub fn chunks_of(&self, plaintext: Range<u64>) -> Range<u64> {
        let chunk_len = self.suite.chunk_len() as u64;
        let end = plaintext.end.min(self.plaintext_len);
        let first = plaintext.start.min(end) / chunk_len;
        if plaintext.start >= end { first..first } else { first..end.div_ceil(chunk_len) }
    }

    /// Where in the message these chunks stand, behind each other. What is past the last one is left out.
    #[must_use]
    pub fn sealed_places(&self, chunks: Range<u64>) -> Range<u64> {
        let at = |chunk: u64| {
            let sealed = chunk.saturating_mul(self.suite.sealed_chunk_len() as u64);
            self.preamble_len + sealed.min(self.sealed_len)
        };
        at(chunks.start)..at(chunks.end)
    }

    /// Which bytes of the plaintext these chunks hold.
    #[must_use]
    pub fn plaintext_places(&self, chunks: Range<u64>) -> Range<u64> {
        let at = |chunk: u64| {
            chunk.saturating_mul(self.suite.chunk_len() as u64).min(self.plaintext_len)
        };
        at(chunks.start)..at(chunks.end)
    }

    /// The plaintext in a chunk of so many bytes.
    pub(super) fn opened_len(sealed: usize) -> Option<usize> {
        sealed.checked_sub(TAG_LEN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: u64 = 1024 + 56;

    fn layout(suite: Suite, plaintext: u64) -> Layout {
        let sealed = suite.sealed_len(plaintext).unwrap();
        Layout::new(suite, 1024, HEAD + sealed).unwrap()
    }

    #[test]
    fn chunks_and_places_fit_together() {
        for suite in [Suite::Aes256Gcm64KiB, Suite::Cobblestone256] {
            let (chunk, sealed) = (suite.chunk_len() as u64, suite.sealed_chunk_len() as u64);
            for len in [0, 1, chunk - 1, chunk, chunk + 1, 3 * chunk, 3 * chunk + 9] {
                let layout = layout(suite, len);
                assert_eq!(layout.plaintext_len(), len);
                assert_eq!(layout.last_chunk(), len / chunk);
                let all = 0..layout.chunk_count();
                assert_eq!(layout.sealed_places(all.clone()), HEAD..layout.len());
                assert_eq!(layout.plaintext_places(all), 0..len);
                let mut at = HEAD;
                for number in 0..layout.chunk_count() {
                    let places = layout.sealed_places(number..number + 1);
                    let plain = layout.plaintext_places(number..number + 1);
                    assert_eq!(places.start, at);
                    assert_eq!(places.end - places.start, plain.end - plain.start + 16);
                    at = places.end;
                }
                for start in [0, 1, chunk - 1, chunk, 2 * chunk, len, u64::MAX] {
                    for end in [0, 1, chunk, chunk + 1, len, u64::MAX] {
                        let chunks = layout.chunks_of(Range { start, end });
                        let plain = layout.plaintext_places(chunks.clone());
                        if start >= end.min(len) {
                            assert!(chunks.is_empty(), "{start}..{end} of {len}");
                        } else {
                            assert!(plain.start <= start && plain.end >= end.min(len));
                            assert!(
                                start - plain.start < chunk && plain.end - end.min(len) < chunk
                            );
                        }
                    }
                }
            }
            assert_eq!(
                layout(suite, 2 * chunk).sealed_places(1..9),
                HEAD + sealed..HEAD + 2 * sealed + 16
            );
        }
    }

    #[test]
    fn what_is_no_length_of_a_message_has_no_layout() {
        for len in [0, HEAD - 1, HEAD, HEAD + 15, HEAD + 65_552, HEAD + 65_567] {
            assert_eq!(Layout::new(Suite::default(), 1024, len), None, "{len}");
        }
        assert!(Layout::new(Suite::default(), 1024, HEAD + 16).is_some());
        assert_eq!(Layout::new(Suite::default(), u16::MAX, u64::MAX), None);
    }
}
