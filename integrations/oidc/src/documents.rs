//! Documents that others publish, of other kinds than key sets and metadata: fetched by the same bounded
//! requests as those, and handed out as bytes.
//!
//! What holds of [keys](crate#whom-it-asks) holds here: `https` alone, no redirects, cookies, credentials or
//! compression, addresses judged before they are connected to, bounds on time and on every byte that comes.
//! What a document means, how long it is kept and who asks again is the caller's.
//!
//! ```no_run
//! use bulla_oidc::documents::{Address, Documents};
//!
//! # async fn example() -> bulla::Result<()> {
//! let documents = Documents::builder().max_len(64 * 1024).build()?;
//! let address = Address::parse("https://bundles.example/bundle.json")?;
//! let first = documents.fetch(&address, None).await?.unwrap_or_default();
//! // Later: nothing, if it is still the same.
//! let newer = documents.fetch(&address, first.tag.as_ref()).await?;
//! # Ok(())
//! # }
//! ```

use std::{fmt, sync::Arc, time::Duration};

use bulla::{Error, ErrorKind, Result};
use http::{HeaderValue, header::ETAG};
use rustls::client::danger::ServerCertVerifier;
use url::Url;

use crate::{
    AddressPolicy, address,
    connect::{self, Connector, MAX_WIRE},
    freshness,
    http::{Http, Request},
    network::Word,
    tls,
};

/// The longest document that can be asked for, in bytes.
const MAX_LEN: usize = 16 * 1024 * 1024;

/// Bytes in an entity tag that is kept.
const MAX_TAG_LEN: usize = 1024;

/// Where a document is: an `https` URL of at most 2,048 bytes, without user, password or fragment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address(Url);

impl Address {
    /// Checks an address.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] for what is no such URL.
    pub fn parse(text: &str) -> Result<Self> {
        let url = address::parse(text)?;
        match url.scheme() {
            "https" => Ok(Self(url)),
            _ => Err(Error::new(ErrorKind::InvalidInput, "a document comes over https alone")),
        }
    }

    /// As it is asked for.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// The host in it, a name or a number.
    #[must_use]
    pub fn host(&self) -> &str {
        self.0.host_str().unwrap_or_default()
    }
}

/// The entity tag of a document, to ask whether it is still the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tag(HeaderValue);

/// A document as it came.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Fetched {
    /// Its bytes.
    pub body: Vec<u8>,
    /// Its tag, if it has one.
    pub tag: Option<Tag>,
    /// For how long it says that it may be kept, less the time that it was kept by others; zero if it may
    /// not.
    pub max_age: Option<Duration>,
}

/// Fetches documents.
pub struct Documents {
    http: Http,
    max_len: usize,
}

/// Says how documents are fetched.
#[must_use]
pub struct DocumentsBuilder {
    addresses: AddressPolicy,
    roots: Vec<Vec<u8>>,
    verifier: Option<Arc<dyn ServerCertVerifier>>,
    proxy: Option<String>,
    connect_timeout: Duration,
    timeout: Duration,
    max_len: usize,
}

impl Documents {
    /// Says how they are fetched.
    pub fn builder() -> DocumentsBuilder {
        DocumentsBuilder {
            addresses: AddressPolicy::default(),
            roots: Vec::new(),
            verifier: None,
            proxy: None,
            connect_timeout: Duration::from_secs(3),
            timeout: Duration::from_secs(10),
            max_len: 256 * 1024,
        }
    }

    /// Fetches a document, or nothing if it is still the one with this tag. A connection of its own each
    /// time.
    ///
    /// # Errors
    /// As for [keys](crate#errors).
    pub async fn fetch(&self, address: &Address, known: Option<&Tag>) -> Result<Option<Fetched>> {
        let request = Request {
            url: &address.0,
            word: Word::Owner { this_host: address::is_loopback(&address.0) },
            accept: "application/json",
            limit: self.max_len,
            etag: known.map(|tag| &tag.0),
            past_caches: false,
            form: None,
        };
        let answer = self.http.send(&request).await?;
        let Some(body) = answer.body else { return Ok(None) };
        let tag = answer.headers.get(ETAG).filter(|tag| tag.len() <= MAX_TAG_LEN);
        let max_age = freshness::max_age(&answer.headers);
        let max_age = max_age.map(|age| age.saturating_sub(freshness::age(&answer.headers)));
        Ok(Some(Fetched { body, tag: tag.cloned().map(Tag), max_age }))
    }
}

impl DocumentsBuilder {
    /// Which networks documents may be fetched from: [`AddressPolicy::AsConfigured`] by default.
    pub const fn addresses(mut self, policy: AddressPolicy) -> Self {
        self.addresses = policy;
        self
    }

    /// Trusts this certification authority as well, beside those of the platform: PEM with one certificate
    /// or several. Called again, it adds to them.
    pub fn root_certificate(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.roots.push(pem.into());
        self
    }

    /// Has this judge the servers' certificates, and nothing else: neither the platform's authorities nor
    /// [those that were given](Self::root_certificate) are trusted then. It is asked at each connection;
    /// none is resumed.
    pub fn server_verifier(mut self, verifier: Arc<dyn ServerCertVerifier>) -> Self {
        self.verifier = Some(verifier);
        self
    }

    /// Asks through this proxy, as [`RemoteKeysBuilder::proxy`](crate::RemoteKeysBuilder::proxy) says.
    pub fn proxy(mut self, url: impl Into<String>) -> Self {
        self.proxy = Some(url.into());
        self
    }

    /// The time to connect, TLS included: 3 seconds by default.
    pub const fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// The time for a request, from looking its host up to the last byte of the answer: 10 seconds by
    /// default, a minute at most.
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Bytes in the longest document: 256 KiB by default, 16 MiB at most.
    pub const fn max_len(mut self, bytes: usize) -> Self {
        self.max_len = bytes;
        self
    }

    /// Checks what was said, without asking anybody.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] if a number is out of range, or if a root certificate or the proxy's
    /// address can't be used; [`ErrorKind::Internal`] if TLS can't be set up.
    pub fn build(self) -> Result<Documents> {
        let refused = [
            (self.connect_timeout.is_zero(), "the time to connect is zero"),
            (self.timeout.is_zero(), "the time for a request is zero"),
            (self.timeout > Duration::from_secs(60), "the time for a request is over a minute"),
            (self.max_len > MAX_LEN, "the longest document is over 16 MiB"),
        ];
        if let Some((_, message)) = refused.iter().find(|(is_so, _)| *is_so) {
            return Err(Error::new(ErrorKind::InvalidInput, *message));
        }
        let tls = match self.verifier {
            Some(verifier) => tls::connector_with(verifier)?,
            None => tls::connector(&self.roots)?,
        };
        let connector = Connector {
            tls,
            policy: self.addresses,
            proxy: self.proxy.as_deref().map(address::proxy).transpose()?,
            timeout: self.connect_timeout,
            resolve: connect::system(),
            // Records of TLS are a little longer than what is in them.
            wire: MAX_WIRE + self.max_len + self.max_len / 8,
        };
        Ok(Documents { http: Http { connector, timeout: self.timeout }, max_len: self.max_len })
    }
}

impl fmt::Debug for Documents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Documents").field("max_len", &self.max_len).finish_non_exhaustive()
    }
}

impl fmt::Debug for DocumentsBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DocumentsBuilder")
            .field("timeout", &self.timeout)
            .field("max_len", &self.max_len)
            .finish_non_exhaustive()
    }
}
