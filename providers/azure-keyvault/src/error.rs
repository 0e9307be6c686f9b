//! From what the SDK reports to this library's errors. The only place that does.
//!
//! The service's own words are left out: they may quote what was sent. What it called the error is kept,
//! in the source.

use std::{borrow::Cow, error::Error as StdError, fmt, io, time::Duration};

use azure_core::{
    error::{Error as SdkError, ErrorKind as SdkKind},
    http::{RawResponse, headers::HeaderName},
};
use bulla::{Error, ErrorKind};
use serde::Deserialize;

/// The service is given no longer a wait than this, in seconds.
const MAX_RETRY_AFTER: u64 = 3600;

const RETRY_AFTER: HeaderName = HeaderName::from_static("retry-after");
const REQUEST_ID: HeaderName = HeaderName::from_static("x-ms-request-id");

/// What was asked, for the message.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked<'a> {
    /// The operation, as the service calls it: `wrapKey`.
    pub(crate) operation: &'static str,
    /// Host and key.
    pub(crate) key: &'a str,
}

/// What came of a call that did not succeed.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) error: Error,
    /// What the service itself answered, and not somebody in between.
    pub(crate) status: Option<u16>,
    /// Whether the SDK has to begin anew: what it keeps of a challenge may be wrong.
    pub(crate) begin_anew: bool,
}

impl Refusal {
    fn of(error: Error) -> Self {
        Self { error, status: None, begin_anew: false }
    }
}

/// Why no answer came of a request, or no request was made.
#[derive(Debug)]
pub(crate) enum Failure {
    /// It would have gone to another host.
    Elsewhere,
    TooLong,
    Timeout,
    Tls(String),
    Unreachable(String),
    BrokeOff(String),
}

/// An error of this library, within one of the SDK's.
#[derive(Debug)]
pub(crate) struct Told(pub(crate) Error);

/// A token was asked for something else than this vault.
#[derive(Debug)]
pub(crate) struct Foreign;

pub(crate) fn from_sdk(error: &SdkError, asked: Asked<'_>) -> Refusal {
    let Asked { operation, key } = asked;
    for source in sources(error) {
        if let Some(Told(told)) = source.downcast_ref() {
            return Refusal::of(told.clone());
        }
        if let Some(failure) = source.downcast_ref::<Failure>() {
            return Refusal::of(of_failure(failure, operation));
        }
    }
    match error.kind() {
        SdkKind::HttpResponse { status, raw_response, .. } => {
            of_service((*status).into(), raw_response.as_deref(), asked)
        }
        // Here the SDK judges a challenge, and has kept what it says.
        _ if sources(error).any(|source| source.is::<Foreign>())
            || matches!(error.kind(), SdkKind::Other | SdkKind::DataConversion) =>
        {
            let message = format!(
                "{operation} on {key}: what answers asks for a token for something else than this vault, \
                 or can't be understood; no token was given"
            );
            let error = Error::new(ErrorKind::Unavailable, message);
            Refusal { begin_anew: true, ..Refusal::of(error) }
        }
        _ => {
            let message = format!("{operation} on {key}: the request could not be made");
            Refusal::of(Error::new(ErrorKind::Unavailable, message))
        }
    }
}

/// An answer that lacks what every answer has, or is about something else.
pub(crate) fn odd(asked: Asked<'_>, how: &str) -> Error {
    let Asked { operation, key } = asked;
    Error::new(ErrorKind::Unavailable, format!("{operation} on {key}: the answer {how}"))
}

fn of_service(status: u16, raw: Option<&RawResponse>, asked: Asked<'_>) -> Refusal {
    let said = raw.and_then(|raw| Said::parse(status, raw.body()));
    // What a proxy, or somebody else's server, says of a path is not about a key.
    let ours = said.is_some() || matches!(status, 300..=399 | 408 | 429 | 504);
    let said = said.unwrap_or(Said { status, code: String::new() });
    let kind = if ours { kind_of(status, &said.code) } else { ErrorKind::Unavailable };
    let error = Error::new(kind, explain(kind, ours, &said, asked));
    let error = with_headers(error.with_source(said), raw);
    Refusal { error, status: ours.then_some(status), begin_anew: false }
}

