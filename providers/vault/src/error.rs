//! From what the server answers to this library's errors. The only place that does.
//!
//! The server's own words are left out: they may quote what was sent.

use std::{error::Error as StdError, fmt, io, time::Duration};

use bulla::{Error, ErrorKind};
use http::{HeaderMap, header};
use serde::Deserialize;

use crate::http::Answer;

/// The server is given no longer a wait than this, in seconds.
const MAX_RETRY_AFTER: u64 = 3600;

/// What was asked, for the message.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked<'a> {
    /// In words, such as `encrypting`.
    pub(crate) what: &'static str,
    /// The API path.
    pub(crate) path: &'a str,
    /// The capability of a policy that it takes.
    pub(crate) capability: &'static str,
}

/// An answer that is no success.
pub(crate) fn refused(answer: &Answer, asked: Asked<'_>) -> Error {
    let Asked { what, path, capability } = asked;
    let status = answer.status;
    let kind = kind_of(status);
    let said = Refusal::parse(&answer.body);
    // What a proxy, or somebody else's server, says of a path is not about a key.
    let ours = said.is_some() || matches!(status, 300..=399 | 408 | 429 | 504);
    let message = match status {
        _ if !ours => format!("{what}: {}", not_the_servers(status)),
        300..=399 => format!(
            "{what}: the server redirects, as a standby does that does not forward requests; that is \
             not followed: give the address of the active one, or of what leads there"
        ),
        403 => format!(
            "{what} is not allowed; grant {capability} on {path} to this token, in a policy"
        ),
        404 => format!("{what}: there is no {path}; check key, mount and namespace"),
        429 => format!("{what}: over a rate limit of the server"),
        503 if said.is_some_and(|said| said.is_sealed()) => {
            format!("{what}: the server is sealed; unseal it")
        }
        503 => format!("{what}: the server is not ready to serve"),
        408 | 504 => format!("{what}: the server gave up waiting"),
        500..=599 | 412 => format!("{what}: the server could not serve the request"),
        _ => format!("{what}: the server refuses the request on {path}"),
    };
    let kind = if ours { kind } else { ErrorKind::Unavailable };
    let error = Error::new(kind, message).with_source(Said(format!("HTTP {status}")));
    match answer.retry_after.filter(|_| error.is_retryable()) {
        Some(wait) => error.with_retry_after(wait),
        None => error,
    }
}

/// The table.
fn kind_of(status: u16) -> ErrorKind {
    match status {
        400 | 413 => ErrorKind::InvalidInput,
        401 | 403 => ErrorKind::Denied,
        404 => ErrorKind::NotFound,
        405 | 501 => ErrorKind::Unsupported,
        408 | 504 => ErrorKind::Timeout,
        429 => ErrorKind::Throttled,
        // A success whose content says otherwise is no better than one that is garbled.
        _ => ErrorKind::Unavailable,
    }
}

/// An answer that lacks what every answer has, or says something else than was asked.
pub(crate) fn odd(answer: &Answer, asked: Asked<'_>, how: &str) -> Error {
    let status = answer.status;
    let message = match serde_json::from_slice::<serde::de::IgnoredAny>(&answer.body) {
        Ok(_) => format!("{}: the answer {how}", asked.what),
        Err(_) => format!("{}: {}", asked.what, not_the_servers(status)),
    };
    Error::new(ErrorKind::Unavailable, message).with_source(Said(format!("HTTP {status}")))
}

fn not_the_servers(status: u16) -> String {
    format!(
        "an answer that is not Vault's (HTTP {status}); is the address that of the server, and what \
         is in between a proxy that passes on what it says?"
    )
}

/// Whether the server itself says no, and not what is in between.
pub(crate) fn is_refusal(answer: &Answer) -> bool {
    Refusal::parse(&answer.body).is_some()
}

/// What Vault answers with when it refuses.
#[derive(Deserialize)]
struct Refusal<'a> {
    #[serde(borrow)]
    errors: Vec<std::borrow::Cow<'a, str>>,
}

impl<'a> Refusal<'a> {
    fn parse(body: &'a [u8]) -> Option<Self> {
        serde_json::from_slice(body).ok()
    }

    fn is_sealed(&self) -> bool {
        self.errors.iter().any(|error| error.contains("is sealed"))
    }
}

