//! What a source of keys is told before it asks.

use std::{
    fmt,
    sync::Arc,
    time::{Duration, Instant},
};

use crate::{
    AddressPolicy, RemoteKeys, address,
    connect::{self, Connector},
    fetch::Fetcher,
    http::Http,
    observe::Telemetry,
    origin::Origin,
    policy::{Clock, Policy},
    tls,
};
use bulla::Result;

/// Builds [`RemoteKeys`].
#[must_use]
pub struct RemoteKeysBuilder {
    from: From,
    label: Option<Arc<str>>,
    addresses: AddressPolicy,
    roots: Vec<Vec<u8>>,
    proxy: Option<String>,
    policy: Policy,
    clock: Clock,
}

enum From {
    Address(String),
    OpenId(String),
    OAuth(String),
}

impl RemoteKeysBuilder {
    pub(crate) fn address(url: String) -> Self {
        Self::new(From::Address(url))
    }

    pub(crate) fn issuer(issuer: String) -> Self {
        Self::new(From::OpenId(issuer))
    }

    fn new(from: From) -> Self {
        let clock: Clock = Arc::new(Instant::now);
        Self {
            from,
            label: None,
            addresses: AddressPolicy::default(),
            roots: Vec::new(),
            proxy: None,
            policy: Policy::default(),
            clock,
        }
    }

    /// Reads the metadata of an OAuth 2.0 authorization server (RFC 8414): at
    /// `/.well-known/oauth-authorization-server`, which stands before the path of the issuer and not
    /// behind it. Changes nothing where an address of keys was given.
    pub fn oauth(mut self) -> Self {
        self.from = match self.from {
            From::OpenId(issuer) => From::OAuth(issuer),
            other => other,
        };
        self
    }

    /// The name in errors, metrics and events: the host of the address by default.
    pub fn label(mut self, label: impl Into<Arc<str>>) -> Self {
        self.label = Some(label.into());
        self
    }

    /// Which networks keys may be fetched from: [`AddressPolicy::AsConfigured`] by default.
    pub fn addresses(mut self, policy: AddressPolicy) -> Self {
        self.addresses = policy;
        self
    }

    /// Trusts this certification authority as well, beside those of the platform: PEM with one
    /// certificate or several, such as a company's own. Called again, it adds to them.
    pub fn root_certificate(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.roots.push(pem.into());
        self
    }

    /// Asks through this proxy, `http://` and its host and port, by `CONNECT`: TLS is still the
    /// issuer's. This host is asked without. Who resolves names is then the proxy, and where they lead
    /// is for it to judge: the [policy for addresses](Self::addresses) sees only those in numbers.
    pub fn proxy(mut self, url: impl Into<String>) -> Self {
        self.proxy = Some(url.into());
        self
    }

    /// The bounds of what an issuer may state as time to live: 5 minutes and 24 hours by default; a
    /// second at least and 7 days at most. A key that the issuer withdraws is used for as long.
    pub fn ttl(mut self, shortest: Duration, longest: Duration) -> Self {
        (self.policy.min_ttl, self.policy.max_ttl) = (shortest, longest);
        self
    }

    /// The time to live of answers that state none: an hour by default, within the bounds.
    pub fn default_ttl(mut self, ttl: Duration) -> Self {
        self.policy.default_ttl = ttl;
        self
    }

    /// For how long past their time to live keys are used if they can't be renewed: 4 hours by
    /// default, 24 at most, zero for never. Whoever has a key that was withdrawn, and can keep this
    /// host from the issuer, gains as much.
    pub fn stale(mut self, stale: Duration) -> Self {
        self.policy.stale = stale;
        self
    }

    /// Unknown ids make it ask at most once in this time: 30 seconds by default, an hour at most. If
    /// that fails, the error answers for the rest of it.
    pub fn cooldown(mut self, cooldown: Duration) -> Self {
        self.policy.cooldown = cooldown;
        self
    }

    /// The time to connect, TLS included: 3 seconds by default.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.policy.connect_timeout = timeout;
        self
    }

    /// The time for one request, from looking its host up to the last byte of the answer: 10 seconds
    /// by default, a minute at most. With metadata to read there are two requests, so a fetch takes
    /// twice as long at most.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.policy.timeout = timeout;
        self
    }

    /// Takes the time for ages, cooldowns and pauses from here. It must not run backwards.
    pub fn clock(mut self, clock: impl Fn() -> Instant + Send + Sync + 'static) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Checks what was said, without asking anybody.
    ///
    /// # Errors
    /// [`InvalidInput`](bulla::ErrorKind::InvalidInput) if the address is not `https`, nor on this
    /// host, or has a user, password or fragment, if a number is out of range, or if a root certificate
    /// or the proxy's address can't be used;
    /// [`Internal`](bulla::ErrorKind::Internal) if TLS can't be set up.
    pub fn build(self) -> Result<RemoteKeys> {
        self.policy.check()?;
        let origin = match self.from {
            From::Address(url) => Origin::Address(address::parse(&url)?),
            From::OpenId(issuer) => {
                let at = address::openid(&issuer)?;
                Origin::issuer(issuer, at)
            }
            From::OAuth(issuer) => {
                let at = address::oauth(&issuer)?;
                Origin::issuer(issuer, at)
            }
        };
        let host = || origin.configured().host_str().unwrap_or_default().into();
        let telemetry = Telemetry::new(self.label.unwrap_or_else(host));
        let connector = Connector {
            tls: tls::connector(&self.roots).map_err(|error| telemetry.name(error))?,
            policy: self.addresses,
            proxy: self.proxy.as_deref().map(address::proxy).transpose()?,
            timeout: self.policy.connect_timeout,
            resolve: connect::system(),
            wire: connect::MAX_WIRE,
        };
        let http = Http { connector, timeout: self.policy.timeout };
        let fetcher = Fetcher { http, policy: self.policy, clock: self.clock, telemetry };
        Ok(RemoteKeys::new(origin, fetcher))
    }
}

impl fmt::Debug for RemoteKeysBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RemoteKeysBuilder").field("policy", &self.policy).finish_non_exhaustive()
    }
}
