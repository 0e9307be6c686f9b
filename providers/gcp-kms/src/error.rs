//! From what the SDK reports to this library's errors. The only place that does.
//!
//! KMS's own words are left out: they may quote what was sent. What it called the error is kept, in the
//! source.

use std::{error::Error as StdError, fmt, io, time::Duration};

use bulla::{Error, ErrorKind};
use google_cloud_gax::{
    client_builder,
    error::{
        CredentialsError, Error as SdkError,
        rpc::{Code, Status, StatusDetails},
    },
};

use crate::metadata::explain_state;

/// What was asked of KMS, for the message.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked<'a> {
    /// The permission that it takes.
    pub(crate) permission: &'static str,
    /// The key or its version.
    pub(crate) resource: &'a str,
}

/// No longer wait than this has a meaning.
const MAX_RETRY_AFTER: u64 = 3600;

pub(crate) fn from_sdk(error: &SdkError, asked: Asked<'_>) -> Error {
    let Asked { permission, resource } = asked;
    if let Some(credentials) = sources(error).find_map(|e| e.downcast_ref::<CredentialsError>()) {
        return of_credentials(credentials);
    }
    let mapped = match (error.status(), error.http_status_code()) {
        (Some(status), _) => of_status(status, asked),
        // An answer that is not the service's own, such as a proxy's page, says nothing of the key.
        (None, Some(code)) => of_http(code, asked),
        (None, None) if error.is_timeout() || timed_out(error) => {
            let message = format!("{permission} on {resource}: no answer in time");
            Error::new(ErrorKind::Timeout, message)
        }
        (None, None) if error.is_binding() || error.is_serialization() => {
            let message = format!("{permission} on {resource}: no request could be made");
            Error::new(ErrorKind::Internal, message)
        }
        (None, None) if error.is_deserialization() => odd_answer(asked, "can't be read"),
        (None, None) => unreachable_kms(error, asked),
    };
    with_wait(mapped, error)
}

/// An answer that lacks what every answer has, is about something else, or was damaged on its way.
pub(crate) fn odd_answer(asked: Asked<'_>, what: &str) -> Error {
    let Asked { permission, resource } = asked;
    Error::new(
        ErrorKind::Unavailable,
        format!("the answer to a request for {permission} on {resource} {what}"),
    )
}

/// Whether KMS does not take the token for one.
pub(crate) fn is_unauthenticated(error: &SdkError) -> bool {
    error.status().is_some_and(|status| status.code == Code::Unauthenticated)
}

/// Whether KMS says that what was sent is wrong: that it does not decrypt, for one, or that it was damaged
/// on its way there.
pub(crate) fn is_invalid_argument(error: &SdkError) -> bool {
    error.status().is_some_and(|status| status.code == Code::InvalidArgument)
}

/// What is wrong with the settings of a client.
pub(crate) fn from_builder(error: &client_builder::Error) -> Error {
    let (kind, message) = if error.is_universe_domain_mismatch() {
        (
            ErrorKind::InvalidInput,
            "the credentials are of another universe than the one that is configured; look at \
             GOOGLE_CLOUD_UNIVERSE_DOMAIN and the credentials",
        )
    } else if error.is_default_credentials() {
        (ErrorKind::Denied, "no Google credentials were found")
    } else {
        (ErrorKind::Internal, "no client could be made; check the endpoint")
    };
    Error::new(kind, message)
}

fn of_status(status: &Status, asked: Asked<'_>) -> Error {
    let (kind, message) = explain(status, asked);
    let mapped = match kind {
        ErrorKind::NotAuthentic => Error::not_authentic(),
        _ => Error::new(kind, message),
    };
    let reason = reason(status).unwrap_or_default();
    let mapped = mapped.with_source(Said { code: status.code.name(), reason: printable(reason) });
    let id = status.details.iter().find_map(|detail| match detail {
        StatusDetails::RequestInfo(info) => Some(&*info.request_id),
        _ => None,
    });
    match id.map(printable).filter(|id| !id.is_empty()) {
        Some(id) => mapped.with_request_id(id),
        None => mapped,
    }
}

