//! The compact serialisation (RFC 7515, section 7.1).

use std::sync::LazyLock;

use base64::{Engine, engine::general_purpose::NO_PAD};
use memchr::{memchr, memrchr};

use super::InvalidToken;

/// The three parts of a token, none of them decoded yet. The payload is, once its signature was found
/// good.
pub(super) struct Compact<'a> {
    pub(super) header: &'a str,
    payload: &'a str,
    signature: &'a str,
    /// What the signature is over: header and payload as they are encoded, and the dot between.
    pub(super) signed: &'a [u8],
}

impl<'a> Compact<'a> {
    /// Splits a token of at most `max_len` bytes.
    pub(super) fn split(token: &'a str, max_len: usize) -> Result<Self, InvalidToken> {
        if token.len() > max_len {
            return Err(InvalidToken::TooLong);
        }
        let (signed, signature) = split(token, memrchr)?;
        let (header, payload) = split(signed, memchr)?;
        if memchr(b'.', payload.as_bytes()).is_some() || header.is_empty() {
            return Err(InvalidToken::NotCompact);
        }
        Ok(Self { header, payload, signature, signed: signed.as_bytes() })
    }

    pub(super) fn header(&self) -> Result<Vec<u8>, InvalidToken> {
        decode(self.header)
    }

    pub(super) fn signature(&self) -> Result<Vec<u8>, InvalidToken> {
        decode(self.signature)
    }

    pub(super) fn payload(&self) -> Result<Vec<u8>, InvalidToken> {
        decode(self.payload)
    }
}

/// Base64url without padding, whitespace or bits left over: one value has one spelling.
pub(super) fn decode(text: &str) -> Result<Vec<u8>, InvalidToken> {
    URL_SAFE.decode(text).map_err(|_| InvalidToken::Encoding)
}

/// The one spelling.
pub(super) fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE.encode(bytes)
}

/// Appends the one spelling.
pub(super) fn encode_to(bytes: &[u8], text: &mut Vec<u8>) {
    let begin = text.len();
    text.resize(begin + bytes.len().div_ceil(3) * 4, 0);
    let place = text.get_mut(begin..).unwrap_or_default();
    // There is room: `place` is as long as the longest.
    let written = URL_SAFE.encode_slice(bytes, place).unwrap_or_default();
    text.truncate(begin + written);
}

/// What is before and behind a dot.
fn split(
    text: &str,
    find: impl Fn(u8, &[u8]) -> Option<usize>,
) -> Result<(&str, &str), InvalidToken> {
    let at = find(b'.', text.as_bytes()).ok_or(InvalidToken::NotCompact)?;
    let (before, behind) = text.split_at_checked(at).ok_or(InvalidToken::NotCompact)?;
    Ok((before, behind.strip_prefix('.').ok_or(InvalidToken::NotCompact)?))
}

/// By the processor's wide instructions, where it has them.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
static URL_SAFE: LazyLock<base64::engine::Simd> =
    LazyLock::new(|| base64::engine::Simd::url_safe(NO_PAD));

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
static URL_SAFE: LazyLock<base64::engine::GeneralPurpose> =
    LazyLock::new(|| base64::engine::GeneralPurpose::new(&base64::alphabet::URL_SAFE, NO_PAD));

#[cfg(test)]
mod tests {
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;

    use super::*;

    #[test]
    fn one_value_has_one_spelling() {
        assert_eq!(decode("-_8").unwrap(), [0xfb, 0xff]);
        for bad in ["-_9", "-_8=", "+/8", " -_8", "-_8\n", "-", "-_8=="] {
            assert_eq!(decode(bad), Err(InvalidToken::Encoding), "{bad:?}");
        }
    }

    /// Long enough for wide instructions, and with what is left over at the end.
    #[test]
    fn one_value_has_one_spelling_however_long() {
        for len in [0_usize, 1, 2, 3, 47, 48, 64, 96, 97, 98, 255, 256, 1023, 1024] {
            let bytes: Vec<u8> = (0..len).map(|i| u8::try_from(i * 7 % 251).unwrap()).collect();
            let text = encode(&bytes);
            assert_eq!(text, URL_SAFE_NO_PAD.encode(&bytes));
            assert_eq!(decode(&text).unwrap(), bytes);
            for at in 0..text.len() {
                for bad in ['=', '+', '/', ' ', '\n', '.', '\u{7f}', '\0'] {
                    let damaged = format!("{}{bad}{}", &text[..at], &text[at + 1..]);
                    assert_eq!(decode(&damaged), Err(InvalidToken::Encoding), "{len} {at} {bad:?}");
                }
            }
            // Bits left over that are not zero.
            if len % 3 != 0 {
                let last = text.chars().last().unwrap();
                let next = char::from(u8::try_from(last).unwrap() + 1);
                let damaged = format!("{}{next}", &text[..text.len() - 1]);
                assert_eq!(decode(&damaged), Err(InvalidToken::Encoding), "{len}");
            }
        }
    }

    #[test]
    fn a_token_has_three_parts() {
        let split = |text| Compact::split(text, 100).map(|token| token.header().unwrap());
        assert_eq!(split("e30.e30.AA").unwrap(), b"{}");
        assert_eq!(split("e30..").unwrap(), b"{}");
        for bad in ["", "e30", "e30.e30", ".e30.AA", "e30.e30.AA.AA", "e30.e30.AA.", "..", "...."] {
            assert_eq!(split(bad), Err(InvalidToken::NotCompact), "{bad:?}");
        }
        assert!(matches!(Compact::split("e30.e30.AA", 9), Err(InvalidToken::TooLong)));
    }
}
