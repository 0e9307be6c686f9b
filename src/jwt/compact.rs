//! The compact serialisation (RFC 7515, section 7.1).

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

use super::InvalidToken;

/// The three parts of a token. The payload is decoded once its signature was found good.
pub(super) struct Compact<'a> {
    pub(super) header: Vec<u8>,
    payload: &'a str,
    signature: &'a str,
    /// What the signature is over: header and payload as they are encoded, and the dot between.
    pub(super) signed: &'a [u8],
}

impl<'a> Compact<'a> {
    /// Splits a token of at most `max_len` bytes and decodes the header.
    pub(super) fn split(token: &'a str, max_len: usize) -> Result<Self, InvalidToken> {
        if token.len() > max_len {
            return Err(InvalidToken::TooLong);
        }
        let (signed, signature) = token.rsplit_once('.').ok_or(InvalidToken::NotCompact)?;
        let (header, payload) = signed.split_once('.').ok_or(InvalidToken::NotCompact)?;
        if payload.contains('.') || header.is_empty() {
            return Err(InvalidToken::NotCompact);
        }
        Ok(Self { header: decode(header)?, payload, signature, signed: signed.as_bytes() })
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
    URL_SAFE_NO_PAD.decode(text).map_err(|_| InvalidToken::Encoding)
}

/// The one spelling.
pub(super) fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Appends the one spelling.
pub(super) fn encode_to(bytes: &[u8], text: &mut String) {
    URL_SAFE_NO_PAD.encode_string(bytes, text);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_value_has_one_spelling() {
        assert_eq!(decode("-_8").unwrap(), [0xfb, 0xff]);
        for bad in ["-_9", "-_8=", "+/8", " -_8", "-_8\n", "-", "-_8=="] {
            assert_eq!(decode(bad), Err(InvalidToken::Encoding), "{bad:?}");
        }
    }

    #[test]
    fn a_token_has_three_parts() {
        let split = |text| Compact::split(text, 100).map(|token| token.header);
        assert_eq!(split("e30.e30.AA").unwrap(), b"{}");
        assert_eq!(split("e30..").unwrap(), b"{}");
        for bad in ["", "e30", "e30.e30", ".e30.AA", "e30.e30.AA.AA", "e30.e30.AA.", "..", "...."] {
            assert_eq!(split(bad), Err(InvalidToken::NotCompact), "{bad:?}");
        }
        assert!(matches!(Compact::split("e30.e30.AA", 9), Err(InvalidToken::TooLong)));
    }
}