/// The table. Codes are those of google/rpc/code.proto, reasons those of google/api/error_reason.proto.
fn explain(status: &Status, asked: Asked<'_>) -> (ErrorKind, String) {
    let Asked { permission, resource } = asked;
    let reason = reason(status).unwrap_or_default();
    let told = |kind, what: &str| (kind, format!("{permission} on {resource}: {what}"));
    match status.code {
        Code::PermissionDenied => match reason {
            "SERVICE_DISABLED" => told(
                ErrorKind::Denied,
                "the Cloud KMS API is not enabled in this project; enable it",
            ),
            "BILLING_DISABLED"
            | "CONSUMER_SUSPENDED"
            | "CONSUMER_INVALID"
            | "USER_PROJECT_DENIED" => {
                let what = "the project that is billed can't be; check its billing and \
                            the quota project of the credentials";
                told(ErrorKind::Denied, what)
            }
            "SECURITY_POLICY_VIOLATED" => {
                let what = "a VPC Service Controls perimeter does not let this request through";
                told(ErrorKind::Denied, what)
            }
            _ => (
                ErrorKind::Denied,
                format!(
                    "{permission} on {resource} is not allowed, or there is no such key; grant \
                     {permission} on the key to this principal"
                ),
            ),
        },
        Code::Unauthenticated => {
            let what = "Google does not accept the token of these credentials; check that the account \
                        exists and is enabled, its key is not revoked, and the clock is right";
            told(ErrorKind::Denied, what)
        }
        Code::NotFound => told(ErrorKind::NotFound, "there is no such key or version"),
        Code::FailedPrecondition => precondition(status, asked),
        Code::ResourceExhausted => match reason {
            "RESOURCE_QUOTA_EXCEEDED" => {
                told(ErrorKind::QuotaExceeded, "over a quota of the project")
            }
            _ => told(ErrorKind::Throttled, "over the request quota of the project"),
        },
        Code::InvalidArgument | Code::OutOfRange | Code::AlreadyExists => {
            told(ErrorKind::InvalidInput, "KMS refuses the request")
        }
        Code::Unimplemented => told(ErrorKind::Unsupported, "KMS does not do that"),
        Code::DeadlineExceeded => told(ErrorKind::Timeout, "KMS gave up waiting"),
        Code::Unavailable
        | Code::Internal
        | Code::Unknown
        | Code::Aborted
        | Code::Cancelled
        | Code::DataLoss => told(ErrorKind::Unavailable, "KMS could not serve the request"),
        _ => told(ErrorKind::Internal, "an answer that is not known here"),
    }
}

/// A version whose state does not allow its use is named in the details, as `KEY_` and the state.
fn precondition(status: &Status, asked: Asked<'_>) -> (ErrorKind, String) {
    let violations = status.details.iter().filter_map(|detail| match detail {
        StatusDetails::PreconditionFailure(failure) => Some(&failure.violations),
        _ => None,
    });
    let state = violations.flatten().find_map(|violation| {
        let subject = violation.subject.rsplit_once("/v1/").map_or(&*violation.subject, |(_, s)| s);
        Some((violation.r#type.strip_prefix("KEY_")?, printable(subject)))
    });
    match state {
        Some((state, subject)) => {
            let (kind, what) = explain_state(state);
            (kind, format!("{subject} {what}"))
        }
        // Such as an external key manager that can't be reached.
        None => (
            ErrorKind::Unavailable,
            format!(
                "{} on {}: KMS says that the key is not in a condition to be used now",
                asked.permission, asked.resource
            ),
        ),
    }
}

fn of_http(code: u16, asked: Asked<'_>) -> Error {
    let kind = match code {
        408 | 504 => ErrorKind::Timeout,
        429 => ErrorKind::Throttled,
        _ => ErrorKind::Unavailable,
    };
    let Asked { permission, resource } = asked;
    let what = match code {
        300..=399 => "a redirect, which is not followed",
        _ => "an answer that is not KMS's",
    };
    Error::new(kind, format!("{permission} on {resource}: {what} (HTTP {code})"))
}

/// What the SDK says of credentials may have a server's answer in it, and is left out.
fn of_credentials(error: &CredentialsError) -> Error {
    let (kind, message) = match error.is_transient() {
        true => (
            ErrorKind::Unavailable,
            "no token could be had: the metadata server or Google's token service does not answer",
        ),
        false => (
            ErrorKind::Denied,
            "no token could be had with these Google credentials; check \
             GOOGLE_APPLICATION_CREDENTIALS and what it leads to, or run where a service account is \
             attached",
        ),
    };
    Error::new(kind, message)
}

fn unreachable_kms(error: &SdkError, asked: Asked<'_>) -> Error {
    // Before there is an answer, the innermost error is the system's or that of TLS.
    let io = sources(error).filter_map(|source| source.downcast_ref::<io::Error>()).last();
    let why = io.map_or_else(|| "connection failed".to_owned(), |io| io.kind().to_string());
    let message = format!("{}: KMS can't be reached: {why}", asked.permission);
    Error::new(ErrorKind::Unavailable, message)
}

/// Whether it is a body that did not come in time.
fn timed_out(error: &SdkError) -> bool {
    sources(error)
        .filter_map(|source| source.downcast_ref::<reqwest::Error>())
        .any(reqwest::Error::is_timeout)
}

fn sources<'a>(
    error: &'a (dyn StdError + 'static),
) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |error: &&'a (dyn StdError + 'static)| (*error).source())
}