pub(crate) fn too_long(status: u16) -> Error {
    Error::new(ErrorKind::Unavailable, "the server's answer is longer than such answers may be")
        .with_source(Said(format!("HTTP {status}")))
}

/// No answer, or not all of it.
pub(crate) fn no_answer(error: &reqwest::Error) -> Error {
    if error.is_timeout() {
        return Error::new(ErrorKind::Timeout, "no answer of the server in time");
    }
    let found = |source: &&(dyn StdError + 'static)| source.is::<rustls::Error>();
    if let Some(tls) = sources(error).find(found) {
        let message = "the server has no certificate that is trusted here, does not take the client's, \
                       or speaks no TLS";
        return Error::new(ErrorKind::Unavailable, message).with_source(Said(tls.to_string()));
    }
    // The innermost error is the system's.
    let io = sources(error).filter_map(|source| source.downcast_ref::<io::Error>()).last();
    let why = io.map_or_else(|| "the connection failed".to_owned(), |io| io.kind().to_string());
    let message = match error.is_connect() {
        true => format!("the server can't be reached: {why}"),
        false => format!("the server broke off, or speaks no HTTP: {why}"),
    };
    Error::new(ErrorKind::Unavailable, message)
}

/// All errors below, those within an `io::Error` included, which hides them.
fn sources<'a>(
    error: &'a (dyn StdError + 'static),
) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |error: &&'a (dyn StdError + 'static)| {
        let within = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        within.map(|within| within as _).or_else(|| (*error).source())
    })
}

/// Seconds alone: the wall clocks of two machines need not agree.
pub(crate) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds: u64 = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds.min(MAX_RETRY_AFTER)))
}

/// What there is to say of the cause.
#[derive(Debug)]
pub(crate) struct Said(pub(crate) String);

impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl StdError for Said {}

#[cfg(test)]
mod tests {
    use zeroize::Zeroizing;

    use super::*;

    const ASKED: Asked<'static> =
        Asked { what: "encrypting", path: "transit/encrypt/k", capability: "update" };

    fn answer(status: u16, body: &str) -> Answer {
        Answer { status, body: Zeroizing::new(body.as_bytes().to_vec()), retry_after: None }
    }

    #[test]
    fn each_status_has_a_kind() {
        use ErrorKind::*;
        for (status, kind) in [
            (307, Unavailable),
            (400, InvalidInput),
            (403, Denied),
            (404, NotFound),
            (405, Unsupported),
            (412, Unavailable),
            (413, InvalidInput),
            (429, Throttled),
            (472, Unavailable),
            (500, Unavailable),
            (502, Unavailable),
            (503, Unavailable),
            (504, Timeout),
        ] {
            let error = refused(&answer(status, r#"{"errors":["secret words"]}"#), ASKED);
            assert_eq!(error.kind(), kind, "{status}");
            assert!(!format!("{error:?}").contains("words"));
        }
    }

    /// A page of a proxy says nothing about a key, and nothing about a ciphertext.
    #[test]
    fn what_is_not_vaults_is_an_outage() {
        for status in [200, 302, 400, 401, 403, 404, 405, 500, 502, 503] {
            for body in ["<html>not here</html>", "", "{}", "[]", r#"{"errors":"x"}"#] {
                let error = refused(&answer(status, body), ASKED);
                assert_eq!(error.kind(), ErrorKind::Unavailable, "{status} {body}");
            }
        }
        assert_eq!(refused(&answer(429, "<html>"), ASKED).kind(), ErrorKind::Throttled);
    }

    #[test]
    fn a_sealed_server_is_told() {
        let error = refused(&answer(503, r#"{"errors":["OpenBao is sealed"]}"#), ASKED);
        assert!(error.message().contains("unseal it"), "{error}");
    }

    #[test]
    fn a_wait_is_bounded() {
        let mut headers = HeaderMap::new();
        for (text, wait) in
            [("2", Some(2)), ("99999999", Some(3600)), ("-1", None), ("Fri, 01 Jan 2038", None)]
        {
            headers.insert(header::RETRY_AFTER, text.parse().unwrap());
            assert_eq!(retry_after(&headers), wait.map(Duration::from_secs), "{text}");
        }
    }
}
