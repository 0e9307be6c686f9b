//! Moments, to the second.

use std::{
    fmt,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use bulla::{Error, ErrorKind};
use serde::{Deserialize, Serialize};

/// The last second of the year 9999, where RFC 3339 ends.
const MAX_SECONDS: u64 = 253_402_300_799;

/// A moment between 1970 and 9999, to the second. Displays as RFC 3339 in UTC:
/// `2026-07-01T12:00:00Z`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Timestamp {
    /// Seconds since 1970-01-01T00:00:00Z, at most [`MAX_SECONDS`].
    seconds: u64,
}

impl Timestamp {
    /// Now. A clock before 1970 counts as 1970.
    pub(crate) fn now() -> Self {
        Self::from_system_time(SystemTime::now())
    }

    fn from_system_time(time: SystemTime) -> Self {
        let seconds = time.duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs());
        Self { seconds: seconds.min(MAX_SECONDS) }
    }

    /// The same as a [`SystemTime`].
    #[must_use]
    pub fn as_system_time(self) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(self.seconds)
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        humantime::format_rfc3339_seconds(self.as_system_time()).fmt(f)
    }
}

impl TryFrom<String> for Timestamp {
    type Error = Error;

    /// Reads what `Display` writes, and no other of RFC 3339's spellings.
    fn try_from(text: String) -> Result<Self, Error> {
        humantime::parse_rfc3339(&text)
            .ok()
            .map(Self::from_system_time)
            .filter(|time| time.to_string() == text)
            .ok_or_else(|| {
                Error::new(ErrorKind::InvalidInput, "a time is not written YYYY-MM-DDTHH:MM:SSZ")
            })
    }
}

impl From<Timestamp> for String {
    fn from(time: Timestamp) -> Self {
        time.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_moment_has_one_spelling() {
        let time = Timestamp::try_from("2026-07-01T12:00:00Z".to_owned()).unwrap();
        assert_eq!(time.to_string(), "2026-07-01T12:00:00Z");
        for bad in
            ["", "2026-07-01T12:00:00.5Z", "2026-07-01 12:00:00Z", "2026-02-30T12:00:00Z", "1969"]
        {
            assert!(Timestamp::try_from(bad.to_owned()).is_err(), "{bad}");
        }
    }
}
