//! What a client of a token endpoint is told.

use std::{
    fmt,
    sync::Arc,
    time::{Duration, SystemTime},
};

use bulla::{Error, ErrorKind, Result};
use serde::Serialize;
use serde_json::Map;

use super::{
    SignAssertion, TokenClient,
    assertion::Assertion,
    token::{Asker, Clock, GrantType},
};
use crate::{
    AddressPolicy, address,
    connect::{self, Connector},
    http::Http,
    network::Word,
    tls,
};

/// The longest life of an assertion: servers refuse those of much more.
const MAX_LIFE: Duration = Duration::from_secs(3600);

/// Parameters of the form that a client has by itself.
const OWN: [&str; 6] =
    ["grant_type", "scope", "client_id", "client_assertion", "client_assertion_type", "assertion"];

/// Builds a [`TokenClient`].
#[must_use]
pub struct TokenClientBuilder {
    endpoint: String,
    signer: Arc<dyn SignAssertion>,
    assertion: Assertion,
    audience: Option<String>,
    subject: Option<String>,
    authenticates: bool,
    scope: Option<String>,
    parameters: Vec<(String, String)>,
    refused: Option<Error>,
    addresses: AddressPolicy,
    roots: Vec<Vec<u8>>,
    proxy: Option<String>,
    connect_timeout: Duration,
    timeout: Duration,
    clock: Clock,
}

impl TokenClientBuilder {
    pub(super) fn new(endpoint: String, client: String, signer: Arc<dyn SignAssertion>) -> Self {
        let life = Duration::from_secs(60);
        let assertion = Assertion { client, audience: String::new(), life, claims: Map::new() };
        Self {
            endpoint,
            signer,
            assertion,
            audience: None,
            subject: None,
            authenticates: true,
            scope: None,
            parameters: Vec::new(),
            refused: None,
            addresses: AddressPolicy::default(),
            roots: Vec::new(),
            proxy: None,
            connect_timeout: Duration::from_secs(3),
            timeout: Duration::from_secs(10),
            clock: Arc::new(SystemTime::now),
        }
    }

    /// The `aud` of assertions: the endpoint by default, and where the server wants it, its issuer's name.
    pub fn audience(mut self, audience: impl Into<String>) -> Self {
        self.audience = Some(audience.into());
        self
    }

    /// Asks for this scope: tokens with spaces between.
    pub fn scope(mut self, scope: impl Into<String>) -> Self {
        self.scope = Some(scope.into());
        self
    }

    /// Asks on behalf of this user, by the grant `jwt-bearer` (RFC 7523, section 2.1): an assertion of the
    /// client about the user. Without it, the client asks for itself, by `client_credentials`.
    pub fn on_behalf_of(mut self, subject: impl Into<String>) -> Self {
        self.subject = Some(subject.into());
        self
    }

    /// Sends no second assertion to authenticate the client, where the one about the user is enough.
    pub fn without_client_assertion(mut self) -> Self {
        self.authenticates = false;
        self
    }

    /// Another claim of assertions.
    pub fn claim(mut self, name: impl Into<String>, value: impl Serialize) -> Self {
        let name = name.into();
        let added = match serde_json::to_value(value) {
            Ok(value) => self.assertion.add(name, value),
            Err(_) => Err(invalid(format!("the claim {name} has no JSON form"))),
        };
        if let Err(error) = added {
            self.refused.get_or_insert(error);
        }
        self
    }

    /// Another parameter of the request, such as `resource` (RFC 8707) or `audience`.
    pub fn parameter(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        let name = name.into();
        if OWN.contains(&&*name) {
            let error = invalid(format!("the request has the parameter {name} by itself"));
            self.refused.get_or_insert(error);
        }
        self.parameters.push((name, value.into()));
        self
    }

    /// For how long an assertion is valid: a minute by default, an hour at most.
    pub fn assertion_life(mut self, life: Duration) -> Self {
        self.assertion.life = life;
        self
    }

    /// Which networks the endpoint may be in: [`AddressPolicy::AsConfigured`] by default.
    pub fn addresses(mut self, policy: AddressPolicy) -> Self {
        self.addresses = policy;
        self
    }

    /// Trusts this certification authority as well, beside those of the platform: PEM with one
    /// certificate or several. Called again, it adds to them.
    pub fn root_certificate(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.roots.push(pem.into());
        self
    }

    /// Asks through this proxy, `http://` and its host and port, by `CONNECT`. This host is asked without.
    pub fn proxy(mut self, url: impl Into<String>) -> Self {
        self.proxy = Some(url.into());
        self
    }

    /// The time to connect, TLS included: 3 seconds by default.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// The time for a request, from looking its host up to the last byte of the answer: 10 seconds by
    /// default.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Takes the time that tokens expire by from here. Assertions have the system's.
    pub fn clock(mut self, clock: impl Fn() -> SystemTime + Send + Sync + 'static) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// The client. Nobody is asked yet.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] for an endpoint that is not `https`, nor on this host, for an assertion's
    /// life of over an hour or under a second, for claims and parameters that are not to be given, and for
    /// a root certificate or a proxy that can't be used; [`ErrorKind::Internal`] if TLS can't be set up.
    pub fn build(self) -> Result<TokenClient> {
        if let Some(refused) = self.refused {
            return Err(refused);
        }
        let url = address::parse(&self.endpoint)?;
        let mut assertion = self.assertion;
        if !(Duration::from_secs(1)..=MAX_LIFE).contains(&assertion.life) {
            return Err(invalid("an assertion is valid for a second to an hour".to_owned()));
        }
        if assertion.client.is_empty() {
            return Err(invalid("the client's id is empty".to_owned()));
        }
        if !self.authenticates && self.subject.is_none() {
            let message = "a client that asks for itself has nothing but its assertion";
            return Err(invalid(message.to_owned()));
        }
        assertion.audience = self.audience.unwrap_or(self.endpoint);
        let word = Word::Owner { this_host: address::is_loopback(&url) };
        let connector = Connector {
            tls: tls::connector(&self.roots)?,
            policy: self.addresses,
            proxy: self.proxy.as_deref().map(address::proxy).transpose()?,
            timeout: self.connect_timeout,
            resolve: connect::system(),
            wire: connect::MAX_WIRE,
        };
        let grant = match self.subject {
            Some(subject) => GrantType::JwtBearer { subject, authenticates: self.authenticates },
            None => GrantType::ClientCredentials,
        };
        let asker = Asker {
            http: Http { connector, timeout: self.timeout },
            url,
            word,
            signer: self.signer,
            assertion,
            grant,
            scope: self.scope,
            parameters: self.parameters,
        };
        Ok(TokenClient::new(asker, self.clock))
    }
}

fn invalid(message: String) -> Error {
    Error::new(ErrorKind::InvalidInput, message)
}

impl fmt::Debug for TokenClientBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenClientBuilder")
            .field("endpoint", &self.endpoint)
            .field("client", &self.assertion.client)
            .finish_non_exhaustive()
    }
}