/// The table.
fn kind_of(status: u16, code: &str) -> ErrorKind {
    match (status, code) {
        (403, "KeyDisabled") => ErrorKind::Disabled,
        (409, "ObjectIsBeingDeleted" | "ObjectIsDeletedButRecoverable") => {
            ErrorKind::PendingDeletion
        }
        (400 | 413, _) => ErrorKind::InvalidInput,
        (401 | 403, _) => ErrorKind::Denied,
        (404, _) => ErrorKind::NotFound,
        (405 | 501, _) => ErrorKind::Unsupported,
        (408 | 504, _) => ErrorKind::Timeout,
        (429, _) => ErrorKind::Throttled,
        // A success whose content says otherwise is no better than one that is garbled.
        _ => ErrorKind::Unavailable,
    }
}

fn explain(kind: ErrorKind, ours: bool, said: &Said, asked: Asked<'_>) -> String {
    let Asked { operation, key } = asked;
    let Said { status, code } = said;
    match kind {
        _ if !ours => format!(
            "{operation}: an answer that is not Key Vault's (HTTP {status}); does something in between \
             answer for it?"
        ),
        ErrorKind::Denied if *status == 401 => format!(
            "{operation}: the vault does not accept the token; is the identity of the vault's tenant?"
        ),
        ErrorKind::Denied if code == "ForbiddenByFirewall" || code == "ForbiddenByConnection" => {
            format!("{operation} on {key}: the vault's firewall does not let this network in")
        }
        ErrorKind::Denied => format!(
            "{operation} on {key} is not allowed; grant it to this identity, by a role or an access policy"
        ),
        ErrorKind::Disabled => format!("{operation}: key {key} is disabled; enable it"),
        ErrorKind::PendingDeletion => format!(
            "{operation}: key {key} is deleted; to keep it, recover it (az keyvault key recover)"
        ),
        ErrorKind::NotFound => {
            format!("{operation}: there is no key {key}, or not that version of it")
        }
        ErrorKind::Throttled => format!("{operation}: over a limit of the vault"),
        ErrorKind::Timeout => format!("{operation} on {key}: Key Vault gave up waiting"),
        ErrorKind::Unavailable if (300..=399).contains(status) => {
            format!("{operation}: the answer points elsewhere, which is not followed")
        }
        ErrorKind::Unavailable => {
            format!("{operation} on {key}: Key Vault could not serve the request")
        }
        _ => format!("{operation} on {key}: Key Vault refuses the request ({said})"),
    }
}

/// What became of asking for a token.
pub(crate) fn of_credentials(error: &SdkError) -> Error {
    for source in sources(error) {
        if let Some(failure) = source.downcast_ref::<Failure>() {
            return of_failure(failure, "getting a token");
        }
        match source.downcast_ref::<SdkError>().map(SdkError::kind) {
            Some(SdkKind::HttpResponse { status, raw_response, .. }) => {
                return of_issuer((*status).into(), raw_response.as_deref());
            }
            Some(SdkKind::DataConversion) => {
                let message = "what answers for the issuer of tokens can't be understood";
                return Error::new(ErrorKind::Unavailable, message);
            }
            _ => {}
        }
    }
    let message = "no Azure credentials could be had; set AZURE_TENANT_ID, AZURE_CLIENT_ID and \
                   AZURE_CLIENT_SECRET, run where an identity is attached, or log in (az login)";
    Error::new(ErrorKind::Denied, message)
}

