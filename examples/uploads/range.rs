//! The `Range` header (RFC 9110, section 14.2): one range of bytes. Several, and other units, are not looked at, which
//! the RFC allows.

use std::ops::Range;

/// What of an object is asked for.
#[derive(Debug, PartialEq)]
pub(crate) enum Asked {
    Whole,
    Part(Range<u64>),
    /// A range that begins behind its end.
    Beyond,
}

/// Of an object of so many bytes.
pub(crate) fn asked(header: &str, len: u64) -> Asked {
    let Some((first, last)) = header.strip_prefix("bytes=").and_then(|range| range.split_once('-'))
    else {
        return Asked::Whole;
    };
    let number = |text: &str| match text.bytes().all(|b| b.is_ascii_digit()) {
        // More digits than there are bytes in any object.
        true => Some(text.parse().unwrap_or(u64::MAX)),
        false => None,
    };
    let (Some(from), Some(to)) = (number(first), number(last)) else { return Asked::Whole };
    match (first.is_empty(), last.is_empty()) {
        (true, true) => Asked::Whole,
        // The last so many bytes.
        (true, false) if to == 0 || len == 0 => Asked::Beyond,
        (true, false) => Asked::Part(len.saturating_sub(to)..len),
        (false, false) if to < from => Asked::Whole,
        (false, _) if from >= len => Asked::Beyond,
        (false, true) => Asked::Part(from..len),
        (false, false) => Asked::Part(from..to.saturating_add(1).min(len)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_those_of_the_rfc() {
        for (header, expected) in [
            ("bytes=0-0", Asked::Part(0..1)),
            ("bytes=0-499", Asked::Part(0..500)),
            ("bytes=500-", Asked::Part(500..1000)),
            ("bytes=999-99999999999999999999999", Asked::Part(999..1000)),
            ("bytes=-1", Asked::Part(999..1000)),
            ("bytes=-5000", Asked::Part(0..1000)),
            ("bytes=-0", Asked::Beyond),
            ("bytes=1000-", Asked::Beyond),
            ("bytes=99999999999999999999999-", Asked::Beyond),
            ("bytes=5-4", Asked::Whole),
            ("bytes=0-1,5-6", Asked::Whole),
            ("bytes=-", Asked::Whole),
            ("bytes=+1-2", Asked::Whole),
            ("items=0-1", Asked::Whole),
            ("", Asked::Whole),
        ] {
            assert_eq!(asked(header, 1000), expected, "{header}");
        }
        assert_eq!(asked("bytes=0-", 0), Asked::Beyond);
        assert_eq!(asked("bytes=-1", 0), Asked::Beyond);
    }
}
