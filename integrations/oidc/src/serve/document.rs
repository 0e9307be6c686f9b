//! A document as it is served.

use std::time::Duration;

use axum::{
    body::Body,
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use sha2::{Digest as _, Sha256};

/// How long a client waits before it asks again, if there is no document, in seconds.
const RETRY_AFTER: u32 = 5;

/// A JSON document that anybody may have, and its tag. Cheap to clone.
///
/// For documents beside those of a [`Publisher`](super::Publisher), such as bundles of SPIFFE: answered in
/// the same way.
#[derive(Clone, Debug)]
pub struct Document {
    body: Bytes,
    tag: HeaderValue,
}

impl Document {
    /// The document of this text. Its tag is of the text, so that every server of it has the same.
    #[must_use]
    pub fn json(text: String) -> Self {
        let digest = Sha256::digest(&text);
        let hex: String = digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
        let tag = HeaderValue::try_from(format!("\"{hex}\""));
        Self { body: text.into(), tag: tag.unwrap_or_else(|_| HeaderValue::from_static("\"\"")) }
    }

    /// The answer to a request with these headers: 200, or 304 if the client has it already. It has
    /// `Cache-Control: public, max-age=…`, a strong `ETag` and `Access-Control-Allow-Origin: *`.
    pub fn answer(&self, asked: &HeaderMap, max_age: Duration) -> Response {
        let max_age = format!("public, max-age={}", max_age.as_secs());
        let headers = [
            (
                header::CACHE_CONTROL,
                HeaderValue::try_from(max_age).unwrap_or_else(|_| no_store().1),
            ),
            (header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*")),
            (header::ETAG, self.tag.clone()),
        ];
        if has_it(asked, &self.tag) {
            return (StatusCode::NOT_MODIFIED, headers).into_response();
        }
        let kind = [(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))];
        (headers, kind, Body::from(self.body.clone())).into_response()
    }

    /// The answer where there is no document now: 503, which nobody may cache.
    #[must_use]
    pub fn unavailable() -> Response {
        (StatusCode::SERVICE_UNAVAILABLE, [(header::RETRY_AFTER, RETRY_AFTER.into()), no_store()])
            .into_response()
    }
}

/// Whether the client has this already (RFC 9110, section 13.1.2). Tags are compared weakly.
fn has_it(asked: &HeaderMap, tag: &HeaderValue) -> bool {
    let of = |value: &HeaderValue| -> bool {
        let Ok(text) = value.to_str() else { return false };
        text.split(',').map(str::trim).any(|one| {
            one == "*" || one.strip_prefix("W/").unwrap_or(one).as_bytes() == tag.as_bytes()
        })
    };
    asked.get_all(header::IF_NONE_MATCH).iter().any(of)
}

fn no_store() -> (header::HeaderName, HeaderValue) {
    (header::CACHE_CONTROL, HeaderValue::from_static("no-store"))
}
