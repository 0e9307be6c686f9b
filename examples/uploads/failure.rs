//! What goes wrong, as a client is told: a status and JSON. The operator is told more, on standard error.

use axum::{
    body::Body,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use bulla::{Error, ErrorKind};
use serde_json::json;

/// An answer that is none.
pub(crate) struct Failure {
    status: StatusCode,
    error: &'static str,
    /// Of the whole object, where no part of it was asked for that it has.
    len: Option<u64>,
}

impl Failure {
    pub(crate) const BAD_NAME: Self = Self::new(StatusCode::BAD_REQUEST, "bad_name");
    pub(crate) const BAD_QUERY: Self = Self::new(StatusCode::BAD_REQUEST, "bad_query");
    pub(crate) const NOT_FOUND: Self = Self::new(StatusCode::NOT_FOUND, "not_found");
    pub(crate) const TOO_LONG: Self = Self::new(StatusCode::PAYLOAD_TOO_LARGE, "too_long");

    pub(crate) const fn new(status: StatusCode, error: &'static str) -> Self {
        Self { status, error, len: None }
    }

    pub(crate) const fn beyond(len: u64) -> Self {
        let status = StatusCode::RANGE_NOT_SATISFIABLE;
        Self { status, error: "range_not_satisfiable", len: Some(len) }
    }
}

#[allow(clippy::print_stderr, reason = "there the operator looks")]
impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let (status, name) = match error.kind() {
            ErrorKind::NotFound => return Self::NOT_FOUND,
            ErrorKind::QuotaExceeded => (StatusCode::PAYLOAD_TOO_LARGE, "beyond_bounds"),
            _ if error.is_retryable() => (StatusCode::SERVICE_UNAVAILABLE, "unavailable"),
            // Altered, moved or unreadable: which it is, a client has no use for.
            _ => (StatusCode::INTERNAL_SERVER_ERROR, "failed"),
        };
        eprintln!("{error}");
        Self::new(status, name)
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let mut response = to_json(self.status, self.error);
        if let Some(range) =
            self.len.and_then(|len| HeaderValue::from_str(&format!("bytes */{len}")).ok())
        {
            response.headers_mut().insert(header::CONTENT_RANGE, range);
        }
        response
    }
}

/// Errors of the router and of the token's layer have no body: a client that reads JSON gets some.
pub(crate) async fn in_json(response: Response) -> Response {
    let status = response.status();
    let is_error = status.is_client_error() || status.is_server_error();
    if !is_error || response.headers().contains_key(header::CONTENT_TYPE) {
        return response;
    }
    let name = match status {
        StatusCode::UNAUTHORIZED => "unauthorized",
        StatusCode::FORBIDDEN => "forbidden",
        StatusCode::NOT_FOUND => "not_found",
        StatusCode::METHOD_NOT_ALLOWED => "method_not_allowed",
        _ => "failed",
    };
    let (mut parts, _) = response.into_parts();
    let (json, body) = to_json(status, name).into_parts();
    parts.headers.remove(header::CONTENT_LENGTH);
    parts.headers.extend(json.headers);
    Response::from_parts(parts, body)
}

fn to_json(status: StatusCode, error: &str) -> Response {
    let body = Body::from(format!("{}\n", json!({ "error": error })));
    (status, [(header::CONTENT_TYPE, "application/json")], body).into_response()
}
