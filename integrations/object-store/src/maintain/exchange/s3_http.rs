//! Requests of S3 that `object_store` does not make, by URLs that it signs.

use std::time::Duration;

use bytes::Bytes;
use futures_util::TryStreamExt as _;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode};
use object_store::{
    aws::AmazonS3,
    client::{HttpClient, HttpRequestBody},
    path::Path,
    signer::{SignedUrlOptions, Signer as _},
};

use crate::maintain::{Failure, State};

/// How long a signed URL is good for, and so how long one attempt may take to begin.
const SIGNED_FOR: Duration = Duration::from_secs(300);

/// How often a request is tried.
const ATTEMPTS: u32 = 5;

/// The wait before the second attempt, and twice as long before each further one.
const FIRST_WAIT: Duration = Duration::from_millis(200);

/// The longest answer that is read: 256 KiB.
const LONGEST: usize = 256 << 10;

#[derive(Debug)]
pub(super) struct S3Http {
    store: AmazonS3,
    client: HttpClient,
}

/// An answer, with as much of its body as is read.
pub(super) struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    pub(super) body: String,
}

impl S3Http {
    pub(super) fn new(store: AmazonS3, client: HttpClient) -> Self {
        Self { store, client }
    }

    /// Sends a request, again if the service can't serve it now. Each of those sent here may be sent twice.
    pub(super) async fn send(
        &self,
        method: Method,
        location: &Path,
        query: &[(&'static str, &str)],
        headers: &[(HeaderName, &str)],
        body: Bytes,
    ) -> Result<Answer, Failure> {
        let mut wait = FIRST_WAIT;
        let mut attempt = 1;
        loop {
            let sent = self.once(&method, location, query, headers, body.clone()).await;
            let again = match &sent {
                Ok(answer) => answer.may_pass(),
                Err(Failure::Store(_)) => true,
                Err(_) => false,
            };
            if !again || attempt == ATTEMPTS {
                return sent;
            }
            tokio::time::sleep(wait).await;
            (wait, attempt) = (wait * 2, attempt + 1);
        }
    }

    async fn once(
        &self,
        method: &Method,
        location: &Path,
        query: &[(&'static str, &str)],
        headers: &[(HeaderName, &str)],
        body: Bytes,
    ) -> Result<Answer, Failure> {
        let mut options = SignedUrlOptions::new().with_query(query.iter().copied());
        let mut request = Request::new(HttpRequestBody::from(body));
        for (name, value) in headers {
            let value = HeaderValue::from_str(value)
                .map_err(|_| Answer::unexpected("the object's ETag is not fit for a header"))?;
            options = options.with_signed_header(name.clone(), value.clone());
            request.headers_mut().insert(name.clone(), value);
        }
        let url = self.store.signed_url_opts(method.clone(), location, SIGNED_FOR, &options);
        let uri = url.await?.as_str().parse();
        *request.uri_mut() =
            uri.map_err(|_| Answer::unexpected("the object's name is not fit for a URL"))?;
        *request.method_mut() = method.clone();
        let response = self.client.execute(request).await.map_err(failed)?;
        let (parts, body) = response.into_parts();
        let mut stream = body.bytes_stream();
        let mut bytes = Vec::new();
        while let Some(piece) = stream.try_next().await.map_err(failed)? {
            let room = LONGEST - bytes.len();
            bytes.extend_from_slice(piece.get(..room).unwrap_or(&piece));
            if bytes.len() == LONGEST {
                break;
            }
        }
        let body = String::from_utf8_lossy(&bytes).into_owned();
        Ok(Answer { status: parts.status, headers: parts.headers, body })
    }
}

impl Answer {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The answer, if it is one of success: some failures come under a status that says otherwise.
    pub(super) fn expect_success(self) -> Result<Self, Failure> {
        let code = self.code();
        match (self.status, code) {
            (status, None) if status.is_success() => Ok(self),
            (StatusCode::PRECONDITION_FAILED | StatusCode::CONFLICT, _)
            | (_, Some("PreconditionFailed" | "ConditionalRequestConflict")) => {
                Err(Failure::Changed)
            }
            (StatusCode::NOT_FOUND, None | Some("NoSuchKey")) => {
                Err(Failure::State(State::Gone, None))
            }
            (status, code) => Err(Self::unexpected(format!(
                "S3 answered {}{}",
                status.as_u16(),
                code.map(|code| format!(": {code}")).unwrap_or_default()
            ))),
        }
    }

    pub(super) fn unexpected(what: impl Into<String>) -> Failure {
        let source = what.into().into();
        Failure::Store(object_store::Error::Generic { store: "S3", source })
    }

    fn may_pass(&self) -> bool {
        self.status.is_server_error()
            || self.status == StatusCode::TOO_MANY_REQUESTS
            || matches!(self.code(), Some("InternalError" | "SlowDown" | "ServiceUnavailable"))
    }

    /// The code of an error, wherever it stands.
    fn code(&self) -> Option<&str> {
        let (_, error) = self.body.split_once("<Error>")?;
        let code = text_between(error, "<Code>", "</Code>")?;
        // It ends up on terminals.
        code.bytes().all(|byte| byte.is_ascii_alphanumeric()).then_some(code)
    }
}

/// Without what the client says: that may have the URL in it, which is signed.
fn failed(error: object_store::client::HttpError) -> Failure {
    Answer::unexpected(format!("the request failed: {:?}", error.kind()))
}

/// The first text between two tags.
pub(super) fn text_between<'a>(xml: &'a str, open: &str, close: &str) -> Option<&'a str> {
    let (_, rest) = xml.split_once(open)?;
    Some(rest.split_once(close)?.0)
}

/// Text for XML.
pub(super) fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
