//! What a token endpoint answers.

use std::{fmt, time::Duration};

use bulla::{Error, ErrorKind, Result};
use http::StatusCode;
use serde::{Deserialize, Deserializer, de};
use zeroize::Zeroizing;

/// Bytes of an answer that are read.
pub(super) const MAX_LEN: usize = 64 * 1024;

/// Bytes of what an authorization server says for people, of which more is not shown.
const MAX_DESCRIPTION: usize = 200;

/// A successful answer (RFC 6749, section 5.1).
#[derive(Deserialize)]
pub(super) struct Answer {
    #[serde(deserialize_with = "wiped")]
    pub(super) access_token: Zeroizing<String>,
    token_type: String,
    #[serde(default, deserialize_with = "seconds")]
    pub(super) expires_in: Option<Duration>,
    pub(super) scope: Option<String>,
}

/// Why an authorization server gave no token: the source of the error (RFC 6749, section 5.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenRefused {
    code: String,
    description: Option<String>,
}

#[derive(Deserialize)]
struct Refusal {
    error: String,
    error_description: Option<String>,
}

impl TokenRefused {
    /// Of an error of a [`TokenClient`](super::TokenClient), if the authorization server answered.
    #[must_use]
    pub fn of(error: &Error) -> Option<&Self> {
        std::error::Error::source(error)?.downcast_ref()
    }

    /// The `error`, such as `invalid_client`.
    #[must_use]
    pub fn code(&self) -> &str {
        &self.code
    }

    /// The `error_description`, up to 200 bytes of it.
    #[must_use]
    pub fn description(&self) -> Option<&str> {
        self.description.as_deref()
    }
}

impl fmt::Display for TokenRefused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.description {
            Some(description) => write!(f, "{}: {description}", self.code),
            None => f.write_str(&self.code),
        }
    }
}

impl std::error::Error for TokenRefused {}

/// Reads an answer. `secrets` is what was sent, none of which is ever shown.
pub(super) fn read(status: StatusCode, body: &[u8], secrets: &[&str]) -> Result<Answer> {
    if status == StatusCode::OK {
        let answer: Answer = serde_json::from_slice(body).map_err(|_| damaged())?;
        let fine = |b: u8| (0x20..=0x7e).contains(&b);
        if answer.access_token.is_empty() || !answer.access_token.bytes().all(fine) {
            return Err(damaged());
        }
        if !answer.token_type.eq_ignore_ascii_case("Bearer") {
            let message = "the authorization server gives tokens of another type than Bearer";
            return Err(Error::new(ErrorKind::Unsupported, message));
        }
        return Ok(answer);
    }
    let refusal: Refusal = serde_json::from_slice(body).map_err(|_| {
        let message = format!("the token endpoint answers {status} without a reason");
        Error::new(kind_of_status(status), message)
    })?;
    let quotes = |text: &String| secrets.iter().any(|secret| shares(text, secret));
    let code = plain(&refusal.error, 64).filter(|code| !code.is_empty() && !quotes(code));
    let code = code.unwrap_or_else(|| "an error that can't be shown".to_owned());
    let description = refusal.error_description.and_then(|text| plain(&text, MAX_DESCRIPTION));
    let refused = TokenRefused { code, description: description.filter(|text| !quotes(text)) };
    let kind = kind_of(&refused.code, status);
    let message = format!("the authorization server gives no token: {refused}");
    Err(Error::new(kind, message).with_source(refused))
}

/// Whether a text has a part of a secret in it, of 16 bytes or more.
fn shares(text: &str, secret: &str) -> bool {
    text.as_bytes().windows(16).any(|part| secret.as_bytes().windows(16).any(|own| own == part))
}

/// As far as it is of the characters that RFC 6749, section 5.2, allows.
fn plain(text: &str, most: usize) -> Option<String> {
    let fine = |b: u8| matches!(b, 0x20 | 0x21 | 0x23..=0x5b | 0x5d..=0x7e);
    text.bytes().all(fine).then(|| text.chars().take(most).collect())
}

fn kind_of(code: &str, status: StatusCode) -> ErrorKind {
    match code {
        "invalid_client" | "unauthorized_client" | "access_denied" => ErrorKind::Denied,
        "temporarily_unavailable" | "server_error" => ErrorKind::Unavailable,
        "slow_down" => ErrorKind::Throttled,
        "unsupported_grant_type" => ErrorKind::Unsupported,
        _ => kind_of_status(status),
    }
}

