//! Requests with secrets in them, in memory that is wiped.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use bulla::{Error, ErrorKind, Result};
use bytes::Bytes;
use serde::Serialize;
use zeroize::Zeroizing;

/// What every cryptographic operation takes.
#[derive(Serialize)]
struct Operation<'a> {
    alg: &'a str,
    value: &'a str,
}

/// The JSON of an operation, wiped when the last handle is gone.
pub(crate) fn operation(alg: &str, value: &[u8]) -> Result<Bytes> {
    // Buffers that move would leave what was in them where it was.
    let mut text = Zeroizing::new(String::with_capacity(4 * value.len().div_ceil(3)));
    URL_SAFE_NO_PAD.encode_string(value, &mut text);
    let mut json = Zeroizing::new(Vec::with_capacity(text.len() + alg.len() + 64));
    serde_json::to_writer(&mut *json, &Operation { alg, value: &text })
        .map_err(|_| Error::new(ErrorKind::Internal, "a request could not be written as JSON"))?;
    Ok(Bytes::from_owner(json))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_operation_is_json_with_base64url_without_padding() {
        let json = operation("RSA-OAEP-256", &[0xfb, 0xff, 0xfe, 1]).unwrap();
        assert_eq!(&*json, br#"{"alg":"RSA-OAEP-256","value":"-__-AQ"}"#);
    }
}
