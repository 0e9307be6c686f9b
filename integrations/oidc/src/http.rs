//! One GET, with everything that comes back bounded.

use std::{
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Duration,
};

use bulla::{Error, ErrorKind, Result};
use reqwest::{
    Client, Response, StatusCode,
    header::{
        ACCEPT, ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, HeaderMap, HeaderValue,
        IF_NONE_MATCH,
    },
    redirect,
};
use url::Url;

use crate::{freshness, policy::Policy};

pub(crate) struct Http {
    client: Client,
    timeout: Duration,
}

/// What to ask for.
pub(crate) struct Request<'a> {
    pub(crate) url: &'a Url,
    pub(crate) accept: &'static str,
    /// Bytes that the body may have.
    pub(crate) limit: usize,
    /// Of the answer at hand, if it is still wanted.
    pub(crate) etag: Option<&'a HeaderValue>,
    /// Asks caches on the way to look themselves (RFC 9111, section 5.2.1.4).
    pub(crate) past_caches: bool,
}

pub(crate) struct Answer {
    pub(crate) headers: HeaderMap,
    /// None if the answer at hand is still the right one.
    pub(crate) body: Option<Vec<u8>>,
}

impl Http {
    pub(crate) fn new(injected: Option<Client>, policy: &Policy) -> Result<Self> {
        let client = match injected {
            Some(client) => client,
            None => own_client(policy)?,
        };
        Ok(Self { client, timeout: policy.timeout })
    }

    pub(crate) async fn get(&self, request: &Request<'_>) -> Result<Answer> {
        let exchange = tokio::time::timeout(self.timeout, self.exchange(request));
        exchange.await.unwrap_or_else(|_| {
            Err(Error::new(ErrorKind::Timeout, "the issuer's server did not answer in time"))
        })
    }

    async fn exchange(&self, request: &Request<'_>) -> Result<Answer> {
        let get = self.client.get(request.url.clone()).header(ACCEPT, request.accept);
        // A compressed body may be small until it is unpacked.
        let mut get = get.header(ACCEPT_ENCODING, "identity");
        if let Some(etag) = request.etag {
            get = get.header(IF_NONE_MATCH, etag);
        }
        if request.past_caches {
            get = get.header(CACHE_CONTROL, "no-cache");
        }
        let mut response = get.send().await.map_err(not_sent)?;
        if response.url() != request.url {
            return Err(redirected()); // by a client that was injected
        }
        match response.status() {
            StatusCode::OK => {
                let body = body(&mut response, request.limit).await?;
                Ok(Answer { headers: std::mem::take(response.headers_mut()), body: Some(body) })
            }
            StatusCode::NOT_MODIFIED if request.etag.is_some() => {
                Ok(Answer { headers: std::mem::take(response.headers_mut()), body: None })
            }
            status => Err(refused(status, response.headers())),
        }
    }
}

fn own_client(policy: &Policy) -> Result<Client> {
    // No resolver is asked where this host is; the port is the address's own.
    let here =
        [SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), SocketAddr::from((Ipv6Addr::LOCALHOST, 0))];
    let builder = Client::builder()
        .redirect(redirect::Policy::none())
        .no_proxy()
        .referer(false)
        .connect_timeout(policy.connect_timeout)
        .pool_max_idle_per_host(1)
        .resolve_to_addrs("localhost", &here)
        .user_agent(concat!("bulla-oidc/", env!("CARGO_PKG_VERSION")));
    builder.build().map_err(|error| {
        Error::new(ErrorKind::Internal, "the HTTP client, or its TLS, could not be set up")
            .with_source(error)
    })
}

async fn body(response: &mut Response, limit: usize) -> Result<Vec<u8>> {
    let encoding = response.headers().get(CONTENT_ENCODING);
    if encoding.is_some_and(|encoding| !encoding.as_bytes().eq_ignore_ascii_case(b"identity")) {
        return Err(damaged("the document is compressed, which was not asked for"));
    }
    let too_long = || damaged("the document is longer than such documents may be");
    let fits = |len: u64| usize::try_from(len).is_ok_and(|len| len <= limit);
    if response.content_length().is_some_and(|len| !fits(len)) {
        return Err(too_long());
    }
    let mut body = Vec::new();
    // What is announced binds nobody: counted as it comes.
    while let Some(chunk) = response.chunk().await.map_err(not_sent)? {
        if chunk.len() > limit - body.len() {
            return Err(too_long());
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// No answer, or not all of it.
fn not_sent(error: reqwest::Error) -> Error {
    let (kind, message) = match error.is_timeout() {
        true => (ErrorKind::Timeout, "the issuer's server did not answer in time"),
        false => (ErrorKind::Unavailable, "the issuer's server can't be reached, or broke off"),
    };
    Error::new(kind, message).with_source(error.without_url())
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
    use super::*;

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
