//! The text form: `bulla1.` and base64url, for database fields and configuration.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

use crate::error::{Error, Result};

/// What the text form begins with.
pub const TEXT_PREFIX: &str = "bulla1.";

/// Sealed bytes as text: [`TEXT_PREFIX`] and base64url without padding (RFC 4648, section 5).
///
/// ```
/// assert_eq!(bulla::format::to_text(b"bulla"), "bulla1.YnVsbGE");
/// ```
#[must_use]
pub fn to_text(sealed: &[u8]) -> String {
    let mut text = String::from(TEXT_PREFIX);
    URL_SAFE_NO_PAD.encode_string(sealed, &mut text);
    text
}

/// The bytes of [`to_text`]'s output, and of nothing else: one spelling for each.
///
/// # Errors
/// [`Malformed`](crate::ErrorKind::Malformed) for another prefix, padding, white space, or bits
/// left over that are not zero.
pub fn from_text(text: &str) -> Result<Vec<u8>> {
    let body = text.strip_prefix(TEXT_PREFIX).ok_or_else(|| {
        Error::malformed(
            "sealed text begins with `bulla1.`; this does not, or is of another version",
        )
    })?;
    URL_SAFE_NO_PAD.decode(body).map_err(|_| {
        Error::malformed("sealed text is base64url without padding, spaces or line breaks")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn one_spelling_only() {
        assert_eq!(from_text("bulla1.YnVsbGE").unwrap(), b"bulla");
        for bad in [
            "bulla1.YnVsbGE=",
            "bulla1.YnVsbGE\n",
            " bulla1.YnVsbGE",
            "bulla1.YnVsbGF", // trailing bits are not zero
            "bulla1.YnVs\nbGE",
            "bulla1.+/8",
            "bulla2.YnVsbGE",
            "Bulla1.YnVsbGE",
            "YnVsbGE",
            "bulla1.Y",
        ] {
            assert!(from_text(bad).is_err(), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn there_and_back(bytes: Vec<u8>) {
            prop_assert_eq!(from_text(&to_text(&bytes)).unwrap(), bytes);
        }

        #[test]
        fn whatever_parses_is_canonical(text in "(bulla1\\.)?[A-Za-z0-9_=-]{0,12}") {
            if let Ok(bytes) = from_text(&text) {
                prop_assert_eq!(to_text(&bytes), text);
            }
        }
    }
}
