//! NumericDate (RFC 7519, section 2).

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

/// 9999-12-31T23:59:59Z, the last second that RFC 3339 can write. A date in milliseconds, a common
/// mistake, is beyond.
const MAX: f64 = 253_402_300_799.0;

/// Seconds since 1970, fractions allowed, from then to the end of 9999.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub(super) struct NumericDate(f64);

impl NumericDate {
    pub(super) fn of(time: SystemTime) -> Self {
        Self(time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64().min(MAX))
    }

    /// Without the fraction: what is written is a whole number, as all parsers read.
    pub(super) fn whole(self) -> Self {
        Self(self.0.floor())
    }

    pub(super) fn plus(self, duration: Duration) -> Self {
        Self((self.0 + duration.as_secs_f64()).min(MAX))
    }

    pub(super) fn time(self) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs_f64(self.0)
    }

    /// `None` for what is outside of the range.
    pub(super) fn from_number(number: &serde_json::Number) -> Option<Self> {
        Self::from_seconds(number.as_f64()?)
    }

    /// `None` for what is outside of the range.
    pub(super) fn from_seconds(seconds: f64) -> Option<Self> {
        (0.0..=MAX).contains(&seconds).then_some(Self(seconds))
    }
}

impl Serialize for NumericDate {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0.fract() == 0.0 {
            #[allow(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "a whole number between 0 and MAX"
            )]
            let whole = self.0 as u64;
            return serializer.serialize_u64(whole);
        }
        serializer.serialize_f64(self.0)
    }
}

impl<'de> Deserialize<'de> for NumericDate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let number = serde_json::Number::deserialize(deserializer)?;
        Self::from_number(&number).ok_or_else(|| D::Error::custom("a date from 1970 to 9999"))
    }
}