fn reason(status: &Status) -> Option<&str> {
    status.details.iter().find_map(|detail| match detail {
        StatusDetails::ErrorInfo(info) => Some(&*info.reason),
        _ => None,
    })
}

/// By the header, or by the details.
fn with_wait(mapped: Error, error: &SdkError) -> Error {
    let header = error.http_headers().and_then(|headers| headers.get("retry-after"));
    let header = header.and_then(|text| text.to_str().ok()?.trim().parse::<u64>().ok());
    let detail = error.status().and_then(|status| {
        status.details.iter().find_map(|detail| match detail {
            StatusDetails::RetryInfo(info) => {
                // Rounded up, to whole seconds.
                let delay = info.retry_delay?;
                u64::try_from(delay.seconds() + i64::from(delay.nanos() > 0)).ok()
            }
            _ => None,
        })
    });
    match header.or(detail) {
        Some(seconds) => mapped.with_retry_after(Duration::from_secs(MAX_RETRY_AFTER.min(seconds))),
        None => mapped,
    }
}

/// What comes from the network ends up in logs: short, and visible ASCII.
fn printable(text: &str) -> String {
    text.chars().filter(char::is_ascii_graphic).take(256).collect()
}

/// What KMS called the error.
#[derive(Debug)]
struct Said {
    code: &'static str,
    reason: String,
}

impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.reason {
            "" => f.write_str(self.code),
            reason => write!(f, "{} ({reason})", self.code),
        }
    }
}

impl StdError for Said {}

#[cfg(test)]
mod tests {
    use google_cloud_gax::error::rpc::Status;

    use super::*;

    const ASKED: Asked<'_> = Asked { permission: "cloudkms.x.use", resource: "projects/p/k" };

    fn status(text: &str) -> Error {
        let status: Status = Status::try_from(&bytes::Bytes::from(text.to_owned())).unwrap();
        from_sdk(&SdkError::service(status), ASKED)
    }

    fn of_code(code: u16, name: &str, details: &str) -> Error {
        status(&format!(
            r#"{{"error":{{"code":{code},"message":"secret","status":"{name}","details":[{details}]}}}}"#
        ))
    }

    #[test]
    fn codes_have_their_kinds_and_none_of_their_words() {
        for (code, name, kind) in [
            (400, "INVALID_ARGUMENT", ErrorKind::InvalidInput),
            (400, "FAILED_PRECONDITION", ErrorKind::Unavailable),
            (401, "UNAUTHENTICATED", ErrorKind::Denied),
            (403, "PERMISSION_DENIED", ErrorKind::Denied),
            (404, "NOT_FOUND", ErrorKind::NotFound),
            (409, "ABORTED", ErrorKind::Unavailable),
            (429, "RESOURCE_EXHAUSTED", ErrorKind::Throttled),
            (499, "CANCELLED", ErrorKind::Unavailable),
            (500, "INTERNAL", ErrorKind::Unavailable),
            (500, "UNKNOWN", ErrorKind::Unavailable),
            (500, "DATA_LOSS", ErrorKind::Unavailable),
            (501, "UNIMPLEMENTED", ErrorKind::Unsupported),
            (503, "UNAVAILABLE", ErrorKind::Unavailable),
            (504, "DEADLINE_EXCEEDED", ErrorKind::Timeout),
        ] {
            let error = of_code(code, name, "");
            assert_eq!(error.kind(), kind, "{name}");
            assert!(!format!("{error} {error:?}").contains("secret"), "{error:?}");
        }
    }

