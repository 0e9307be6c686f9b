//! One request and its answer, bounded. The only file that calls the HTTP client, on the SDK's behalf.

use std::{fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use azure_core::{
    error::Error as SdkError,
    http::{
        AsyncRawResponse, Body, HttpClient, Method, Request,
        headers::{HeaderName, HeaderValue, Headers},
    },
};
use bulla::{Error, ErrorKind, Result};
use bytes::Bytes;
use futures_util::stream;
use reqwest::{Client, ClientBuilder, Proxy, Response, header, redirect};
use rustls::ClientConfig;
use url::{Host, Url};
use zeroize::Zeroizing;

use crate::error::{self, Failure};

/// For those who go without a `Resilient`, whose timeouts are shorter.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const TIMEOUT: Duration = Duration::from_secs(30);

/// Bytes of an answer. A page of 25 versions takes about 10 KiB, a token up to 16.
const MAX_ANSWER: usize = 256 * 1024;

/// Where this machine's own metadata service is, which hands out tokens of a managed identity.
const METADATA: [u8; 4] = [169, 254, 169, 254];

/// How all requests are made.
#[derive(Clone)]
pub(crate) struct Network {
    /// Through the proxy, if there is one.
    far: Client,
    /// To this machine's own services, past any proxy.
    near: Client,
}

/// The requests of one client.
#[derive(Clone, Debug)]
pub(crate) struct Transport {
    network: Network,
    to: To,
}

/// Where requests may go.
#[derive(Clone, Debug)]
enum To {
    /// To one host, by TLS on its port.
    Vault(Arc<str>),
    /// To whoever issues tokens: by TLS, or to this machine's own services.
    Issuer,
}

impl Network {
    pub(crate) fn new(tls: ClientConfig, proxy: Option<&str>) -> Result<Self> {
        let far = builder(tls.clone());
        let far = match proxy {
            None => far,
            Some(url) => {
                let proxy = Proxy::all(url).map_err(|_| {
                    Error::new(ErrorKind::InvalidInput, "the proxy is given by no URL of one")
                })?;
                far.no_proxy().proxy(proxy)
            }
        };
        Ok(Self { far: build(far)?, near: build(builder(tls).no_proxy())? })
    }

    /// To a vault and nowhere else.
    pub(crate) fn to_vault(&self, host: &str) -> Transport {
        Transport { network: self.clone(), to: To::Vault(host.into()) }
    }

    /// To who issues tokens.
    pub(crate) fn to_issuer(&self) -> Transport {
        Transport { network: self.clone(), to: To::Issuer }
    }
}

fn builder(tls: ClientConfig) -> ClientBuilder {
    Client::builder()
        .tls_backend_preconfigured(tls)
        // A token is for the host that it was asked for, and not for where that points.
        .redirect(redirect::Policy::none())
        .referer(false)
        // Retries are for the wrapper, which counts them.
        .retry(reqwest::retry::never())
        .connect_timeout(CONNECT_TIMEOUT)
        .timeout(TIMEOUT)
}

fn build(builder: ClientBuilder) -> Result<Client> {
    builder
        .build()
        .map_err(|_| Error::new(ErrorKind::Internal, "the HTTP client could not be set up"))
}

impl Transport {
    /// The client for a URL, if requests may go there.
    fn client(&self, url: &Url) -> Option<&Client> {
        let by_tls = url.scheme() == "https";
        match &self.to {
            To::Vault(host) => {
                let is = by_tls && url.port().is_none() && url.host_str() == Some(&**host);
                is.then_some(&self.network.far)
            }
            To::Issuer if is_near(url) => Some(&self.network.near),
            To::Issuer => by_tls.then_some(&self.network.far),
        }
    }

    async fn exchange(&self, request: &Request) -> Result<AsyncRawResponse, Failure> {
        let client = self.client(request.url());
        let (client, method) = client.zip(method(request.method())).ok_or(Failure::Elsewhere)?;
        let mut sent = client.request(method, request.url().clone());
        for (name, value) in request.headers().iter() {
            sent = sent.header(name.as_str(), value.as_str());
        }
        if let Body::Bytes(body) = request.body() {
            sent = sent.body(body.clone());
        }
        let mut response = sent.send().await.map_err(|e| error::no_answer(&e))?;
        let body = read(&mut response).await?;
        let headers = headers(response.headers());
        let body = Bytes::from_owner(body);
        let body = Box::pin(stream::once(async move { Ok(body) }));
        Ok(AsyncRawResponse::new(response.status().as_u16().into(), headers, body))
    }
}

#[async_trait]
impl HttpClient for Transport {
    async fn execute_request(&self, request: &Request) -> azure_core::Result<AsyncRawResponse> {
        self.exchange(request).await.map_err(|failure| {
            let kind = match failure {
                Failure::Unreachable(_) => azure_core::error::ErrorKind::Connection,
                _ => azure_core::error::ErrorKind::Io,
            };
            SdkError::new(kind, failure)
        })
    }
}

/// Whether that is the metadata service, or on this machine, where some hosts have theirs.
fn is_near(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(ip)) => ip.is_loopback() || ip.octets() == METADATA,
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

/// What is announced binds nobody: counted as it comes.
async fn read(response: &mut Response) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let announced = response.content_length().and_then(|len| usize::try_from(len).ok());
    if announced.is_some_and(|len| len > MAX_ANSWER) {
        return Err(Failure::TooLong);
    }
    let mut body = Zeroizing::new(Vec::with_capacity(announced.unwrap_or(2048)));
    while let Some(chunk) = response.chunk().await.map_err(|e| error::no_answer(&e))? {
        let len = body.len() + chunk.len();
        if len > MAX_ANSWER {
            return Err(Failure::TooLong);
        }
        if len > body.capacity() {
            // A buffer that grows by itself leaves what was in it where it was.
            let mut larger = Zeroizing::new(Vec::with_capacity(MAX_ANSWER.min(2 * len)));
            larger.extend_from_slice(&body);
            body = larger;
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// Those that the SDK and `error` look at.
fn headers(from: &header::HeaderMap) -> Headers {
    let mut to = Headers::new();
    for (name, value) in from {
        if let Ok(value) = value.to_str() {
            let name = HeaderName::from(name.as_str().to_owned());
            to.insert(name, HeaderValue::from(value.to_owned()));
        }
    }
    to
}

/// Those that are used here.
fn method(method: Method) -> Option<reqwest::Method> {
    match method {
        Method::Get => Some(reqwest::Method::GET),
        Method::Post => Some(reqwest::Method::POST),
        _ => None,
    }
}

impl fmt::Debug for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Network").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tls;

    fn may(transport: &Transport, url: &str) -> bool {
        transport.client(&Url::parse(url).unwrap()).is_some()
    }

    #[test]
    fn requests_go_where_they_may() {
        let ca = include_bytes!("../tests/ca.pem");
        let network = Network::new(tls::config(Some(ca)).unwrap(), None).unwrap();
        let vault = network.to_vault("acme.vault.azure.net");
        assert!(may(&vault, "https://acme.vault.azure.net/keys/k/versions?api-version=7.4"));
        for url in [
            "http://acme.vault.azure.net/keys/k",
            "https://acme.vault.azure.net:8443/keys/k",
            "https://acme.vault.azure.net.evil.example/keys/k",
            "https://evil.vault.azure.net/keys/k",
            "https://127.0.0.1/keys/k",
            "http://169.254.169.254/",
        ] {
            assert!(!may(&vault, url), "{url}");
        }
        let issuer = network.to_issuer();
        for (url, allowed) in [
            ("https://login.microsoftonline.com/t/oauth2/v2.0/token", true),
            ("http://169.254.169.254/metadata/identity/oauth2/token", true),
            ("http://127.0.0.1:41345/msi/token", true),
            ("http://localhost:41345/msi/token", true),
            ("http://login.microsoftonline.com/t/oauth2/v2.0/token", false),
            ("http://169.254.169.253/", false),
            ("http://10.0.0.1/", false),
        ] {
            assert_eq!(may(&issuer, url), allowed, "{url}");
        }
    }

    #[test]
    fn a_proxy_is_given_by_a_url() {
        let ca = include_bytes!("../tests/ca.pem");
        let tls = || tls::config(Some(ca)).unwrap();
        assert!(Network::new(tls(), Some("http://proxy.example.com:3128")).is_ok());
        let error = Network::new(tls(), Some("::")).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
    }
}
