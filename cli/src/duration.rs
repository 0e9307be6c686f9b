//! Durations as they are written: `250ms`, `2s`, `1m`, `1h`.

use std::time::Duration;

const SHAPE: &str = "is no duration; write a whole number and ms, s, m or h, such as \"250ms\"";

/// Reads a duration.
pub(crate) fn parse(text: &str) -> Result<Duration, &'static str> {
    let unit = text.trim_start_matches(|c: char| c.is_ascii_digit());
    let number: u64 = text.strip_suffix(unit).unwrap_or_default().parse().map_err(|_| SHAPE)?;
    match unit {
        "ms" => Ok(Duration::from_millis(number)),
        "s" => Ok(Duration::from_secs(number)),
        "m" => number.checked_mul(60).map(Duration::from_secs).ok_or(SHAPE),
        "h" => number.checked_mul(3600).map(Duration::from_secs).ok_or(SHAPE),
        _ => Err(SHAPE),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_and_a_unit() {
        assert_eq!(parse("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(parse("2s"), Ok(Duration::from_secs(2)));
        assert_eq!(parse("3m"), Ok(Duration::from_secs(180)));
        assert_eq!(parse("1h"), Ok(Duration::from_secs(3600)));
        assert_eq!(parse("0s"), Ok(Duration::ZERO)); // who asked for it refuses it
        for bad in
            ["", "2", "s", "2 s", "2S", "-2s", "+2s", "1.5s", "2d", "2sec", "99999999999999999999s"]
        {
            assert_eq!(parse(bad), Err(SHAPE), "{bad}");
        }
        assert_eq!(parse(&format!("{}m", u64::MAX)), Err(SHAPE));
        assert_eq!(parse(&format!("{}h", u64::MAX)), Err(SHAPE));
    }
}
