//! How much a compressed message may become, and how much memory that takes.

use bulla::{Error, ErrorKind, Operation, Result};

/// What a reader lets come out of compressed bytes. Whoever holds a data key can write a message of a few
/// kilobytes that decompresses to terabytes; past these bounds it ends with
/// [`QuotaExceeded`](ErrorKind::QuotaExceeded).
///
/// A writer holds a plaintext to the same bounds, so that what was written can be read: an upload fails then,
/// and not the download a year later.
///
/// | bound | unless said |
/// |---|---|
/// | plaintext | 68,719,476,736 bytes (64 GiB) |
/// | plaintext to compressed bytes, asked at each step | 1,024 : 1, once there are more than 268,435,456 bytes (256 MiB) of plaintext |
/// | window, which is memory of each message on its way | 8,388,608 bytes (8 MiB), what RFC 8878 recommends |
///
/// ```
/// let bounds = bulla_pipeline::Bounds::builder().max_len(1 << 30).max_ratio(100, 1 << 20).build()?;
/// # Ok::<(), bulla::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    max_len: u64,
    max_ratio: u64,
    free_len: u64,
    window_log: u32,
}

/// What a reader allows beyond a writer: the two count at other moments.
const SLACK: u64 = 1 << 20;

impl Default for Bounds {
    fn default() -> Self {
        Self { max_len: 64 << 30, max_ratio: 1024, free_len: 256 << 20, window_log: 23 }
    }
}

impl Bounds {
    /// Bounds to choose the numbers of.
    #[must_use]
    pub fn builder() -> BoundsBuilder {
        BoundsBuilder { bounds: Self::default(), max_window: None }
    }

    /// The largest window, as a power of two.
    pub(crate) fn window_log(&self) -> u32 {
        self.window_log
    }

    /// Whether a plaintext of so many bytes may be.
    pub(crate) fn check_len(&self, len: u64) -> Result<()> {
        if len <= self.max_len {
            return Ok(());
        }
        Err(exceeded(format!(
            "the plaintext is longer than {} bytes, the most that these bounds let be compressed",
            self.max_len
        )))
    }

    pub(crate) fn check_window(&self, window: u64) -> Result<()> {
        let most = 1_u64 << self.window_log;
        if window <= most {
            return Ok(());
        }
        Err(exceeded(format!(
            "the compressed bytes need a window of {window} bytes, and {most} is the most that is held"
        )))
    }

    /// Holds what a writer has read against what came out of it.
    pub(crate) fn check_written(&self, plain: u64, compressed: u64) -> Result<()> {
        self.check_ratio(plain, compressed)
    }

    /// Holds what a reader has made against what it was made of.
    pub(crate) fn check_read(&self, plain: u64, compressed: u64) -> Result<()> {
        self.check_len(plain)?;
        self.check_ratio(plain.saturating_sub(SLACK), compressed)
    }

    fn check_ratio(&self, plain: u64, compressed: u64) -> Result<()> {
        if plain <= self.free_len.max(compressed.saturating_mul(self.max_ratio)) {
            return Ok(());
        }
        Err(exceeded(format!(
            "the plaintext is more than {} times as long as what it is compressed to, which is not allowed \
             past {} bytes",
            self.max_ratio, self.free_len
        )))
    }
}

/// Builds [`Bounds`].
#[derive(Clone, Debug)]
pub struct BoundsBuilder {
    bounds: Bounds,
    max_window: Option<u64>,
}

impl BoundsBuilder {
    /// The longest plaintext, in bytes.
    #[must_use]
    pub fn max_len(mut self, bytes: u64) -> Self {
        self.bounds.max_len = bytes;
        self
    }

    /// How many bytes of plaintext there may be for each compressed one, once there are more than `past` bytes
    /// of plaintext. Zstandard itself ends at about 32,000 : 1, for a file of one repeated byte.
    #[must_use]
    pub fn max_ratio(mut self, ratio: u32, past: u64) -> Self {
        self.bounds.max_ratio = ratio.into();
        self.bounds.free_len = past;
        self
    }

    /// The largest window, in bytes: a power of two from 1 KiB to 128 MiB. Each reader and each writer holds
    /// one and a little more. A writer uses no larger one either.
    #[must_use]
    pub fn max_window(mut self, bytes: u64) -> Self {
        self.max_window = Some(bytes);
        self
    }

    /// The bounds.
    ///
    /// # Errors
    /// [`InvalidInput`](ErrorKind::InvalidInput) for a ratio of zero, or a window that is no power of two or out
    /// of its range.
    pub fn build(self) -> Result<Bounds> {
        let invalid =
            |text| Err(Error::new(ErrorKind::InvalidInput, text).with_operation(Operation::Build));
        let Self { mut bounds, max_window } = self;
        if bounds.max_ratio == 0 {
            return invalid("the ratio of a plaintext to what it is compressed to is 1 at least");
        }
        if let Some(window) = max_window {
            if !window.is_power_of_two() || !(1 << 10..=1 << 27).contains(&window) {
                return invalid("a window is a power of two, from 1 KiB to 128 MiB");
            }
            bounds.window_log = window.trailing_zeros();
        }
        Ok(bounds)
    }
}

fn exceeded(text: String) -> Error {
    Error::new(ErrorKind::QuotaExceeded, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn impossible_bounds_are_refused() {
        for window in [0, 1, 512, 1 << 28, (8 << 20) + 1, 3 << 20] {
            assert!(Bounds::builder().max_window(window).build().is_err(), "{window}");
        }
        assert!(Bounds::builder().max_ratio(0, 0).build().is_err());
        assert_eq!(Bounds::builder().max_window(1 << 10).build().unwrap().window_log, 10);
        assert_eq!(Bounds::builder().build().unwrap(), Bounds::default());
    }

    #[test]
    fn what_a_writer_may_a_reader_may() {
        let bounds = Bounds::builder().max_ratio(10, 1000).max_len(5000).build().unwrap();
        assert!(bounds.check_written(1000, 0).is_ok());
        assert!(bounds.check_written(1001, 100).is_err());
        assert!(bounds.check_written(1010, 101).is_ok());
        assert!(bounds.check_read(1010, 101).is_ok());
        assert!(bounds.check_read(5001, 5000).is_err());
        let bounds = Bounds::builder().max_ratio(10, 1000).build().unwrap();
        assert!(bounds.check_read(SLACK + 1000, 1).is_ok());
        assert!(bounds.check_read(SLACK + 1001, 1).is_err());
        assert!(bounds.check_read(u64::MAX, u64::MAX).is_err(), "nothing overflows");
    }
}