    #[test]
    fn the_state_of_a_version_is_in_the_details() {
        let kind = |state: &str| {
            let details = format!(
                r#"{{"@type":"type.googleapis.com/google.rpc.PreconditionFailure","violations":
                [{{"type":"{state}","subject":"projects/p/k/cryptoKeyVersions/1"}}]}}"#
            );
            of_code(400, "FAILED_PRECONDITION", &details).kind()
        };
        assert_eq!(kind("KEY_DISABLED"), ErrorKind::Disabled);
        assert_eq!(kind("KEY_DESTROY_SCHEDULED"), ErrorKind::PendingDeletion);
        assert_eq!(kind("KEY_DESTROYED"), ErrorKind::Destroyed);
        assert_eq!(kind("KEY_PENDING_GENERATION"), ErrorKind::Unavailable);
        assert_eq!(kind("EKM_UNREACHABLE"), ErrorKind::Unavailable);
    }

    #[test]
    fn waits_are_taken_from_the_details_and_bounded() {
        let wait = |delay: &str| {
            let details = format!(
                r#"{{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"{delay}"}}"#
            );
            of_code(429, "RESOURCE_EXHAUSTED", &details).retry_after()
        };
        assert_eq!(wait("2.5s"), Some(Duration::from_secs(3)));
        assert_eq!(wait("99999s"), Some(Duration::from_secs(MAX_RETRY_AFTER)));
        assert_eq!(of_code(429, "RESOURCE_EXHAUSTED", "").retry_after(), None);
    }

    #[test]
    fn reasons_say_what_to_do() {
        let of = |code, name, reason: &str| {
            let details = format!(
                r#"{{"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":"{reason}"}}"#
            );
            of_code(code, name, &details)
        };
        let error = of(403, "PERMISSION_DENIED", "SERVICE_DISABLED");
        assert!(error.message().contains("API is not enabled"), "{error}");
        let error = of(403, "PERMISSION_DENIED", "IAM_PERMISSION_DENIED");
        assert!(error.message().contains("grant cloudkms.x.use"), "{error}");
        assert_eq!(
            of(429, "RESOURCE_EXHAUSTED", "RESOURCE_QUOTA_EXCEEDED").kind(),
            ErrorKind::QuotaExceeded
        );
        let source = std::error::Error::source(&error).map(ToString::to_string);
        assert_eq!(source.as_deref(), Some("PERMISSION_DENIED (IAM_PERMISSION_DENIED)"));
    }

    #[test]
    fn a_page_of_somebody_elses_says_nothing_of_the_key() {
        let kind = |code| {
            let page = bytes::Bytes::from_static(b"<html>secret</html>");
            let error = from_sdk(&SdkError::http(code, http::HeaderMap::new(), page), ASKED);
            assert!(!format!("{error:?}").contains("secret"));
            error.kind()
        };
        for code in [301, 307, 308, 400, 401, 403, 404, 500, 502, 503] {
            assert_eq!(kind(code), ErrorKind::Unavailable, "{code}");
        }
        assert_eq!((kind(429), kind(504)), (ErrorKind::Throttled, ErrorKind::Timeout));
    }

    #[test]
    fn credentials_that_are_refused_are_no_outage() {
        let kind = |transient| {
            let error = CredentialsError::from_msg(transient, "secret");
            let error = from_sdk(&SdkError::authentication(error), ASKED);
            assert!(!format!("{error:?}").contains("secret"));
            error.kind()
        };
        assert_eq!((kind(true), kind(false)), (ErrorKind::Unavailable, ErrorKind::Denied));
    }
}
