//! Base64 of secrets, in constant time and in memory that is wiped.

use base64ct::{Base64, Encoding};
use bulla::{Error, ErrorKind, Result};
use zeroize::Zeroizing;

/// Encodes with the standard alphabet and padding.
pub(crate) fn to_base64(bytes: &[u8]) -> Zeroizing<String> {
    // Allocates once, at the full length: no copy is left behind by growing.
    Zeroizing::new(Base64::encode_string(bytes))
}

/// Reads back what [`to_base64`] wrote, and no other spelling.
pub(crate) fn from_base64(text: &str) -> Result<Zeroizing<Vec<u8>>> {
    let bytes = Base64::decode_vec(text).map(Zeroizing::new).map_err(|_| not_base64())?;
    if *to_base64(&bytes) == text { Ok(bytes) } else { Err(not_base64()) }
}

fn not_base64() -> Error {
    Error::new(ErrorKind::InvalidInput, "not base64 with padding (RFC 4648, section 4)")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_value_has_one_spelling() {
        assert_eq!(*to_base64(b"ab"), "YWI=");
        assert_eq!(**from_base64("YWI=").unwrap(), *b"ab");
        for bad in ["YWI", "YWJ=", "YWI=\n", "YW I=", "-_==", "YWI=="] {
            assert!(from_base64(bad).is_err(), "{bad:?}");
        }
    }
}
