//! What fuzz targets reach.

use http::StatusCode;

use super::{TokenRefused, answer};

/// Stands for the assertion that was sent.
const SENT: &str = "eyJhbGciOiJFUzI1NiJ9.assertion-that-was-sent.signature";

/// Reads the answer of a token endpoint.
///
/// # Panics
/// If an error shows a part of what was sent, or what moves a terminal.
pub fn answer(status: u16, body: &[u8]) {
    let Ok(status) = StatusCode::from_u16(status) else { return };
    match answer::read(status, body, &[SENT]) {
        Ok(answer) => assert!(!answer.access_token.is_empty()),
        Err(error) => {
            let shown = format!("{error} {error:?} {:?}", TokenRefused::of(&error));
            let parts = SENT.as_bytes().windows(16).filter_map(|part| str::from_utf8(part).ok());
            for part in parts {
                assert!(!shown.contains(part), "{shown}");
            }
            assert!(!error.message().contains(char::is_control) && error.message().len() < 400);
        }
    }
}
