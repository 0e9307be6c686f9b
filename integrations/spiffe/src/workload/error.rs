//! What a Workload API says, as our errors.

use bulla::{Error, ErrorKind};
use spiffe::{
    JwtSourceError, WorkloadApiError, X509SourceError,
    transport::{GrpcStatusCode, TransportError},
};

pub(crate) fn api_error(error: WorkloadApiError) -> Error {
    use WorkloadApiError::{
        Endpoint, HintNotFound, MissingEndpointSocket, NoIdentityIssued, NotUnicodeEndpointSocket,
        PermissionDenied, Transport,
    };
    let (kind, message) = match &error {
        MissingEndpointSocket => (
            ErrorKind::InvalidInput,
            "SPIFFE_ENDPOINT_SOCKET is not set: name the Workload API's socket in it".into(),
        ),
        Endpoint(why) => (ErrorKind::InvalidInput, format!("the Workload API's endpoint: {why}")),
        NotUnicodeEndpointSocket(_) => {
            (ErrorKind::InvalidInput, "SPIFFE_ENDPOINT_SOCKET is no text".into())
        }
        NoIdentityIssued => (
            ErrorKind::Denied,
            "the Workload API has no identity for this process: no entry fits it".into(),
        ),
        PermissionDenied(_) => (ErrorKind::Denied, "the Workload API refuses this process".into()),
        HintNotFound(_) => (ErrorKind::NotFound, "no SVID has that hint".into()),
        Transport(TransportError::Status(status)) => (
            of_status(status.code()),
            format!("the Workload API answered {}", status.code().as_str()),
        ),
        Transport(TransportError::UnsupportedEndpointTransport { .. }) => {
            (ErrorKind::Unsupported, "this system has no Unix sockets".into())
        }
        Transport(_) => (ErrorKind::Unavailable, "the Workload API can't be reached".into()),
        // What came is no SVID or bundle.
        _ => (ErrorKind::Damaged, "the Workload API's answer is not what its standard says".into()),
    };
    let message: String = message;
    Error::new(kind, message).with_source(error)
}

pub(crate) fn x509_error(error: X509SourceError) -> Error {
    match error {
        X509SourceError::Source(error) | X509SourceError::UnsupportedRpc(error) => api_error(error),
        X509SourceError::InitialSyncTimeout => first_update(),
        X509SourceError::Closed => Error::new(ErrorKind::Closed, "the source is closed"),
        X509SourceError::NoSuitableSvid => Error::new(
            ErrorKind::Damaged,
            "the Workload API has no X.509-SVID that is valid now: is the clock right?",
        ),
        error => other(error),
    }
}

pub(crate) fn jwt_error(error: JwtSourceError) -> Error {
    match error {
        JwtSourceError::Source(error)
        | JwtSourceError::UnsupportedRpc(error)
        | JwtSourceError::FetchJwtSvid(error) => api_error(error),
        JwtSourceError::InitialSyncTimeout => first_update(),
        JwtSourceError::Closed => Error::new(ErrorKind::Closed, "the source is closed"),
        error => other(error),
    }
}

fn first_update() -> Error {
    Error::new(
        ErrorKind::Timeout,
        "the Workload API has sent nothing yet: it does not run, or no entry fits this process",
    )
}

fn other(error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::new(ErrorKind::Unavailable, "the Workload API can't be followed").with_source(error)
}

fn of_status(code: GrpcStatusCode) -> ErrorKind {
    match code {
        GrpcStatusCode::InvalidArgument | GrpcStatusCode::OutOfRange => ErrorKind::InvalidInput,
        GrpcStatusCode::DeadlineExceeded => ErrorKind::Timeout,
        GrpcStatusCode::NotFound => ErrorKind::NotFound,
        GrpcStatusCode::PermissionDenied | GrpcStatusCode::Unauthenticated => ErrorKind::Denied,
        GrpcStatusCode::ResourceExhausted => ErrorKind::Throttled,
        GrpcStatusCode::Unimplemented => ErrorKind::Unsupported,
        _ => ErrorKind::Unavailable,
    }
}
