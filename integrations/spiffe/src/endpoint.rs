//! Serving a bundle.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::{Router, extract::State, response::Response, routing::get};
use bulla::Result;
use bulla_oidc::serve::Document;
use http::HeaderMap;

use crate::{bundle::Bundle, set::BundleSource};

/// What is said of a bundle without a hint.
const DEFAULT_AGE: Duration = Duration::from_secs(300);

/// A bundle endpoint (SPIFFE Federation, section 4): the document at a path of one's choice.
///
/// Answers have `Content-Type: application/json`, a strong `ETag` and `Cache-Control: public, max-age=…` with
/// the refresh hint; `If-None-Match` is answered by 304. A bundle that can't be had is 503, which nobody may
/// cache. Behind a server with a certificate of the Web PKI it is of the profile `https_web`, behind one with
/// an X.509-SVID of `https_spiffe`. The router has no limits of its own on connections and times: it is to
/// stand behind a server that does. Nobody is asked for a credential, as section 5.2 has it.
#[derive(Clone)]
pub struct BundleEndpoint(Arc<Inner>);

struct Inner {
    source: Arc<dyn BundleSource>,
    /// The last bundle, as it is sent.
    sent: Mutex<Option<(Arc<Bundle>, Document)>>,
}

impl BundleEndpoint {
    /// Serves the bundle of this source, such as a [`LocalBundle`](crate::LocalBundle).
    pub fn new(source: Arc<dyn BundleSource>) -> Self {
        Self(Arc::new(Inner { source, sent: Mutex::default() }))
    }

    /// The route, to be merged with others: at this path, which begins with a slash.
    ///
    /// # Panics
    /// For what is no path of a route, since a program says it and not a request.
    pub fn router(&self, path: &str) -> Router {
        Router::new().route(path, get(answer)).with_state(self.clone())
    }

    async fn document(&self) -> Result<(Document, Duration)> {
        let bundle = self.0.source.bundle().await?;
        let age = bundle.refresh_hint().unwrap_or(DEFAULT_AGE);
        let mut sent = self.0.sent.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, document)) = sent.as_ref().filter(|(of, _)| Arc::ptr_eq(of, &bundle)) {
            return Ok((document.clone(), age));
        }
        let document = Document::json(bundle.to_json()?);
        *sent = Some((bundle, document.clone()));
        Ok((document, age))
    }
}

async fn answer(State(endpoint): State<BundleEndpoint>, asked: HeaderMap) -> Response {
    match endpoint.document().await {
        Ok((document, age)) => document.answer(&asked, age),
        Err(error) => {
            tracing::warn!(%error, "the bundle can't be served now");
            Document::unavailable()
        }
    }
}

impl fmt::Debug for BundleEndpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BundleEndpoint").finish_non_exhaustive()
    }
}
