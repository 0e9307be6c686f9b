//! Ids and names of keys.

use std::fmt;

use bulla::{Error, ErrorKind, Result};
use serde::{Deserialize, Serialize};

const ID_LEN: usize = 16;
const MAX_NAME_LEN: usize = 64;

/// The id of a key: 16 random bytes, written as 32 lower-case hexadecimal digits.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct KeyId([u8; ID_LEN]);

impl KeyId {
    pub(crate) fn generate() -> Result<Self> {
        let mut id = [0; ID_LEN];
        fill_random(&mut id)?;
        Ok(Self(id))
    }

    /// Parses 32 lower-case hexadecimal digits, and nothing else.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let digits = text.as_bytes();
        if digits.len() != 2 * ID_LEN {
            return None;
        }
        let mut id = [0; ID_LEN];
        for (byte, pair) in id.iter_mut().zip(digits.chunks_exact(2)) {
            for digit in pair {
                let value = match digit {
                    b'0'..=b'9' => digit - b'0',
                    b'a'..=b'f' => digit - b'a' + 10,
                    _ => return None,
                };
                *byte = *byte << 4 | value;
            }
        }
        Some(Self(id))
    }

    pub(crate) fn as_bytes(&self) -> &[u8; ID_LEN] {
        &self.0
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl TryFrom<String> for KeyId {
    type Error = &'static str;

    fn try_from(text: String) -> std::result::Result<Self, Self::Error> {
        Self::parse(&text).ok_or("an id is not 32 lower-case hexadecimal digits")
    }
}

impl From<KeyId> for String {
    fn from(id: KeyId) -> Self {
        id.to_string()
    }
}

/// Whether `name` can be a key's name; the rest of the rules is in [`check_new_name`].
pub(crate) fn is_name(name: &str) -> bool {
    (1..=MAX_NAME_LEN).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
        && !name.starts_with(['.', '-'])
}

/// Checks the name of a key to be made. A name that reads as an id would shadow that key.
pub(crate) fn check_new_name(name: &str) -> Result<()> {
    if is_name(name) && KeyId::parse(name).is_none() {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::InvalidInput,
        "a key's name is 1 to 64 characters of [A-Za-z0-9._-], does not start with `.` or `-`, and \
         is not 32 hexadecimal digits like an id",
    ))
}

pub(crate) fn fill_random(out: &mut [u8]) -> Result<()> {
    getrandom::fill(out).map_err(|_| {
        Error::new(ErrorKind::Internal, "the operating system's random generator failed")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_have_one_spelling() {
        let id = KeyId::generate().unwrap();
        assert_eq!(KeyId::parse(&id.to_string()), Some(id));
        for bad in ["", &"0".repeat(31), &"0".repeat(33), &"A".repeat(32), &"é".repeat(16)] {
            assert_eq!(KeyId::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn names_stay_inside_their_directory() {
        for good in ["a", "orders", "A.b_c-9", &"x".repeat(64)] {
            assert!(check_new_name(good).is_ok(), "{good}");
        }
        let id = "0123456789abcdef0123456789abcdef";
        for bad in
            ["", ".", "..", ".a", "-a", "a/b", "a\\b", "a b", "é", "a\0", &"x".repeat(65), id]
        {
            assert!(check_new_name(bad).is_err(), "{bad}");
        }
    }
}