fn of_issuer(status: u16, raw: Option<&RawResponse>) -> Error {
    let said = raw.and_then(|raw| serde_json::from_slice::<IssuerSaid<'_>>(raw.body()).ok());
    let code = said.as_ref().map(IssuerSaid::code).unwrap_or_default();
    let refused = "the issuer of tokens does not accept these credentials";
    let (kind, message) = match status {
        429 => (ErrorKind::Throttled, "the issuer of tokens asks to slow down"),
        408 | 504 => (ErrorKind::Timeout, "the issuer of tokens gave up waiting"),
        400 | 401 | 403 if said.is_some() => (ErrorKind::Denied, refused),
        _ => (ErrorKind::Unavailable, "the issuer of tokens could not serve the request"),
    };
    let message = match code.is_empty() {
        true => message.to_owned(),
        false => format!("{message} ({code})"),
    };
    let error = Error::new(kind, message).with_source(Said { status, code });
    with_headers(error, raw)
}

fn of_failure(failure: &Failure, what: &str) -> Error {
    let kind = match failure {
        Failure::Timeout => ErrorKind::Timeout,
        _ => ErrorKind::Unavailable,
    };
    Error::new(kind, format!("{what}: {failure}"))
}

/// No answer, or not all of it.
pub(crate) fn no_answer(error: &reqwest::Error) -> Failure {
    if error.is_timeout() {
        return Failure::Timeout;
    }
    if let Some(tls) = sources(error).find(|source| source.is::<rustls::Error>()) {
        return Failure::Tls(tls.to_string());
    }
    // The innermost error is the system's.
    let io = sources(error).filter_map(|source| source.downcast_ref::<io::Error>()).last();
    let why = io.map_or_else(|| "the connection failed".to_owned(), |io| io.kind().to_string());
    match error.is_connect() {
        true => Failure::Unreachable(why),
        false => Failure::BrokeOff(why),
    }
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
fn with_headers(error: Error, raw: Option<&RawResponse>) -> Error {
    let Some(raw) = raw else { return error };
    let text = |name: HeaderName| raw.headers().get_optional_str(&name).map(str::to_owned);
    let wait = text(RETRY_AFTER).and_then(|text| text.trim().parse::<u64>().ok());
    let error = match wait.filter(|_| error.is_retryable()) {
        Some(seconds) => error.with_retry_after(Duration::from_secs(seconds.min(MAX_RETRY_AFTER))),
        None => error,
    };
    match text(REQUEST_ID) {
        Some(id) => error.with_request_id(printable(&id)),
        None => error,
    }
}

/// What comes from the network ends up in logs: short, and visible ASCII.
fn printable(text: &str) -> String {
    text.chars().filter(char::is_ascii_graphic).take(128).collect()
}

/// What Key Vault called an error: the innermost code, which says most.
#[derive(Debug)]
struct Said {
    status: u16,
    code: String,
}

#[derive(Deserialize)]
struct Written<'a> {
    #[serde(borrow)]
    error: WrittenError<'a>,
}

#[derive(Deserialize)]
struct WrittenError<'a> {
    #[serde(borrow)]
    code: Cow<'a, str>,
    #[serde(borrow, alias = "innerError")]
    innererror: Option<WrittenInner<'a>>,
}

#[derive(Deserialize)]
struct WrittenInner<'a> {
    #[serde(borrow)]
    code: Option<Cow<'a, str>>,
}

impl Said {
    fn parse(status: u16, body: &[u8]) -> Option<Self> {
        let Written { error } = serde_json::from_slice(body).ok()?;
        let inner = error.innererror.and_then(|inner| inner.code);
        Some(Self { status, code: printable(&inner.unwrap_or(error.code)) })
    }
}

impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let code = if self.code.is_empty() { "no code" } else { &self.code };
        write!(f, "{code}, HTTP {}", self.status)
    }
}

impl StdError for Said {}

/// RFC 6749, section 5.2, and Entra ID's numbers.
#[derive(Deserialize)]
struct IssuerSaid<'a> {
    #[serde(borrow)]
    error: Cow<'a, str>,
    #[serde(default)]
    error_codes: Vec<u32>,
}

impl IssuerSaid<'_> {
    fn code(&self) -> String {
        match self.error_codes.first() {
            Some(number) => format!("AADSTS{number}"),
            None => printable(&self.error),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Elsewhere => f.write_str(
                "it would have gone to another host than it may, or in the clear, and was not sent",
            ),
            Self::TooLong => f.write_str("the answer is longer than such answers may be"),
            Self::Timeout => f.write_str("no answer in time"),
            Self::Tls(why) => write!(
                f,
                "what answers has no certificate that is trusted here, or speaks no TLS: {why}"
            ),
            Self::Unreachable(why) => write!(f, "the host can't be reached: {why}"),
            Self::BrokeOff(why) => write!(f, "the host broke off, or speaks no HTTP: {why}"),
        }
    }
}

impl StdError for Failure {}

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl StdError for Told {}

impl fmt::Display for Foreign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a token was asked for something else than this vault")
    }
}

impl StdError for Foreign {}

#[cfg(test)]
mod tests {
    use azure_core::http::headers::Headers;

