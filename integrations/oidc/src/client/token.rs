//! Asking for tokens, and keeping the one that came.

use std::{
    fmt,
    ops::Deref,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant, SystemTime},
};

use bulla::{
    Error, Result, Sign,
    flight::{Flight, SingleFlight, Start},
    jwt::Signer,
};
use url::{Url, form_urlencoded};
use zeroize::Zeroizing;

use super::{SignAssertion, TokenClientBuilder, answer, answer::MAX_LEN, assertion::Assertion};
use crate::{
    http::{Http, Request},
    network::Word,
};

/// A token is renewed when a fifth of its life is left, and at most so long before its end.
const RENEW_BEFORE: Duration = Duration::from_secs(60);

/// After a request that failed, how long its error answers instead of another request.
const FAILED_FOR: Duration = Duration::from_secs(1);

const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

const JWT_BEARER: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";

pub(super) type Clock = Arc<dyn Fn() -> SystemTime + Send + Sync>;

/// An access token. Cheap to clone; its `Debug` does not show it.
#[derive(Clone)]
pub struct AccessToken(Arc<Inner>);

struct Inner {
    token: Zeroizing<String>,
    expires: Option<SystemTime>,
    renew: Option<SystemTime>,
    scope: Option<String>,
}

impl AccessToken {
    /// The token itself, for an `Authorization` header.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0.token
    }

    /// Until when it is valid, where the server said so.
    #[must_use]
    pub fn expires(&self) -> Option<SystemTime> {
        self.0.expires
    }

    /// What it is good for, if that is other than what was asked for.
    #[must_use]
    pub fn scope(&self) -> Option<&str> {
        self.0.scope.as_deref()
    }
}

impl fmt::Debug for AccessToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccessToken")
            .field("expires", &self.0.expires)
            .field("scope", &self.0.scope)
            .finish_non_exhaustive()
    }
}

/// A client of a token endpoint, which authenticates by signing and keeps the token it got. Cheap to clone;
/// clones share the token.
///
/// Requests go to the endpoint that was configured and nowhere else: redirects are not followed. An answer
/// is read up to 64 KiB and has 10 seconds. A token is used until a fifth of its life is left, and at most a
/// minute; then one request gets the next, for all who wait. If that fails, the old one is used to its end.
/// A token whose answer states no life is not kept.
#[derive(Clone)]
pub struct TokenClient(Arc<Shared>);

struct Shared {
    asker: Asker,
    clock: Clock,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    token: Option<AccessToken>,
    flight: SingleFlight<AccessToken>,
    failed: Option<(Instant, Error)>,
}

pub(super) struct Asker {
    pub(super) http: Http,
    pub(super) url: Url,
    pub(super) word: Word,
    pub(super) signer: Arc<dyn SignAssertion>,
    pub(super) assertion: Assertion,
    pub(super) grant: GrantType,
    pub(super) scope: Option<String>,
    pub(super) parameters: Vec<(String, String)>,
}

pub(super) enum GrantType {
    ClientCredentials,
    JwtBearer { subject: String, authenticates: bool },
}

impl TokenClient {
    /// A client of this endpoint, by its id there. Assertions are signed with a key whose public half the
    /// server knows, and have the signer's `kid` and `typ`.
    pub fn builder<P>(
        endpoint: impl Into<String>,
        client: impl Into<String>,
        signer: Signer<P>,
    ) -> TokenClientBuilder
    where
        P: Deref + Send + Sync + 'static,
        P::Target: Sign,
    {
        TokenClientBuilder::new(endpoint.into(), client.into(), Arc::new(signer))
    }

    /// The same with something else that signs.
    pub fn builder_with(
        endpoint: impl Into<String>,
        client: impl Into<String>,
        signer: Arc<dyn SignAssertion>,
    ) -> TokenClientBuilder {
        TokenClientBuilder::new(endpoint.into(), client.into(), signer)
    }

    pub(super) fn new(asker: Asker, clock: Clock) -> Self {
        Self(Arc::new(Shared { asker, clock, state: Mutex::default() }))
    }

    /// The token at hand, or a new one. Needs tokio.
    ///
    /// # Errors
    /// [`Denied`](bulla::ErrorKind::Denied) if the server does not know the client or its key;
    /// [`InvalidInput`](bulla::ErrorKind::InvalidInput) for anything else that it refuses, and for a redirect;
    /// [`Unavailable`](bulla::ErrorKind::Unavailable), [`Timeout`](bulla::ErrorKind::Timeout) and [`Throttled`](bulla::ErrorKind::Throttled) where trying again
    /// can help; [`Damaged`](bulla::ErrorKind::Damaged) for an answer that is none; otherwise what the signer says.
    /// [`TokenRefused::of`](super::TokenRefused::of) has the server's own words.
    pub async fn token(&self) -> Result<AccessToken> {
        let now = (self.0.clock)();
        if let Some(token) = self.0.kept(|token| token.0.renew.is_some_and(|renew| now < renew)) {
            return Ok(token);
        }
        match self.renewed().await {
            Ok(token) => Ok(token),
            Err(error) => {
                let now = (self.0.clock)();
                let usable = |token: &AccessToken| token.0.expires.is_some_and(|end| now < end);
                self.0.kept(usable).ok_or(error)
            }
        }
    }

