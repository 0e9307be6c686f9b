//! From what the SDK reports to this library's errors. The only place that does.
//!
//! KMS's own words are left out: they may quote what was sent, the context for one. What it called
//! the error is kept, in the source.

use std::{error::Error as StdError, fmt, io, time::Duration};

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_kms::{
    config::http::HttpResponse,
    error::{ProvideErrorMetadata, SdkError},
    operation::RequestId,
};
use bulla::{Error, ErrorKind};

use crate::plain_http::PlainHttp;

/// What was asked of KMS, for the message.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked<'a> {
    /// The permission that it takes.
    pub(crate) action: &'static str,
    /// The key, as it was given.
    pub(crate) key: &'a str,
}

/// KMS gives no longer a wait than this a meaning.
const MAX_RETRY_AFTER: u64 = 3600;

/// What KMS calls an operation on a key whose state does not allow it. DescribeKey tells the state.
pub(crate) const INVALID_STATE: &str = "KMSInvalidStateException";

pub(crate) fn from_sdk<E>(error: &SdkError<E, HttpResponse>, asked: Asked<'_>) -> Error
where
    E: ProvideErrorMetadata + RequestId + StdError + 'static,
{
    if let Some(error) = of_credentials(error) {
        return error;
    }
    if sources(error).any(|source| source.is::<PlainHttp>()) {
        let message = "the endpoint of KMS is http and not on loopback, and data keys would go there in \
                       the clear; look at AWS_ENDPOINT_URL, AWS_ENDPOINT_URL_KMS and the profile";
        return Error::new(ErrorKind::InvalidInput, message);
    }
    match error {
        SdkError::ServiceError(service) => of_service(service.err(), service.raw(), asked),
        SdkError::TimeoutError(_) => timed_out(asked),
        SdkError::DispatchFailure(failure) if failure.is_timeout() => timed_out(asked),
        SdkError::DispatchFailure(_) => unreachable_kms(error, asked),
        SdkError::ResponseError(response) => {
            let status = response.raw().status().as_u16();
            let what = format!("the answer to {} can't be read (HTTP {status})", asked.action);
            let error = Error::new(ErrorKind::Unavailable, what);
            with_headers(error, response.raw())
        }
        _ => Error::new(
            ErrorKind::InvalidInput,
            "no request could be made; check region, endpoint and profile",
        ),
    }
}

/// An answer that lacks what every answer has, or is about something else.
pub(crate) fn odd_answer(asked: Asked<'_>, request_id: Option<&str>, what: &str) -> Error {
    let message = format!("the answer to {} on {} {what}", asked.action, asked.key);
    let error = Error::new(ErrorKind::Unavailable, message);
    match request_id {
        Some(id) => error.with_request_id(printable(id)),
        None => error,
    }
}

fn of_service<E>(error: &E, raw: &HttpResponse, asked: Asked<'_>) -> Error
where
    E: ProvideErrorMetadata + RequestId,
{
    let status = raw.status().as_u16();
    let code = error.code().unwrap_or_default();
    let kind = kind_of(code, status);
    let Asked { action, key } = asked;
    let mapped = match kind {
        ErrorKind::NotAuthentic => Error::not_authentic(),
        _ => Error::new(kind, explain(kind, code, action, key)),
    };
    let said = Said { code: printable(code), status };
    let mapped = with_headers(mapped.with_source(said), raw);
    match error.request_id() {
        Some(id) => mapped.with_request_id(printable(id)),
        None => mapped,
    }
}

/// The table. Codes are the names of KMS's exceptions and of the errors common to all of AWS.
fn kind_of(code: &str, status: u16) -> ErrorKind {
    match code {
        "InvalidCiphertextException" | "IncorrectKeyException" | "KMSInvalidSignatureException" => {
            ErrorKind::NotAuthentic
        }
        "ThrottlingException"
        | "Throttling"
        | "ThrottledException"
        | "RequestThrottled"
        | "RequestThrottledException"
        | "TooManyRequestsException"
        | "RequestLimitExceeded"
        | "SlowDown" => ErrorKind::Throttled,
        "LimitExceededException" | "ServiceQuotaExceededException" => ErrorKind::QuotaExceeded,
        "AccessDeniedException" | "AccessDenied" | "NotAuthorized" | "OptInRequired" => {
            ErrorKind::Denied
        }
        code if is_of_credentials(code) => ErrorKind::Denied,
        "NotFoundException" => ErrorKind::NotFound,
        "DisabledException" | INVALID_STATE => ErrorKind::Disabled,
        "InvalidKeyUsageException"
        | "InvalidGrantTokenException"
        | "InvalidArnException"
        | "ValidationException"
        | "ValidationError" => ErrorKind::InvalidInput,
        "UnsupportedOperationException" => ErrorKind::Unsupported,
        "KMSInternalException"
        | "DependencyTimeoutException"
        | "KeyUnavailableException"
        | "InternalFailure"
        | "InternalServerError"
        | "InternalServiceError"
        | "ServiceUnavailable"
        | "ServiceUnavailableException" => ErrorKind::Unavailable,
        "RequestTimeout" | "RequestTimeoutException" => ErrorKind::Timeout,
        _ => match status {
            401 | 403 => ErrorKind::Denied,
            408 | 504 => ErrorKind::Timeout,
            429 => ErrorKind::Throttled,
            // A success whose content says otherwise is no better than one that is garbled.
            200..=299 | 500..=599 => ErrorKind::Unavailable,
            _ => ErrorKind::Internal,
        },
    }
}

/// Errors that are about who asks and not about the key.
fn is_of_credentials(code: &str) -> bool {
    matches!(
        code,
        "ExpiredToken"
            | "ExpiredTokenException"
            | "UnrecognizedClientException"
            | "InvalidClientTokenId"
            | "InvalidSignatureException"
            | "SignatureDoesNotMatch"
            | "IncompleteSignature"
            | "IncompleteSignatureException"
            | "MissingAuthenticationToken"
            | "MissingAuthenticationTokenException"
            | "RequestExpired"
    )
}

fn explain(kind: ErrorKind, code: &str, action: &str, key: &str) -> String {
    match kind {
        ErrorKind::Denied if code.starts_with("Expired") => {
            format!("{action}: the session credentials have expired; renew them")
        }
        ErrorKind::Denied if is_of_credentials(code) => format!(
            "{action}: AWS does not accept these credentials ({}); check access key, secret, \
             session token and clock",
            printable(code)
        ),
        ErrorKind::Denied => format!(
            "{action} on {key} is not allowed; grant {action} on it to this principal, in the key \
             policy or by IAM"
        ),
        ErrorKind::Throttled => format!("{action}: over the request quota of this account"),
        ErrorKind::NotFound => format!("{action}: no key {key} in this account and region"),
        ErrorKind::Disabled => format!("{action}: the state of key {key} does not allow it"),
        ErrorKind::InvalidInput if code == "InvalidKeyUsageException" => {
            format!("{action}: key {key} is not of the kind or usage that this takes")
        }
        ErrorKind::Unavailable => format!("{action} on {key}: KMS could not serve the request"),
        ErrorKind::Timeout => format!("{action} on {key}: KMS gave up waiting"),
        ErrorKind::QuotaExceeded => format!("{action}: over a quota of this account"),
        ErrorKind::InvalidInput | ErrorKind::Unsupported => {
            format!("{action} on {key}: KMS refuses the request ({})", printable(code))
        }
        _ => format!("{action} on {key}: an answer that is not known here ({})", printable(code)),
    }
}

/// Credentials are looked for when a request is made, and what goes wrong is deep in the source.
fn of_credentials(error: &(dyn StdError + 'static)) -> Option<Error> {
    let found = sources(error).find_map(|source| source.downcast_ref::<CredentialsError>())?;
    let (kind, message) = match found {
        CredentialsError::CredentialsNotLoaded(_) => (
            ErrorKind::Denied,
            "no AWS credentials were found; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, name \
             a profile (AWS_PROFILE), or run where a role is attached",
        ),
        CredentialsError::InvalidConfiguration(_) => (
            ErrorKind::Denied,
            "the AWS credentials are not configured soundly; check the profile, and what it \
             refers to",
        ),
        CredentialsError::ProviderTimedOut(_) => {
            (ErrorKind::Timeout, "the source of the AWS credentials did not answer in time")
        }
        // STS refuses with this code; what is deep in the source has no type to ask.
        other if sources(other).any(|source| source.to_string().contains("AccessDenied")) => (
            ErrorKind::Denied,
            "the role that the AWS credentials name must not be assumed; grant sts:AssumeRole to \
             this principal, and trust it in the role",
        ),
        _ => (ErrorKind::Unavailable, "the source of the AWS credentials failed"),
    };
    Some(Error::new(kind, message))
}

fn timed_out(asked: Asked<'_>) -> Error {
    Error::new(ErrorKind::Timeout, format!("{}: no answer in time", asked.action))
}

fn unreachable_kms(error: &(dyn StdError + 'static), asked: Asked<'_>) -> Error {
    // Before there is an answer, the innermost error is the system's or that of TLS.
    let io = sources(error).filter_map(|source| source.downcast_ref::<io::Error>()).last();
    let why = io.map_or_else(|| "connection failed".to_owned(), |io| io.kind().to_string());
    Error::new(ErrorKind::Unavailable, format!("{}: KMS can't be reached: {why}", asked.action))
}

fn sources<'a>(
    error: &'a (dyn StdError + 'static),
) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |error: &&'a (dyn StdError + 'static)| (*error).source())
}

