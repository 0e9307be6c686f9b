//! One request, with everything that comes back bounded.

use std::time::Duration;

use bulla::{Error, ErrorKind, Result};
use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue, Method, Response, StatusCode,
    header::{
        ACCEPT, ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, HOST,
        IF_NONE_MATCH, USER_AGENT,
    },
};
use http_body_util::{BodyExt, Full};
use hyper::{
    body::{Body, Incoming},
    client::conn::http1,
};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    task::JoinSet,
};
use url::Url;

use crate::{
    bounded::{Bounded, TooLong},
    connect::{Connected, Connector},
    freshness,
    network::{Network, Word},
};

/// Bytes that are read before the body, informational responses included.
const MAX_HEAD: usize = 64 * 1024;

/// Bytes beside those of the body: what chunks are framed in, and trailers.
const MAX_FRAMING: usize = 64 * 1024;

pub(crate) struct Http {
    pub(crate) connector: Connector,
    pub(crate) timeout: Duration,
}

/// What to ask for.
pub(crate) struct Request<'a> {
    pub(crate) url: &'a Url,
    /// Who says so.
    pub(crate) word: Word,
    pub(crate) accept: &'static str,
    /// Bytes that the body may have.
    pub(crate) limit: usize,
    /// Of the answer at hand, if it is still wanted.
    pub(crate) etag: Option<&'a HeaderValue>,
    /// Asks caches on the way to look themselves (RFC 9111, section 5.2.1.4).
    pub(crate) past_caches: bool,
    /// A form to be sent: by POST then, and not by GET. What refuses it is an answer.
    pub(crate) form: Option<&'a str>,
}

pub(crate) struct Answer {
    #[cfg_attr(not(feature = "client"), allow(dead_code, reason = "only forms are refused by it"))]
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    /// None if the answer at hand is still the right one.
    pub(crate) body: Option<Vec<u8>>,
    /// Where it came from.
    pub(crate) network: Network,
}

impl Http {
    /// Asks on a connection of its own: keys are asked for once in an hour, and what a connection may
    /// carry is then what an answer may.
    pub(crate) async fn send(&self, request: &Request<'_>) -> Result<Answer> {
        in_time(self.timeout, async {
            let Connected { io, network } =
                self.connector.connect(request.url, request.word).await?;
            exchange(io, request, network).await
        })
        .await
    }
}

/// However slowly something comes, it comes in time or not at all.
async fn in_time<T: Send>(
    limit: Duration,
    exchange: impl Future<Output = Result<T>> + Send,
) -> Result<T> {
    tokio::time::timeout(limit, exchange).await.unwrap_or_else(|_| {
        Err(Error::new(ErrorKind::Timeout, "the issuer's server did not answer in time"))
    })
}

async fn exchange(
    io: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    request: &Request<'_>,
    network: Network,
) -> Result<Answer> {
    let io = Bounded::new(io, MAX_HEAD);
    let allowance = io.allowance();
    let (mut sender, connection) = http1::handshake(TokioIo::new(io)).await.map_err(not_sent)?;
    let mut driver = JoinSet::new(); // the connection ends when this is dropped
    driver.spawn(connection);
    let mut response = sender.send_request(written(request)?).await.map_err(not_sent)?;
    let status = response.status();
    let body = match status {
        _ if status == StatusCode::OK || (request.form.is_some() && is_answer(status)) => {
            allowance.add(request.limit + MAX_FRAMING);
            Some(body(&mut response, request.limit).await?)
        }
        StatusCode::NOT_MODIFIED if request.etag.is_some() => None,
        status => return Err(refused(status, response.headers())),
    };
    Ok(Answer { status, headers: response.into_parts().0.headers, body, network })
}

/// What an authorization server refuses a request with (RFC 6749, section 5.2).
fn is_answer(status: StatusCode) -> bool {
    matches!(status, StatusCode::BAD_REQUEST | StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN)
}

