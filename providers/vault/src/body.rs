//! Requests: paths, and bodies that are wiped.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bulla::{Error, ErrorKind, Result};
use bytes::Bytes;
use serde::Serialize;
use zeroize::Zeroizing;

/// A path, without slashes around it. Of characters that need no escape, so that nothing leads elsewhere.
///
/// # Errors
/// [`ErrorKind::InvalidInput`] for any other.
pub(crate) fn path<'a>(what: &str, text: &'a str) -> Result<&'a str> {
    let path = text.strip_suffix('/').unwrap_or(text);
    let path = path.strip_prefix('/').unwrap_or(path);
    match path.split('/').all(is_segment) {
        true => Ok(path),
        false => Err(Error::new(
            ErrorKind::InvalidInput,
            format!(
                "the {what} is not made of segments of [A-Za-z0-9._-], not \".\" or \"..\", joined \
                 by \"/\""
            ),
        )),
    }
}

/// One or more of `[A-Za-z0-9._-]`, and no dot segment.
pub(crate) fn is_segment(text: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
    !matches!(text, "" | "." | "..") && text.bytes().all(allowed)
}

/// JSON that is wiped when the last handle is gone. `len` is that of the secrets in it.
pub(crate) fn secret(body: &impl Serialize, len: usize) -> Result<Bytes> {
    // So much that the buffer never moves: a character takes six bytes at most.
    write(body, 6 * len + 1024)
}

/// The same for what needs no escape, such as base64.
pub(crate) fn plain(body: &impl Serialize, len: usize) -> Result<Bytes> {
    write(body, len + 512)
}

fn write(body: &impl Serialize, capacity: usize) -> Result<Bytes> {
    let mut json = Zeroizing::new(Vec::with_capacity(capacity));
    serde_json::to_writer(&mut *json, body)
        .map_err(|_| Error::new(ErrorKind::Internal, "a request could not be written as JSON"))?;
    Ok(Bytes::from_owner(json))
}

/// Base64 that is wiped.
pub(crate) fn base64(bytes: &[u8]) -> Zeroizing<String> {
    let mut text = Zeroizing::new(String::with_capacity(4 * bytes.len().div_ceil(3)));
    STANDARD.encode_string(bytes, &mut text);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_does_not_move() {
        for len in [0, 1, 2, 3, 32, 4096] {
            let text = base64(&vec![7; len]);
            assert_eq!(text.len(), 4 * len.div_ceil(3));
        }
    }
}