fn kind_of_status(status: StatusCode) -> ErrorKind {
    match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => ErrorKind::Denied,
        _ => ErrorKind::InvalidInput,
    }
}

fn damaged() -> Error {
    let message = "the token endpoint's answer has no access token that can be used";
    Error::new(ErrorKind::Damaged, message)
}

fn wiped<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Zeroizing<String>, D::Error> {
    String::deserialize(deserializer).map(Zeroizing::new)
}

/// Seconds as a number, or as some servers have it, as a string of digits.
fn seconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Seconds {
        Number(f64),
        Text(String),
        Nothing(()),
    }
    let seconds = match Seconds::deserialize(deserializer)? {
        Seconds::Number(seconds) => seconds,
        Seconds::Text(text) if text.bytes().all(|b| b.is_ascii_digit()) => {
            text.parse().map_err(de::Error::custom)?
        }
        Seconds::Text(_) => return Err(de::Error::custom("no number of seconds")),
        Seconds::Nothing(()) => return Ok(None),
    };
    Duration::try_from_secs_f64(seconds).map(Some).map_err(de::Error::custom)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ok(body: &str) -> Result<Answer> {
        read(StatusCode::OK, body.as_bytes(), &[])
    }

    #[test]
    fn lives_are_numbers_or_strings() {
        let life = |text: &str| {
            let body = format!(r#"{{"access_token":"t","token_type":"bearer"{text}}}"#);
            ok(&body).map(|answer| answer.expires_in.map(|life| life.as_secs()))
        };
        assert_eq!(life("").unwrap(), None);
        assert_eq!(life(r#","expires_in":null"#).unwrap(), None);
        assert_eq!(life(r#","expires_in":3600"#).unwrap(), Some(3600));
        assert_eq!(life(r#","expires_in":"3600""#).unwrap(), Some(3600));
        assert_eq!(life(r#","expires_in":3599.9"#).unwrap(), Some(3599));
        for bad in ["-1", "\"-1\"", "\"x\"", "true", "[]", "1e300"] {
            let error = life(&format!(r#","expires_in":{bad}"#)).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Damaged, "{bad}");
        }
    }

    #[test]
    fn what_is_no_token_is_damaged() {
        for bad in [
            "",
            "[]",
            r#"{"token_type":"Bearer"}"#,
            r#"{"access_token":"","token_type":"Bearer"}"#,
            r#"{"access_token":"a\nb","token_type":"Bearer"}"#,
            r#"{"access_token":"t"}"#,
        ] {
            assert_eq!(ok(bad).map(|_| ()).unwrap_err().kind(), ErrorKind::Damaged, "{bad}");
        }
        let error = ok(r#"{"access_token":"t","token_type":"DPoP"}"#).map(|_| ()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
    }

    #[test]
    fn refusals_have_a_kind_a_code_and_no_secret() {
        let refused = |status: u16, body: &str| {
            let status = StatusCode::from_u16(status).unwrap();
            read(status, body.as_bytes(), &["header.payload-of-it.signature"])
                .map(|_| ())
                .unwrap_err()
        };
        let error = refused(401, r#"{"error":"invalid_client","error_description":"no such key"}"#);
        assert_eq!(error.kind(), ErrorKind::Denied);
        assert_eq!(TokenRefused::of(&error).unwrap().code(), "invalid_client");
        assert!(error.message().ends_with("invalid_client: no such key"), "{error}");
        let quoting = r#"{"error":"invalid_grant","error_description":"bad: r.payload-of-it.s"}"#;
        let error = refused(400, quoting);
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(error.message().ends_with("no token: invalid_grant"), "{error}");
        let coded = refused(400, r#"{"error":"not r.payload-of-it.s"}"#);
        assert!(!coded.message().contains("payload"), "{coded}");
        let odd = refused(400, r#"{"error":"a\u0007b","error_description":"c\u001bd"}"#);
        assert!(odd.message().is_ascii() && !odd.message().contains('\u{7}'), "{odd}");
        assert_eq!(refused(403, "<html>").kind(), ErrorKind::Denied);
        assert_eq!(refused(400, r#"{"error":"server_error"}"#).kind(), ErrorKind::Unavailable);
        let long = format!(r#"{{"error":"x","error_description":"{}"}}"#, "y".repeat(5000));
        assert!(refused(400, &long).message().len() < 300);
    }
}