fn written(request: &Request<'_>) -> Result<http::Request<Full<Bytes>>> {
    let mut path = request.url.path().to_owned();
    if let Some(query) = request.url.query() {
        path.extend(["?", query]);
    }
    let mut host = request.url.host_str().unwrap_or_default().to_owned();
    if let Some(port) = request.url.port() {
        host.push_str(&format!(":{port}"));
    }
    let method = if request.form.is_some() { Method::POST } else { Method::GET };
    let mut written = http::Request::builder()
        .method(method)
        .uri(path)
        .header(HOST, host)
        .header(USER_AGENT, concat!("bulla-oidc/", env!("CARGO_PKG_VERSION")))
        .header(ACCEPT, request.accept)
        // A compressed body may be small until it is unpacked.
        .header(ACCEPT_ENCODING, "identity");
    if let Some(etag) = request.etag {
        written = written.header(IF_NONE_MATCH, etag);
    }
    if request.past_caches {
        written = written.header(CACHE_CONTROL, "no-cache");
    }
    let mut body = Full::default();
    if let Some(form) = request.form {
        written = written.header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        body = Full::from(form.to_owned());
    }
    written.body(body).map_err(|error| {
        Error::new(ErrorKind::InvalidInput, "the address can't be asked for").with_source(error)
    })
}