fn with_headers(error: Error, raw: &HttpResponse) -> Error {
    let wait = raw.headers().get("retry-after").and_then(|text| text.trim().parse().ok());
    let error = match wait {
        Some(seconds) => error.with_retry_after(Duration::from_secs(MAX_RETRY_AFTER.min(seconds))),
        None => error,
    };
    match raw.headers().get("x-amzn-requestid") {
        Some(id) => error.with_request_id(printable(id)),
        None => error,
    }
}

/// What comes from the network ends up in logs: short, and visible ASCII.
fn printable(text: &str) -> String {
    text.chars().filter(char::is_ascii_graphic).take(128).collect()
}

/// What KMS called the error.
#[derive(Debug)]
struct Said {
    code: String,
    status: u16,
}

impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let code = if self.code.is_empty() { "no code" } else { &self.code };
        write!(f, "{code} (HTTP {})", self.status)
    }
}

impl StdError for Said {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_that_must_not_be_assumed_is_no_outage() {
        let kind = |text: &str| {
            let error = CredentialsError::provider_error(io::Error::other(text.to_owned()));
            of_credentials(&error).map(|error| error.kind())
        };
        assert_eq!(kind("unhandled error (AccessDenied)"), Some(ErrorKind::Denied));
        assert_eq!(kind("the process ended with 1"), Some(ErrorKind::Unavailable));
        let late = CredentialsError::provider_timed_out(Duration::from_secs(1));
        assert_eq!(of_credentials(&late).map(|e| e.kind()), Some(ErrorKind::Timeout));
        assert!(of_credentials(&io::Error::other("AccessDenied")).is_none());
    }
}