    /// Forgets the token: for one that a resource server has refused. The next call asks for another.
    pub fn forget(&self, token: &AccessToken) {
        let mut state = self.0.lock();
        state.token.take_if(|kept| Arc::ptr_eq(&kept.0, &token.0));
    }

    async fn renewed(&self) -> Result<AccessToken> {
        self.fly()?.landed().await
    }

    fn fly(&self) -> Result<Flight<AccessToken>> {
        let start = Start::prepare()?;
        let mut state = self.0.lock();
        if let Some(flight) = state.flight.join() {
            return Ok(flight);
        }
        if let Some((when, error)) = &state.failed
            && when.elapsed() < FAILED_FOR
        {
            return Err(error.clone());
        }
        let flight = state.flight.begin(&start);
        drop(state);
        let (asks, lands) = (Arc::clone(&self.0), Arc::clone(&self.0));
        start.start(async move { asks.ask().await }, move |flight, result| {
            lands.land(flight, result);
        });
        Ok(flight)
    }
}

impl Shared {
    fn kept(&self, good: impl FnOnce(&AccessToken) -> bool) -> Option<AccessToken> {
        self.lock().token.as_ref().filter(|token| good(token)).cloned()
    }

    async fn ask(&self) -> Result<AccessToken> {
        // Its life is counted from before it was asked for, and so ends early rather than late.
        let asked = (self.clock)();
        let answer = self.asker.ask().await?;
        let life = answer.expires_in;
        let renew = life.map(|life| life.saturating_sub((life / 5).min(RENEW_BEFORE)));
        Ok(AccessToken(Arc::new(Inner {
            token: answer.access_token,
            expires: life.and_then(|life| asked.checked_add(life)),
            renew: renew.and_then(|renew| asked.checked_add(renew)),
            scope: answer.scope,
        })))
    }

    fn land(&self, flight: &Flight<AccessToken>, result: &Result<AccessToken>) {
        let mut state = self.lock();
        if !state.flight.end(flight) {
            return;
        }
        match result {
            Ok(token) => {
                state.failed = None;
                state.token = Some(token.clone());
            }
            Err(error) => state.failed = Some((Instant::now(), error.clone())),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Asker {
    async fn ask(&self) -> Result<answer::Answer> {
        let client = &self.assertion.client;
        let sign = async |subject: &str| {
            let signed = self.signer.sign_assertion(&self.assertion.claims(subject)?).await;
            signed.map(Zeroizing::new)
        };
        // A new one for each request: servers refuse one that they have seen.
        let (authenticates, about) = match &self.grant {
            GrantType::ClientCredentials => (true, None),
            GrantType::JwtBearer { subject, authenticates } => {
                (*authenticates, Some(sign(subject).await?))
            }
        };
        let own = if authenticates { Some(sign(client).await?) } else { None };

        let secrets: Vec<&str> = own.iter().chain(&about).map(|secret| secret.as_str()).collect();
        let form = self.form(own.as_deref(), about.as_deref());
        let request = Request {
            url: &self.url,
            word: self.word,
            accept: "application/json",
            limit: MAX_LEN,
            etag: None,
            past_caches: false,
            form: Some(&form),
        };
        let sent = self.http.send(&request).await?;
        let body = Zeroizing::new(sent.body.unwrap_or_default());
        answer::read(sent.status, &body, &secrets)
    }

    fn form(&self, own: Option<&String>, about: Option<&String>) -> Zeroizing<String> {
        let mut form = form_urlencoded::Serializer::new(String::new());
        match about {
            Some(assertion) => {
                form.append_pair("grant_type", JWT_BEARER).append_pair("assertion", assertion);
            }
            None => {
                form.append_pair("grant_type", "client_credentials");
            }
        }
        if let Some(own) = own {
            form.append_pair("client_assertion_type", ASSERTION_TYPE);
            form.append_pair("client_assertion", own)
                .append_pair("client_id", &self.assertion.client);
        }
        if let Some(scope) = &self.scope {
            form.append_pair("scope", scope);
        }
        form.extend_pairs(&self.parameters);
        Zeroizing::new(form.finish())
    }
}

impl fmt::Debug for TokenClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenClient")
            .field("endpoint", &self.0.asker.url.as_str())
            .field("client", &self.0.asker.assertion.client)
            .finish_non_exhaustive()
    }
}