async fn body(response: &mut Response<Incoming>, limit: usize) -> Result<Vec<u8>> {
    let encoding = response.headers().get(CONTENT_ENCODING);
    if encoding.is_some_and(|encoding| !encoding.as_bytes().eq_ignore_ascii_case(b"identity")) {
        return Err(damaged("the document is compressed, which was not asked for"));
    }
    let too_long = || damaged("the document is longer than such documents may be");
    let announced = response.body().size_hint().lower();
    if usize::try_from(announced).map_or(true, |announced| announced > limit) {
        return Err(too_long());
    }
    let mut body = Vec::new();
    // What is announced binds nobody: counted as it comes.
    while let Some(frame) = response.body_mut().frame().await {
        let Ok(chunk) = frame.map_err(not_sent)?.into_data() else { continue };
        if chunk.len() > limit - body.len() {
            return Err(too_long());
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// No answer, or not all of it.
fn not_sent(error: hyper::Error) -> Error {
    let (kind, message) = match TooLong::caused(&error) {
        true => (ErrorKind::Damaged, "the answer has more around the document than is read"),
        false => (ErrorKind::Unavailable, "the issuer's server broke off, or speaks no HTTP"),
    };
    Error::new(kind, message).with_source(error)
}

fn refused(status: StatusCode, headers: &HeaderMap) -> Error {
    let of = |kind, what| Error::new(kind, format!("the issuer's server answers {status}{what}"));
    let error = match status.as_u16() {
        429 => of(ErrorKind::Throttled, ""),
        408 => of(ErrorKind::Timeout, ""),
        401 | 403 => {
            of(ErrorKind::Denied, ": keys to verify with are public, is this their address?")
        }
        404 | 410 => of(ErrorKind::NotFound, ": are keys at another address?"),
        304 => of(ErrorKind::Unsupported, " to a question without a condition"),
        300..=399 => return redirected(),
        500.. => of(ErrorKind::Unavailable, ""),
        _ => of(ErrorKind::Unsupported, ", where 200 is expected"),
    };
    match freshness::retry_after(headers).filter(|_| error.is_retryable()) {
        Some(wait) => error.with_retry_after(wait),
        None => error,
    }
}

fn redirected() -> Error {
    let message = "redirects are not followed: configure the address that this one leads to";
    Error::new(ErrorKind::InvalidInput, message)
}

fn damaged(message: &'static str) -> Error {
    Error::new(ErrorKind::Damaged, message)
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    };

    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

    use super::*;

    const LIMIT: usize = 256 * 1024;

    /// Bytes under way between the two ends.
    const PIPE: usize = 512;

    /// What an exchange comes to, and how many bytes it took from a server that writes `head` once and
    /// then `rest` for ever, with a pause before each.
    async fn with(head: &str, rest: &[u8], pause: Duration) -> (Result<Answer>, usize) {
        let (ours, theirs) = duplex(PIPE);
        let taken = Arc::new(AtomicUsize::new(0));
        let server = serve(theirs, head.to_owned(), rest.to_owned(), pause, Arc::clone(&taken));
        let server = tokio::spawn(server);
        let url = Url::parse("https://id.example/keys").unwrap();
        let word = Word::Owner { this_host: false };
        let request = Request {
            url: &url,
            word,
            accept: "a/b",
            limit: LIMIT,
            etag: None,
            past_caches: false,
            form: None,
        };
        let exchange = exchange(ours, &request, Network::Internet);
        let result = in_time(Duration::from_secs(10), exchange).await;
        server.await.unwrap();
        (result, taken.load(SeqCst))
    }

    async fn serve(
        mut io: DuplexStream,
        head: String,
        rest: Vec<u8>,
        pause: Duration,
        taken: Arc<AtomicUsize>,
    ) {
        let _ = io.read(&mut [0; 1024]).await.unwrap();
        let mut part = head.as_bytes();
        loop {
            while !part.is_empty() {
                let Ok(len) = io.write(part).await else { return };
                taken.fetch_add(len, SeqCst);
                part = &part[len..];
            }
            if rest.is_empty() {
                return;
            }
            tokio::time::sleep(pause).await;
            part = &rest;
        }
    }

    #[track_caller]
    fn assert_refused((result, taken): (Result<Answer>, usize), most: usize) {
        let error = result.map(|_| ()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Damaged, "{error}");
        assert!(taken <= most + PIPE, "{taken} bytes were taken");
    }

    #[tokio::test(start_paused = true)]
    async fn informational_responses_come_to_an_end() {
        let hints = b"HTTP/1.1 103 Early Hints\r\nlink: </a>; rel=preload\r\n\r\n";
        assert_refused(with("", hints, Duration::ZERO).await, MAX_HEAD);
        assert_refused(with("", b"HTTP/1.1 100 Continue\r\n\r\n", Duration::ZERO).await, MAX_HEAD);
        // A few before the answer do no harm.
        let hints = std::str::from_utf8(hints).unwrap().repeat(9);
        let head = format!("{hints}HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{{}}");
        let (answer, _) = with(&head, b"", Duration::ZERO).await;
        assert_eq!(answer.unwrap().body.unwrap(), b"{}");
    }

    #[tokio::test(start_paused = true)]
    async fn headers_have_a_largest_size() {
        let answer = |len: usize| {
            let long = "a".repeat(len);
            format!("HTTP/1.1 200 OK\r\nx: {long}\r\ncontent-length: 2\r\n\r\n{{}}")
        };
        let (fits, _) = with(&answer(MAX_HEAD - 100), b"", Duration::ZERO).await;
        assert_eq!(fits.unwrap().body.unwrap(), b"{}");
        assert_refused(with(&answer(MAX_HEAD), b"", Duration::ZERO).await, MAX_HEAD);
        assert_refused(with(&answer(390_000), b"", Duration::ZERO).await, MAX_HEAD);
        // One that never ends, of one line or of many.
        assert_refused(with("HTTP/1.1 200 OK\r\nx: ", b"a", Duration::ZERO).await, MAX_HEAD);
    }

    #[tokio::test(start_paused = true)]
    async fn what_chunks_are_framed_in_has_a_largest_size() {
        let chunked = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
        let most = MAX_HEAD + LIMIT + MAX_FRAMING;
        assert_refused(with(chunked, b"1\r\na\r\n", Duration::ZERO).await, most);
        let whole = "HTTP/1.1 200 OK\r\n\r\n";
        assert_refused(with(whole, b"aaaaaaaa", Duration::ZERO).await, LIMIT + MAX_HEAD);
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_trickles_is_not_waited_for() {
        for head in ["", "HTTP/1.1 200 OK\r\nx: ", "HTTP/1.1 200 OK\r\n\r\n"] {
            let (result, taken) = with(head, b"a", Duration::from_secs(1)).await;
            let error = result.map(|_| ()).unwrap_err();
            // The first byte of an answer that is none is told at once.
            let kind = if head.is_empty() { ErrorKind::Unavailable } else { ErrorKind::Timeout };
            assert_eq!(error.kind(), kind, "{head}");
            assert!(taken <= head.len() + 11, "{taken} bytes were taken");
        }
    }

    #[test]
    fn each_status_has_a_kind() {
        for (status, kind) in [
            (204, ErrorKind::Unsupported),
            (206, ErrorKind::Unsupported),
            (301, ErrorKind::InvalidInput),
            (304, ErrorKind::Unsupported),
            (308, ErrorKind::InvalidInput),
            (400, ErrorKind::Unsupported),
            (401, ErrorKind::Denied),
            (403, ErrorKind::Denied),
            (404, ErrorKind::NotFound),
            (408, ErrorKind::Timeout),
            (410, ErrorKind::NotFound),
            (429, ErrorKind::Throttled),
            (500, ErrorKind::Unavailable),
            (503, ErrorKind::Unavailable),
            (999, ErrorKind::Unavailable),
        ] {
            let status = StatusCode::from_u16(status).unwrap();
            assert_eq!(refused(status, &HeaderMap::new()).kind(), kind, "{status}");
        }
    }
}
