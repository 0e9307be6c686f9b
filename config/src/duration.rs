//! Durations as they are written: `250ms`, `2s`, `1m`, `1h`.

use std::{error::Error, fmt, time::Duration};

/// Text that is no duration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DurationError;

/// Reads a duration as a configuration has it: a whole number and `ms`, `s`, `m` or `h`.
///
/// ```
/// use std::time::Duration;
///
/// assert_eq!(bulla_config::parse_duration("250ms"), Ok(Duration::from_millis(250)));
/// ```
///
/// # Errors
/// If it is written otherwise, or is longer than a [`Duration`] can be.
pub fn parse_duration(text: &str) -> Result<Duration, DurationError> {
    let unit = text.trim_start_matches(|c: char| c.is_ascii_digit());
    let number = text.strip_suffix(unit).unwrap_or_default();
    let number: u64 = number.parse().map_err(|_| DurationError)?;
    match unit {
        "ms" => Ok(Duration::from_millis(number)),
        "s" => Ok(Duration::from_secs(number)),
        "m" => number.checked_mul(60).map(Duration::from_secs).ok_or(DurationError),
        "h" => number.checked_mul(3600).map(Duration::from_secs).ok_or(DurationError),
        _ => Err(DurationError),
    }
}

impl fmt::Display for DurationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("is no duration; write a whole number and ms, s, m or h, such as \"250ms\"")
    }
}

impl Error for DurationError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_and_a_unit() {
        assert_eq!(parse_duration("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(parse_duration("2s"), Ok(Duration::from_secs(2)));
        assert_eq!(parse_duration("3m"), Ok(Duration::from_secs(180)));
        assert_eq!(parse_duration("1h"), Ok(Duration::from_secs(3600)));
        assert_eq!(parse_duration("0s"), Ok(Duration::ZERO)); // who asked for it refuses it
        for bad in
            ["", "2", "s", "2 s", "2S", "-2s", "+2s", "1.5s", "2d", "2sec", "99999999999999999999s"]
        {
            assert_eq!(parse_duration(bad), Err(DurationError), "{bad}");
        }
        assert_eq!(parse_duration(&format!("{}m", u64::MAX)), Err(DurationError));
        assert_eq!(parse_duration(&format!("{}h", u64::MAX)), Err(DurationError));
    }
}
