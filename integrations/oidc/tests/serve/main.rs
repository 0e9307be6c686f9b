//! Serving keys, and resources that take tokens.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of tests are tests too")]

mod bearer;
mod publisher;

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering::SeqCst},
};

use async_trait::async_trait;
use axum::{Router, body::Body};
use bulla::{
    Error, ErrorKind, Result,
    jwt::{JwkSet, KeySource, ProviderKeys},
};
use bulla_local::{KeyType, Local, Protection, Store};
use http::{Request, Response};
use http_body_util::BodyExt as _;
use tempfile::TempDir;
use tower_service::Service as _;

/// Keys that may be out.
struct Keys {
    inner: Arc<ProviderKeys<Arc<Local>>>,
    out: AtomicBool,
    _dir: TempDir,
}

#[async_trait]
impl KeySource for Keys {
    async fn keys(&self, kid: Option<&str>) -> Result<Arc<JwkSet>> {
        match self.out.load(SeqCst) {
            true => Err(Error::new(ErrorKind::Unavailable, "the store is out, at /secret/path")),
            false => self.inner.keys(kid).await,
        }
    }
}

fn keys(kind: KeyType) -> Arc<Keys> {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::at(dir.path().join("bulla"));
    store.create_key("id", kind, &Protection::None).unwrap();
    let local = Local::builder(store).signing_key("id").build().unwrap();
    let inner = Arc::new(ProviderKeys::new(Arc::new(local)));
    Arc::new(Keys { inner, out: AtomicBool::new(false), _dir: dir })
}

async fn ask(router: &Router, request: Request<Body>) -> Response<String> {
    let (parts, body) = router.clone().call(request).await.unwrap().into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    Response::from_parts(parts, String::from_utf8(body.to_vec()).unwrap())
}

fn get(path: &str) -> Request<Body> {
    Request::get(path).body(Body::empty()).unwrap()
}
