//! Tokens: issued to clients for their secret, and checked with the same keys.

use std::{collections::BTreeMap, fs, path::Path, sync::Arc};

use axum::{
    body::{Body, to_bytes},
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use bulla::{
    Error, ErrorKind, Result, SharedProvider,
    jwt::{Claims, KeySource, ProviderKeys, Verifier},
};
use bulla_oidc::serve::{BearerLayer, Publisher};
use bulla_tokens::issuer::{Grant, MemoryRefreshTokens, Scope, TokenIssuer};
use serde_json::json;
use subtle::ConstantTimeEq as _;

use crate::failure::Failure;

/// Whom tokens are for.
const AUDIENCE: &str = "uploads";
const SCOPES: &str = "objects:read objects:write";

/// What is read of a request for a token.
const MAX_FORM_LEN: usize = 4096;

/// Clients and their secrets.
pub(crate) struct Clients(BTreeMap<String, String>);

impl Clients {
    /// Reads a file with a client and its secret on each line.
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let text = fs::read_to_string(path).map_err(Error::from_io)?;
        let client = |line: &str| {
            let (name, secret) = line.split_once(' ')?;
            let fine = is_name(name) && secret.len() >= 16;
            fine.then(|| (name.to_owned(), secret.to_owned()))
        };
        let clients: Option<_> = text.lines().map(client).collect();
        clients.map(Self).ok_or_else(|| {
            let text = "a line of the clients' file is a name, a space and a secret of 16 characters or more";
            Error::new(ErrorKind::InvalidInput, text)
        })
    }

    /// The client of HTTP's Basic authentication (RFC 6749, section 2.3.1), if the secret is its own.
    fn authenticate(&self, headers: &HeaderMap) -> Option<&str> {
        let text = headers.get(header::AUTHORIZATION)?.to_str().ok()?.strip_prefix("Basic ")?;
        let text = String::from_utf8(STANDARD.decode(text).ok()?).ok()?;
        let (name, given) = text.split_once(':')?;
        let (name, secret) = self.0.get_key_value(name)?;
        bool::from(secret.as_bytes().ct_eq(given.as_bytes())).then_some(name)
    }
}

/// What an owner and an object may be called: one part of a path, and nothing hidden.
pub(crate) fn is_name(name: &str) -> bool {
    let fine = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
    (1..=128).contains(&name.len()) && !name.starts_with('.') && name.bytes().all(fine)
}

#[derive(Clone)]
pub(crate) struct Tokens(Arc<Inner>);

struct Inner {
    issuer: TokenIssuer,
    publisher: Publisher,
    verifier: Verifier,
    clients: Clients,
}

impl Tokens {
    pub(crate) fn new(issuer: &str, keys: SharedProvider, clients: Clients) -> Result<Self> {
        let keys = Arc::new(ProviderKeys::new(keys));
        let verifier =
            Verifier::builder().issuer(issuer).audience(AUDIENCE).typ("at+jwt").build()?;
        let issuing = TokenIssuer::builder(issuer, keys, MemoryRefreshTokens::new()).build()?;
        let publisher = Publisher::builder(issuer, issuing.keys()).build()?;
        Ok(Self(Arc::new(Inner { issuer: issuing, publisher, verifier, clients })))
    }

    /// Lets requests pass with tokens of ours that have this scope.
    pub(crate) fn layer(&self, scope: &str) -> BearerLayer<Claims> {
        let keys: Arc<dyn KeySource> = self.0.issuer.keys();
        BearerLayer::new(self.0.verifier.clone(), keys).realm(AUDIENCE).scope(scope)
    }

    pub(crate) fn publisher(&self) -> &Publisher {
        &self.0.publisher
    }
}

/// `POST /token`: the client credentials grant (RFC 6749, section 4.4).
pub(crate) async fn token(
    State(tokens): State<Tokens>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let Inner { issuer, clients, .. } = &*tokens.0;
    let Some(client) = clients.authenticate(&headers) else {
        let challenge = [(header::WWW_AUTHENTICATE, "Basic realm=\"uploads\"")];
        return (challenge, refusal(StatusCode::UNAUTHORIZED, "invalid_client")).into_response();
    };
    let Ok(form) = to_bytes(body, MAX_FORM_LEN).await else {
        return refusal(StatusCode::BAD_REQUEST, "invalid_request");
    };
    let fields: BTreeMap<_, _> = url::form_urlencoded::parse(&form).into_owned().collect();
    if fields.get("grant_type").map(String::as_str) != Some("client_credentials") {
        return refusal(StatusCode::BAD_REQUEST, "unsupported_grant_type");
    }
    let all: Option<Scope> = SCOPES.parse().ok();
    let asked: Option<Scope> = fields.get("scope").map_or(SCOPES, String::as_str).parse().ok();
    let Some(scope) =
        asked.zip(all).and_then(|(asked, all)| asked.is_within(&all).then_some(asked))
    else {
        return refusal(StatusCode::BAD_REQUEST, "invalid_scope");
    };
    let grant = Grant::new(client, client).with_audience(AUDIENCE).with_scope(scope);
    match issuer.issue(&grant).await {
        Ok(response) => {
            let headers =
                [(header::CACHE_CONTROL, "no-store"), (header::CONTENT_TYPE, "application/json")];
            (headers, json!(response).to_string()).into_response()
        }
        Err(error) => Failure::from(error).into_response(),
    }
}

fn refusal(status: StatusCode, error: &str) -> Response {
    let headers = [(header::CACHE_CONTROL, "no-store"), (header::CONTENT_TYPE, "application/json")];
    (status, headers, json!({ "error": error }).to_string()).into_response()
}
