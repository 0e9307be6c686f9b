//! What transit prefixes its results with: `vault:vN:`.
//!
//! The server is lenient: it reads `vault:v0:`, `vault:v01:`, `vault:v+1:` and a line end behind. Here a
//! ciphertext has one spelling, which is looked at before it is sent and when it comes back.

use base64::{Engine, engine::general_purpose::STANDARD};

const PREFIX: &str = "vault:v";

/// The most bytes of prefix and version: no version has more than ten digits.
pub(crate) const MAX_PREFIX_LEN: usize = PREFIX.len() + 10 + 1;

/// The version in front, from 1, and what is behind it.
pub(crate) fn split(text: &str) -> Option<(u32, &str)> {
    let (version, rest) = text.strip_prefix(PREFIX)?.split_once(':')?;
    Some((version_of(version)?, rest))
}

/// A version in its one spelling: no sign, no leading zeros.
pub(crate) fn version_of(text: &str) -> Option<u32> {
    let version: u32 = text.parse().ok()?;
    (version > 0 && version.to_string() == text).then_some(version)
}

/// A ciphertext: its version, and how many bytes it has (nonce, ciphertext, tag).
pub(crate) fn parse(blob: &[u8]) -> Option<(u32, usize)> {
    let (version, rest) = split(std::str::from_utf8(blob).ok()?)?;
    // Strict: its own padding, no line ends, no bits left over.
    let bytes = STANDARD.decode(rest).ok()?;
    Some((version, bytes.len()))
}

/// The length in base64.
pub(crate) const fn base64_len(bytes: usize) -> usize {
    4 * bytes.div_ceil(3)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_parses_is_what_would_be_written(
            version in "[+-]?0?[0-9]{0,11}",
            text in "[A-Za-z0-9+/=_ \n-]{0,24}",
        ) {
            let blob = format!("vault:v{version}:{text}");
            if let Some((version, len)) = parse(blob.as_bytes()) {
                let bytes = STANDARD.decode(&text).unwrap();
                prop_assert_eq!(bytes.len(), len);
                prop_assert_eq!(blob, format!("vault:v{version}:{}", STANDARD.encode(bytes)));
            }
        }

        #[test]
        fn no_bytes_are_too_odd(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            let blob = [b"vault:v1:", &bytes[..]].concat();
            if let Some((_, len)) = parse(&blob) {
                prop_assert_eq!(base64_len(len), bytes.len());
            }
        }
    }

    #[test]
    fn a_ciphertext_has_one_spelling() {
        assert_eq!(parse(b"vault:v1:AAAA"), Some((1, 3)));
        assert_eq!(parse(b"vault:v4294967295:AAA="), Some((u32::MAX, 2)));
        for bad in [
            "",
            "vault",
            "vault:v",
            "vault:v1",
            "vault:v:AAAA",
            "vault:v0:AAAA",
            "vault:v01:AAAA",
            "vault:v+1:AAAA",
            "vault:v1 :AAAA",
            "vault:v4294967296:AAAA",
            "Vault:v1:AAAA",
            "vault:V1:AAAA",
            " vault:v1:AAAA",
            "vault:v1:AAAA\n",
            "vault:v1:AA\nAA",
            "vault:v1:AAA",
            "vault:v1:AAB=",
            "vault:v1:AA-_",
            "vault:v1:AAAA:",
            "bao:v1:AAAA",
        ] {
            assert_eq!(parse(bad.as_bytes()), None, "{bad:?}");
        }
        assert_eq!(parse(&[0xff; 40]), None);
    }
}
