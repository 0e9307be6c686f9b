//! `START..END` arguments.

use std::str::FromStr;

/// A range of bytes, half open; without an end, up to where the bytes end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ByteRange {
    pub(crate) start: u64,
    pub(crate) end: Option<u64>,
}

impl FromStr for ByteRange {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let shape = "a range is START..END in bytes, such as 0..1024, 4096.. or ..100";
        let (start, end) = text.split_once("..").ok_or(shape)?;
        // `parse` would also take a sign.
        let number = |text: &str| match text.bytes().all(|b| b.is_ascii_digit()) {
            true => text.parse::<u64>().map_err(|_| shape),
            false => Err(shape),
        };
        let start = if start.is_empty() { 0 } else { number(start)? };
        let end = if end.is_empty() { None } else { Some(number(end)?) };
        if end.is_some_and(|end| end < start) {
            return Err("the range ends before it starts");
        }
        Ok(Self { start, end })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ends_may_be_left_out() {
        let parse = |text: &str| text.parse::<ByteRange>();
        assert_eq!(parse("3..10"), Ok(ByteRange { start: 3, end: Some(10) }));
        assert_eq!(parse("3.."), Ok(ByteRange { start: 3, end: None }));
        assert_eq!(parse("..10"), Ok(ByteRange { start: 0, end: Some(10) }));
        assert_eq!(parse(".."), Ok(ByteRange { start: 0, end: None }));
        assert_eq!(parse("7..7"), Ok(ByteRange { start: 7, end: Some(7) }));
        for bad in ["", "3", "3-10", "10..3", "+3..10", "a..b", "3...10", "1..18446744073709551616"]
        {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
