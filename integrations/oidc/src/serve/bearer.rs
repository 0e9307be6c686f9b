//! Requests with a token.

use std::{
    fmt,
    future::Future,
    marker::PhantomData,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use axum::extract::FromRequestParts;
use bulla::{
    ErrorKind,
    jwt::{InvalidToken, JoseHeader, KeySource, Verified, Verifier},
};
use http::{HeaderValue, Request, Response, StatusCode, header, request::Parts};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::value::RawValue;
use tower_layer::Layer;
use tower_service::Service;

/// The token of a request that a [`BearerLayer`] let pass. Cheap to clone.
pub struct Bearer<C>(Arc<(JoseHeader, C)>);

impl<C> Bearer<C> {
    /// Its claims.
    #[must_use]
    pub fn claims(&self) -> &C {
        &self.0.1
    }

    /// Its header.
    #[must_use]
    pub fn header(&self) -> &JoseHeader {
        &self.0.0
    }
}

impl<C> Clone for Bearer<C> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

/// Without the claims, which are often about a person.
impl<C> fmt::Debug for Bearer<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bearer").field("header", self.header()).finish_non_exhaustive()
    }
}

/// Takes the token out of the request. A handler that asks for one where no layer has put one, or one with
/// claims of another type, answers 500: a mistake in the program, which lets nobody pass.
impl<C: Send + Sync + 'static, S: Sync> FromRequestParts<S> for Bearer<C> {
    type Rejection = StatusCode;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, StatusCode> {
        parts.extensions.get::<Self>().cloned().ok_or(StatusCode::INTERNAL_SERVER_ERROR)
    }
}

/// Lets requests pass that have a good bearer token in their `Authorization` header, and puts a
/// [`Bearer`] with the claims into their extensions (RFC 6750).
///
/// | request | answer | `WWW-Authenticate` |
/// |---|---|---|
/// | without a token | 401 | `Bearer` |
/// | with a token that is malformed, not authentic, expired, for somebody else … | 401 | `error="invalid_token"` |
/// | with several `Authorization` headers, or one that is no token | 400 | `error="invalid_request"` |
/// | with a token whose scope lacks something | 403 | `error="insufficient_scope"`, and the scope that is needed |
/// | while keys can't be had | 503 | |
///
/// Why a token is no good, the log has (`bulla_oidc`, at the level `debug`), and the answer has not. Tokens in
/// queries and bodies are not looked at (RFC 9700, section 4.3.2).
pub struct BearerLayer<C> {
    rules: Arc<Rules>,
    claims: PhantomData<fn() -> C>,
}

struct Rules {
    verifier: Verifier,
    keys: Arc<dyn KeySource>,
    realm: Option<String>,
    scopes: Vec<String>,
}

impl<C> BearerLayer<C> {
    /// Requests with tokens that this verifier accepts, with these keys.
    pub fn new(verifier: Verifier, keys: Arc<dyn KeySource>) -> Self {
        let rules = Rules { verifier, keys, realm: None, scopes: Vec::new() };
        Self { rules: Arc::new(rules), claims: PhantomData }
    }

    /// Asks for this in the token's `scope` too: one or several, with spaces between. Called again, it adds
    /// to them.
    ///
    /// # Panics
    /// For what can't be a scope (RFC 6749, section 3.3), since a program says it and not a request.
    #[must_use]
    pub fn scope(self, scope: &str) -> Self {
        let fine = |b: u8| matches!(b, 0x20 | 0x21 | 0x23..=0x5b | 0x5d..=0x7e);
        assert!(scope.bytes().all(fine), "{scope:?} is no scope");
        self.change(|rules| {
            rules.scopes.extend(scope.split(' ').filter(|s| !s.is_empty()).map(str::to_owned));
        })
    }

    /// Names this realm in answers.
    ///
    /// # Panics
    /// For a realm with quotes, backslashes or control characters.
    #[must_use]
    pub fn realm(self, realm: &str) -> Self {
        let fine = |b: u8| matches!(b, 0x20 | 0x21 | 0x23..=0x5b | 0x5d..=0x7e);
        assert!(realm.bytes().all(fine), "{realm:?} is no realm");
        self.change(|rules| rules.realm = Some(realm.to_owned()))
    }

    fn change(self, change: impl FnOnce(&mut Rules)) -> Self {
        let old = &self.rules;
        let mut rules = Rules {
            verifier: old.verifier.clone(),
            keys: Arc::clone(&old.keys),
            realm: old.realm.clone(),
            scopes: old.scopes.clone(),
        };
        change(&mut rules);
        Self { rules: Arc::new(rules), claims: PhantomData }
    }
}

impl<C> Clone for BearerLayer<C> {
    fn clone(&self) -> Self {
        Self { rules: Arc::clone(&self.rules), claims: PhantomData }
    }
}

impl<C, S> Layer<S> for BearerLayer<C> {
    type Service = BearerService<C, S>;

    fn layer(&self, inner: S) -> Self::Service {
        BearerService { inner, rules: Arc::clone(&self.rules), claims: PhantomData }
    }
}

/// What a [`BearerLayer`] makes of a service.
pub struct BearerService<C, S> {
    inner: S,
    rules: Arc<Rules>,
    claims: PhantomData<fn() -> C>,
}

impl<C, S: Clone> Clone for BearerService<C, S> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone(), rules: Arc::clone(&self.rules), claims: PhantomData }
    }
}

