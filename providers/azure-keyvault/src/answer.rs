//! What an operation answers, in memory that is wiped.

use std::borrow::Cow;

use base64::{
    Engine as _, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use bytes::{Bytes, BytesMut};
use serde::Deserialize;
use zeroize::{Zeroize as _, Zeroizing};

/// The service writes none; others do.
const ANY_PADDING: GeneralPurpose = GeneralPurpose::new(
    &alphabet::URL_SAFE,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The result of an operation, and the key that it was made by.
pub(crate) struct Answer {
    pub(crate) kid: String,
    pub(crate) value: Zeroizing<Vec<u8>>,
}

#[derive(Deserialize)]
struct Written<'a> {
    #[serde(borrow)]
    kid: Cow<'a, str>,
    /// Base64url has nothing to escape.
    value: &'a str,
}

impl Answer {
    /// Reads and wipes a body: `None` if it is no such answer.
    pub(crate) fn take(body: Bytes) -> Option<Self> {
        let answer = Self::read(&body);
        if let Ok(mut body) = body.try_into_mut() {
            BytesMut::as_mut(&mut body).zeroize();
        }
        answer
    }

    fn read(body: &[u8]) -> Option<Self> {
        let written: Written<'_> = serde_json::from_slice(body).ok()?;
        let mut value = Zeroizing::new(Vec::with_capacity(written.value.len()));
        ANY_PADDING.decode_vec(written.value, &mut value).ok()?;
        Some(Self { kid: written.kid.into_owned(), value })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(json: &'static str) -> Option<(String, Vec<u8>)> {
        Answer::take(Bytes::from_static(json.as_bytes())).map(|a| (a.kid, a.value.to_vec()))
    }

    #[test]
    fn an_answer_has_a_key_and_a_value() {
        let read = Some(("k".to_owned(), vec![0xfb, 0xff]));
        assert_eq!(take(r#"{"kid":"k","value":"-_8"}"#), read);
        assert_eq!(take(r#"{"value":"-_8=","kid":"k","more":{}}"#), read);
        for bad in [
            "",
            "[]",
            "{}",
            r#"{"kid":"k"}"#,
            r#"{"value":"AA"}"#,
            r#"{"kid":"k","value":null}"#,
            r#"{"kid":"k","value":"+/8"}"#,
            r#"{"kid":"k","value":"A"}"#,
            r#"{"kid":"k","value":"-_8""#,
        ] {
            assert!(take(bad).is_none(), "{bad}");
        }
    }
}
