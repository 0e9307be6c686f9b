//! What a source of keys is told before it asks.

use std::{
    fmt,
    sync::Arc,
    time::{Duration, Instant},
};

use bulla::Result;
use reqwest::Client;

use crate::{
    RemoteKeys, address,
    fetch::Fetcher,
    http::Http,
    observe::Telemetry,
    origin::Origin,
    policy::{Clock, Policy},
};

/// Builds [`RemoteKeys`].
#[must_use]
pub struct RemoteKeysBuilder {
    from: From,
    label: Option<Arc<str>>,
    client: Option<Client>,
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
        Self { from, label: None, client: None, policy: Policy::default(), clock }
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

    /// Asks with this client, for a proxy or a certification authority of one's own. It should follow
    /// no redirects, keep no cookies and unpack nothing: what it was redirected to is refused, but
    /// has been asked by then. Its time to connect is its own.
    pub fn client(mut self, client: Client) -> Self {
        self.client = Some(client);
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

    /// The time for one request, from the first byte to the last of the answer: 10 seconds by
    /// default, a minute at most. With metadata to read there are two requests.
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
    /// host, or has a user, password or fragment, or if a number is out of range;
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
        let http = Http::new(self.client, &self.policy).map_err(|error| telemetry.name(error))?;
        let fetcher = Fetcher { http, policy: self.policy, clock: self.clock, telemetry };
        Ok(RemoteKeys::new(origin, fetcher))
    }
}

impl fmt::Debug for RemoteKeysBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RemoteKeysBuilder").field("policy", &self.policy).finish_non_exhaustive()
    }
}