type Answering<T, E> = Pin<Box<dyn Future<Output = Result<T, E>> + Send>>;

impl<C, S, Req, Res> Service<Request<Req>> for BearerService<C, S>
where
    C: DeserializeOwned + Send + Sync + 'static,
    S: Service<Request<Req>, Response = Response<Res>> + Clone + Send + 'static,
    S::Future: Send,
    Req: Send + 'static,
    Res: Default,
{
    type Response = Response<Res>;
    type Error = S::Error;
    type Future = Answering<Self::Response, Self::Error>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<Req>) -> Self::Future {
        // The one that is ready is the one that is called.
        let clone = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, clone);
        let rules = Arc::clone(&self.rules);
        Box::pin(async move {
            match rules.admit::<C>(request.headers()).await {
                Ok(bearer) => {
                    request.extensions_mut().insert(bearer);
                    inner.call(request).await
                }
                Err(refusal) => Ok(rules.answer(refusal)),
            }
        })
    }
}

enum Refusal {
    NoToken,
    Request,
    Token,
    Scope,
    Unavailable,
}

/// What is read of a token's scope: a string (RFC 8693, section 4.2), or as some issuers have it, an array
/// in `scp`.
#[derive(Deserialize)]
struct Scoped {
    #[serde(default)]
    scope: Option<String>,
    #[serde(default)]
    scp: Option<Vec<String>>,
}

impl Scoped {
    fn has(&self, wanted: &str) -> bool {
        let in_scope = self.scope.as_ref().is_some_and(|all| all.split(' ').any(|s| s == wanted));
        in_scope || self.scp.as_ref().is_some_and(|all| all.iter().any(|s| s == wanted))
    }
}

impl Rules {
    async fn admit<C: DeserializeOwned>(
        &self,
        headers: &http::HeaderMap,
    ) -> Result<Bearer<C>, Refusal> {
        let token = token(headers)?;
        let verified: Result<Verified<Box<RawValue>>, _> =
            self.verifier.verify(token, &*self.keys).await;
        let verified = verified.map_err(|error| match error.kind() {
            ErrorKind::NotAuthentic | ErrorKind::InvalidToken => {
                tracing::debug!(reason = ?InvalidToken::of(&error), "a bearer token was refused");
                Refusal::Token
            }
            _ => {
                tracing::warn!(%error, "a bearer token could not be verified");
                Refusal::Unavailable
            }
        })?;
        let text = verified.claims().get();
        if !self.scopes.is_empty() {
            let scoped: Scoped = serde_json::from_str(text).map_err(|_| Refusal::Scope)?;
            if !self.scopes.iter().all(|wanted| scoped.has(wanted)) {
                return Err(Refusal::Scope);
            }
        }
        let claims = serde_json::from_str(text).map_err(|_| {
            tracing::debug!("a bearer token was refused: its claims are of another form");
            Refusal::Token
        })?;
        Ok(Bearer(Arc::new((verified.header().clone(), claims))))
    }

    fn answer<B: Default>(&self, refusal: Refusal) -> Response<B> {
        let mut response = Response::new(B::default());
        let (status, error) = match refusal {
            Refusal::NoToken => (StatusCode::UNAUTHORIZED, None),
            Refusal::Request => (StatusCode::BAD_REQUEST, Some("invalid_request")),
            Refusal::Token => (StatusCode::UNAUTHORIZED, Some("invalid_token")),
            Refusal::Scope => (StatusCode::FORBIDDEN, Some("insufficient_scope")),
            Refusal::Unavailable => {
                *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
                return response;
            }
        };
        *response.status_mut() = status;
        let mut said = Vec::new();
        said.extend(self.realm.as_ref().map(|realm| format!("realm=\"{realm}\"")));
        said.extend(error.map(|error| format!("error=\"{error}\"")));
        if matches!(refusal, Refusal::Scope) {
            said.push(format!("scope=\"{}\"", self.scopes.join(" ")));
        }
        let challenge = format!("Bearer {}", said.join(", "));
        let challenge = HeaderValue::try_from(challenge.trim_end());
        let challenge = challenge.unwrap_or_else(|_| HeaderValue::from_static("Bearer"));
        response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
        response
    }
}

/// The one token of a request (RFC 6750, section 2.1).
fn token(headers: &http::HeaderMap) -> Result<&str, Refusal> {
    let mut all = headers.get_all(header::AUTHORIZATION).iter();
    let value = match (all.next(), all.next()) {
        (None, _) => return Err(Refusal::NoToken),
        (Some(_), Some(_)) => return Err(Refusal::Request),
        (Some(value), None) => value.to_str().map_err(|_| Refusal::Request)?,
    };
    let (scheme, token) = value.split_once(' ').unwrap_or((value, ""));
    if !scheme.eq_ignore_ascii_case("Bearer") {
        return Err(Refusal::NoToken);
    }
    let token = token.trim_matches(' ');
    let fine = |b: u8| b.is_ascii_alphanumeric() || b"-._~+/=".contains(&b);
    match !token.is_empty() && token.bytes().all(fine) {
        true => Ok(token),
        false => Err(Refusal::Request),
    }
}

impl<C> fmt::Debug for BearerLayer<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BearerLayer")
            .field("verifier", &self.rules.verifier)
            .field("scopes", &self.rules.scopes)
            .finish_non_exhaustive()
    }
}

impl<C, S> fmt::Debug for BearerService<C, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BearerService").field("scopes", &self.rules.scopes).finish_non_exhaustive()
    }
}