    use super::*;

    const ASKED: Asked<'static> = Asked { operation: "wrapKey", key: "acme.vault.azure.net/k" };

    fn refusal(status: u16, body: &str, headers: &[(&'static str, &'static str)]) -> Refusal {
        let mut all = Headers::new();
        for (name, value) in headers {
            all.insert(*name, *value);
        }
        let raw = RawResponse::from_bytes(status.into(), all, body.as_bytes().to_vec());
        of_service(status, Some(&raw), ASKED)
    }

    #[test]
    fn each_status_has_a_kind() {
        use ErrorKind::*;
        let body = r#"{"error":{"code":"Code","message":"secret\r\nwords","innererror":null}}"#;
        for (status, kind) in [
            (302, Unavailable),
            (400, InvalidInput),
            (401, Denied),
            (403, Denied),
            (404, NotFound),
            (405, Unsupported),
            (408, Timeout),
            (409, Unavailable),
            (413, InvalidInput),
            (429, Throttled),
            (500, Unavailable),
            (502, Unavailable),
            (503, Unavailable),
            (504, Timeout),
        ] {
            let Refusal { error, status: said, begin_anew } = refusal(status, body, &[]);
            assert_eq!((error.kind(), said, begin_anew), (kind, Some(status), false));
            assert!(!format!("{error:?}").contains("words"));
        }
    }

    #[test]
    fn the_innermost_code_says_most() {
        let body = |outer: &str, inner: &str| {
            format!(
                r#"{{"error":{{"code":"{outer}","message":"m","innererror":{{"code":"{inner}"}}}}}}"#
            )
        };
        let kind = |status, outer, inner| refusal(status, &body(outer, inner), &[]).error.kind();
        assert_eq!(kind(403, "Forbidden", "KeyDisabled"), ErrorKind::Disabled);
        assert_eq!(kind(403, "Forbidden", "ForbiddenByRbac"), ErrorKind::Denied);
        assert_eq!(kind(409, "Conflict", "ObjectIsBeingDeleted"), ErrorKind::PendingDeletion);
        let firewall = refusal(403, &body("Forbidden", "ForbiddenByFirewall"), &[]).error;
        assert!(firewall.message().contains("firewall"), "{firewall}");
    }

    /// A page of a proxy says nothing about a key, and nothing about a ciphertext.
    #[test]
    fn what_is_not_key_vaults_is_an_outage() {
        for status in [200, 400, 401, 403, 404, 405, 409, 500, 503] {
            for body in ["<html>not here</html>", "", "{}", "[]", r#"{"error":"x"}"#] {
                let Refusal { error, status: said, .. } = refusal(status, body, &[]);
                assert_eq!((error.kind(), said), (ErrorKind::Unavailable, None), "{status} {body}");
            }
        }
        assert_eq!(refusal(429, "<html>", &[]).error.kind(), ErrorKind::Throttled);
    }

    #[test]
    fn a_wait_is_bounded_and_an_id_is_short() {
        for (text, wait) in
            [("2", Some(2)), ("99999999", Some(3600)), ("-1", None), ("Fri, 01 Jan 2038", None)]
        {
            let error =
                refusal(429, "", &[("retry-after", text), ("x-ms-request-id", "a b")]).error;
            assert_eq!(error.retry_after(), wait.map(Duration::from_secs), "{text}");
            assert_eq!(error.request_id(), Some("ab"));
        }
    }

    #[test]
    fn credentials_that_are_refused_are_no_outage() {
        use ErrorKind::*;
        let entra = r#"{"error":"invalid_client","error_description":"x","error_codes":[7000215]}"#;
        for (status, body, kind) in [
            (401, entra, Denied),
            (400, r#"{"error":"invalid_request"}"#, Denied),
            (400, "<html>", Unavailable),
            (404, entra, Unavailable),
            (429, "", Throttled),
            (503, entra, Unavailable),
        ] {
            let raw =
                RawResponse::from_bytes(status.into(), Headers::new(), body.as_bytes().to_vec());
            let error = of_issuer(status, Some(&raw));
            assert_eq!(error.kind(), kind, "{status} {body}");
            assert_eq!(error.message().contains("AADSTS7000215"), body == entra, "{error}");
        }
    }
}
