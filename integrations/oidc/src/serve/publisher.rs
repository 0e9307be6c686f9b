//! What an issuer publishes.

use std::{
    collections::BTreeSet,
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::{Router, extract::State, response::Response, routing::get};
use bulla::{
    Error, ErrorKind, Result,
    jwt::{JwkSet, KeySource},
};
use http::HeaderMap;
use serde::Serialize;
use serde_json::{Map, Value};
use url::Url;

use super::Document;

/// What the metadata has of itself.
const OWN: [&str; 2] = ["issuer", "jwks_uri"];

/// Publishes an issuer's keys and metadata.
///
/// | path, below the issuer's | what |
/// |---|---|
/// | `/.well-known/jwks.json` | the key set (RFC 7517) |
/// | `/.well-known/openid-configuration` | metadata (OpenID Connect Discovery 1.0, section 4) |
/// | `/.well-known/oauth-authorization-server` | the same by RFC 8414, whose path has the issuer's path behind it |
///
/// Answers have `Cache-Control: public, max-age=…`, a strong `ETag`, and `Access-Control-Allow-Origin: *`,
/// since browsers verify tokens too. `If-None-Match` is answered by 304. Keys that can't be had are 503,
/// which nobody may cache.
///
/// The router has no limits of its own on connections and times: it is to stand behind a server that does.
#[derive(Clone)]
pub struct Publisher(Arc<Inner>);

struct Inner {
    keys: Arc<dyn KeySource>,
    issuer: Url,
    max_age: Duration,
    members: Map<String, Value>,
    /// The last set, as it is sent.
    sent: Mutex<Option<(Arc<JwkSet>, Document)>>,
}

/// Says what is published.
#[must_use]
pub struct PublisherBuilder {
    keys: Arc<dyn KeySource>,
    issuer: String,
    max_age: Duration,
    members: Map<String, Value>,
    refused: Option<Error>,
}

impl Publisher {
    /// The keys of this source, such as [`ProviderKeys`](bulla::jwt::ProviderKeys), under this issuer: an
    /// `https` URL without query and fragment, or `http` to this host; tokens have it, to the byte, as `iss`.
    pub fn builder(issuer: impl Into<String>, keys: Arc<dyn KeySource>) -> PublisherBuilder {
        let mut members = Map::new();
        members.insert("response_types_supported".to_owned(), vec!["id_token"].into());
        members.insert("subject_types_supported".to_owned(), vec!["public"].into());
        PublisherBuilder {
            keys,
            issuer: issuer.into(),
            max_age: Duration::from_secs(3600),
            members,
            refused: None,
        }
    }

    /// The routes, to be merged with others. Paths have the issuer's path in front.
    pub fn router(&self) -> Router {
        let path = self.0.issuer.path().trim_end_matches('/');
        Router::new()
            .route(&format!("{path}/.well-known/jwks.json"), get(jwks))
            .route(&format!("{path}/.well-known/openid-configuration"), get(metadata))
            .route(&format!("/.well-known/oauth-authorization-server{path}"), get(metadata))
            .with_state(self.clone())
    }

    /// Where the key set is.
    #[must_use]
    pub fn jwks_uri(&self) -> String {
        format!("{}/.well-known/jwks.json", self.0.issuer.as_str().trim_end_matches('/'))
    }

    async fn set(&self) -> Result<Document> {
        let set = self.0.keys.keys(None).await?;
        let mut sent = self.0.sent.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, document)) = sent.as_ref().filter(|(of, _)| Arc::ptr_eq(of, &set)) {
            return Ok(document.clone());
        }
        let document = Document::json(set.to_json());
        *sent = Some((set, document.clone()));
        Ok(document)
    }

    async fn metadata(&self) -> Result<Document> {
        let set = self.0.keys.keys(None).await?;
        // Of what is published now; a set of keys that state none says nothing.
        let algorithms: BTreeSet<_> =
            set.iter().filter_map(|key| key.algorithm_name()).map(str::to_owned).collect();
        let algorithms = algorithms.into_iter().collect::<Vec<_>>();
        let mut members = self.0.members.clone();
        members.insert("issuer".to_owned(), self.issuer().into());
        members.insert("jwks_uri".to_owned(), self.jwks_uri().into());
        members.entry("id_token_signing_alg_values_supported").or_insert_with(|| algorithms.into());
        Ok(Document::json(Value::Object(members).to_string()))
    }

    /// As it was given: a URL without a path has none in tokens either.
    fn issuer(&self) -> &str {
        let text = self.0.issuer.as_str();
        match self.0.issuer.path() {
            "/" => text.trim_end_matches('/'),
            _ => text,
        }
    }

    fn answer(&self, asked: &HeaderMap, found: Result<Document>) -> Response {
        match found {
            Ok(document) => document.answer(asked, self.0.max_age),
            Err(error) => {
                tracing::warn!(%error, "keys can't be published now");
                Document::unavailable()
            }
        }
    }
}

