//! One request and its answer, bounded. The only file that calls the HTTP client.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    time::Duration,
};

use bulla::{Error, ErrorKind, Result};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use reqwest::{Client, Response, redirect};
use rustls::ClientConfig;
use url::Url;
use zeroize::Zeroizing;

use crate::{address::Address, error};

/// For those who go without a `Resilient`, whose timeouts are shorter.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const TIMEOUT: Duration = Duration::from_secs(30);

/// Bytes of an answer to a call. A direct payload of 4,096 bytes takes 6 KiB, the signature of the
/// longest key 1 KiB, and the token of a login with many policies some KiB more.
const MAX_ANSWER: usize = 64 * 1024;

/// Bytes of an answer about a key: each version of a pair brings its public key.
pub(crate) const MAX_DESCRIPTION: usize = 1024 * 1024;

const TOKEN: HeaderName = HeaderName::from_static("x-vault-token");
const NAMESPACE: HeaderName = HeaderName::from_static("x-vault-namespace");

/// Agents and proxies of Vault refuse requests without it, since a browser can't be made to send it.
const REQUEST: HeaderName = HeaderName::from_static("x-vault-request");

#[derive(Clone, Debug)]
pub(crate) struct Http {
    client: Client,
    address: Address,
}

/// What is asked. The token goes along in a header that is not logged.
#[derive(Debug)]
pub(crate) struct Ask<'a> {
    pub(crate) method: Method,
    pub(crate) url: &'a Url,
    pub(crate) token: Option<&'a HeaderValue>,
    pub(crate) namespace: Option<&'a HeaderValue>,
    pub(crate) body: Option<Bytes>,
    /// The most bytes of the answer.
    pub(crate) limit: usize,
}

impl<'a> Ask<'a> {
    pub(crate) fn get(url: &'a Url) -> Self {
        let limit = MAX_ANSWER;
        Self { method: Method::GET, url, token: None, namespace: None, body: None, limit }
    }

    pub(crate) fn post(url: &'a Url, body: Bytes) -> Self {
        Self { method: Method::POST, body: Some(body), ..Self::get(url) }
    }
}

/// What came back. The body is wiped, as it may hold a key or a token.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Zeroizing<Vec<u8>>,
    pub(crate) retry_after: Option<Duration>,
}

impl Http {
    pub(crate) fn new(address: Address, tls: ClientConfig) -> Result<Self> {
        let mut headers = HeaderMap::new();
        headers.insert(REQUEST, HeaderValue::from_static("true"));
        headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
        let mut client = Client::builder();
        if address.is_plain_localhost() {
            // No resolver is asked where this host is.
            let here = [IpAddr::from(Ipv4Addr::LOCALHOST), Ipv6Addr::LOCALHOST.into()];
            client = client.resolve_to_addrs("localhost", &here.map(|ip| (ip, 0).into()));
        }
        let client = client
            .tls_backend_preconfigured(tls)
            .user_agent(concat!("bulla-vault/", env!("CARGO_PKG_VERSION")))
            .default_headers(headers)
            // A standby names another host in a redirect, and the token is not sent to it.
            .redirect(redirect::Policy::none())
            .no_proxy()
            .referer(false)
            // Retries are for the wrapper, which counts them.
            .retry(reqwest::retry::never())
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(TIMEOUT)
            .build()
            .map_err(|_| Error::new(ErrorKind::Internal, "the HTTP client could not be set up"))?;
        Ok(Self { client, address })
    }

    pub(crate) fn address(&self) -> &Address {
        &self.address
    }

    /// Sends it once.
    ///
    /// # Errors
    /// [`ErrorKind::Unavailable`] or [`ErrorKind::Timeout`] if no whole answer came back.
    pub(crate) async fn send(&self, ask: Ask<'_>) -> Result<Answer> {
        let mut request = self.client.request(ask.method, ask.url.clone());
        if let Some(token) = ask.token {
            request = request.header(TOKEN, token);
        }
        if let Some(namespace) = ask.namespace {
            request = request.header(NAMESPACE, namespace);
        }
        if let Some(body) = ask.body {
            request = request.body(body);
        }
        let mut response = request.send().await.map_err(|e| error::no_answer(&e))?;
        let body = read(&mut response, ask.limit).await?;
        let status = response.status().as_u16();
        Ok(Answer { status, body, retry_after: error::retry_after(response.headers()) })
    }
}

/// What is announced binds nobody: counted as it comes.
async fn read(response: &mut Response, limit: usize) -> Result<Zeroizing<Vec<u8>>> {
    let announced = response.content_length().and_then(|len| usize::try_from(len).ok());
    if announced.is_some_and(|len| len > limit) {
        return Err(error::too_long(response.status().as_u16()));
    }
    let mut body = Zeroizing::new(Vec::with_capacity(announced.unwrap_or(2048)));
    while let Some(chunk) = response.chunk().await.map_err(|e| error::no_answer(&e))? {
        let len = body.len() + chunk.len();
        if len > limit {
            return Err(error::too_long(response.status().as_u16()));
        }
        if len > body.capacity() {
            // A buffer that grows by itself leaves what was in it where it was.
            let mut larger = Zeroizing::new(Vec::with_capacity(limit.min(2 * len)));
            larger.extend_from_slice(&body);
            body = larger;
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}