async fn jwks(State(publisher): State<Publisher>, asked: HeaderMap) -> Response {
    let found = publisher.set().await;
    publisher.answer(&asked, found)
}

async fn metadata(State(publisher): State<Publisher>, asked: HeaderMap) -> Response {
    let found = publisher.metadata().await;
    publisher.answer(&asked, found)
}

impl PublisherBuilder {
    /// For how long clients may keep keys and metadata: `max-age`, an hour by default. With a ring, what its
    /// policy says: `jwks_max_age`.
    pub const fn max_age(mut self, max_age: Duration) -> Self {
        self.max_age = max_age;
        self
    }

    /// Another member of the metadata, such as `token_endpoint`; one that is there by default, such as
    /// `response_types_supported` (`["id_token"]`), is replaced.
    pub fn member(mut self, name: impl Into<String>, value: impl Serialize) -> Self {
        let name = name.into();
        let invalid = |message: String| Error::new(ErrorKind::InvalidInput, message);
        let refused = match serde_json::to_value(value) {
            Ok(_) if OWN.contains(&&*name) => {
                Some(invalid(format!("{name} of the metadata follows from the issuer")))
            }
            Ok(value) => {
                self.members.insert(name, value);
                None
            }
            Err(_) => Some(invalid(format!("{name} of the metadata has no JSON form"))),
        };
        if let Some(refused) = refused {
            self.refused.get_or_insert(refused);
        }
        self
    }

    /// The publisher. No key is asked for yet.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] for an issuer that is no such URL or not in its canonical spelling, and
    /// for a [`member`](Self::member) that is not to be given.
    pub fn build(self) -> Result<Publisher> {
        let Self { keys, issuer, max_age, members, refused } = self;
        if let Some(refused) = refused {
            return Err(refused);
        }
        let invalid = |message: &'static str| Err(Error::new(ErrorKind::InvalidInput, message));
        let Ok(url) = Url::parse(&issuer) else {
            return invalid("the issuer is no URL; give one such as https://id.example");
        };
        let local = matches!(url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"));
        let fine = (url.scheme() == "https" || (url.scheme() == "http" && local))
            && url.query().is_none()
            && url.fragment().is_none()
            && url.username().is_empty()
            && url.password().is_none();
        if !fine {
            return invalid(
                "the issuer is an https URL without user, query and fragment; http is for this host alone",
            );
        }
        let sent = Mutex::default();
        let publisher = Publisher(Arc::new(Inner { keys, issuer: url, max_age, members, sent }));
        if publisher.issuer() != issuer {
            return Err(Error::new(
                ErrorKind::InvalidInput,
                format!("the issuer is written {} in its canonical spelling", publisher.issuer()),
            ));
        }
        if issuer.contains(['{', '}']) {
            return invalid("the issuer's path has a brace");
        }
        Ok(publisher)
    }
}

impl fmt::Debug for Publisher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Publisher")
            .field("issuer", &self.issuer())
            .field("max_age", &self.0.max_age)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for PublisherBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PublisherBuilder")
            .field("issuer", &self.issuer)
            .field("max_age", &self.max_age)
            .finish_non_exhaustive()
    }
}
