//! An issuer in this process: a server that answers as it is told, and counts.

use std::{
    collections::HashMap,
    convert::Infallible,
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
    time::{Duration, Instant},
};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::{Request, State},
    http::{HeaderMap, Response, header},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use bulla::{
    CryptoProviderExt,
    jwt::{Claims, JwkSet, ProviderKeys, Verifier, VerifierBuilder},
};
use bulla_local::{KeyType, Local, Protection, Store};
use bulla_oidc::{RemoteKeys, RemoteKeysBuilder};
use futures_util::{StreamExt, stream};
use tokio::net::TcpListener;

/// The keys of an issuer, in a store of their own.
pub(crate) struct Issuer {
    _dir: tempfile::TempDir,
    pub(crate) store: Store,
    vault: Arc<Local>,
}

impl Issuer {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::at(dir.path().join("store"));
        store.create_key("k", KeyType::P256, &Protection::None).unwrap();
        let vault = Local::builder(store.clone()).signing_key("k").build().unwrap();
        Self { _dir: dir, store, vault: Arc::new(vault) }
    }

    pub(crate) async fn set(&self) -> JwkSet {
        (*ProviderKeys::new(Arc::clone(&self.vault)).jwk_set().await.unwrap()).clone()
    }

    pub(crate) async fn token(&self) -> String {
        let claims = Claims::new().unwrap().with_issuer("us").with_audience("them");
        self.vault.sign_jwt(&claims).await.unwrap()
    }

    pub(crate) fn rotate(&self) {
        self.store.rotate("k", &Protection::None).unwrap();
        self.vault.reload().unwrap();
    }
}

pub(crate) fn expected() -> VerifierBuilder {
    Verifier::builder().issuer("us").audience("them").typ("JWT")
}

/// A token of a key that nobody has.
pub(crate) fn unknown(kid: &str) -> String {
    let header = format!(r#"{{"alg":"ES256","typ":"JWT","kid":"{kid}"}}"#);
    let text = URL_SAFE_NO_PAD.encode(header);
    format!("{text}.e30.{}", "A".repeat(86))
}

#[derive(Clone)]
pub(crate) enum Content {
    Whole(String),
    /// So many bytes of white space, in chunks, without a length.
    Chunked(usize),
    /// A beginning, and then nothing.
    Stalled,
}

#[derive(Clone)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) content: Content,
    pub(crate) delay: Duration,
}

impl Reply {
    pub(crate) fn json(body: impl Into<String>) -> Self {
        let content = Content::Whole(body.into());
        Self { status: 200, headers: Vec::new(), content, delay: Duration::ZERO }
    }

    pub(crate) fn status(status: u16) -> Self {
        Self { status, ..Self::json("") }
    }

    pub(crate) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    pub(crate) fn after(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| *n == name).map(|(_, value)| value.as_str())
    }
}

#[derive(Default)]
struct Shared {
    replies: Mutex<HashMap<String, Reply>>,
    seen: Mutex<Vec<(String, HeaderMap)>>,
}

pub(crate) struct Server {
    pub(crate) at: SocketAddr,
    shared: Arc<Shared>,
}

impl Server {
    pub(crate) async fn new() -> Self {
        Self::on((Ipv4Addr::LOCALHOST, 0).into()).await
    }

    pub(crate) async fn on(at: SocketAddr) -> Self {
        let listener = TcpListener::bind(at).await.unwrap();
        let at = listener.local_addr().unwrap();
        let shared = Arc::new(Shared::default());
        let router = Router::new().fallback(answer).with_state(Arc::clone(&shared));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { at, shared }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.at)
    }

    pub(crate) fn reply(&self, path: &str, reply: Reply) {
        self.shared.replies.lock().unwrap().insert(path.to_owned(), reply);
    }

    pub(crate) async fn publish(&self, issuer: &Issuer) {
        self.reply("/keys", Reply::json(issuer.set().await.to_json()));
    }

    /// How often a path was asked for.
    pub(crate) fn count(&self, path: &str) -> usize {
        self.shared.seen.lock().unwrap().iter().filter(|(p, _)| p == path).count()
    }

    /// The headers of the last request for a path.
    pub(crate) fn last(&self, path: &str) -> HeaderMap {
        let seen = self.shared.seen.lock().unwrap();
        seen.iter().rev().find(|(p, _)| p == path).unwrap().1.clone()
    }

    /// Waits for a path to be asked for so often, which background work does in its own time.
    pub(crate) async fn asked(&self, path: &str, times: usize) {
        for _ in 0..500 {
            if self.count(path) >= times {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("{path} was asked for {} times and not {times}", self.count(path));
    }
}

async fn answer(State(shared): State<Arc<Shared>>, request: Request) -> Response<Body> {
    let path = request.uri().path().to_owned();
    let reply = shared.replies.lock().unwrap().get(&path).cloned();
    let reply = reply.unwrap_or_else(|| Reply::status(404));
    let condition = request.headers().get(header::IF_NONE_MATCH).cloned();
    shared.seen.lock().unwrap().push((path, request.headers().clone()));
    tokio::time::sleep(reply.delay).await;
    let unchanged = reply.header("etag").is_some_and(|tag| {
        condition.as_ref().is_some_and(|condition| condition.as_bytes() == tag.as_bytes())
    });
    let mut response = Response::builder().status(if unchanged { 304 } else { reply.status });
    for (name, value) in &reply.headers {
        response = response.header(*name, value);
    }
    let body = match reply.content {
        _ if unchanged => Body::empty(),
        Content::Whole(text) => Body::from(text),
        Content::Chunked(len) => {
            let chunks = (0..len.div_ceil(1024)).map(move |n| 1024.min(len - n * 1024));
            let chunks = chunks.map(|len| Ok::<_, Infallible>(Bytes::from(vec![b' '; len])));
            Body::from_stream(stream::iter(chunks))
        }
        Content::Stalled => {
            let begun = stream::iter([Ok::<_, Infallible>(Bytes::from_static(b"{"))]);
            Body::from_stream(begun.chain(stream::pending()))
        }
    };
    response.body(body).unwrap()
}

/// A clock that is set forward by hand.
#[derive(Clone)]
pub(crate) struct Time {
    begun: Instant,
    millis: Arc<AtomicU64>,
}

impl Time {
    pub(crate) fn new() -> Self {
        Self { begun: Instant::now(), millis: Arc::default() }
    }

    pub(crate) fn advance(&self, by: Duration) {
        self.millis.fetch_add(u64::try_from(by.as_millis()).unwrap(), SeqCst);
    }

    pub(crate) fn give(&self, builder: RemoteKeysBuilder) -> RemoteKeysBuilder {
        let Self { begun, millis } = self.clone();
        builder.clock(move || begun + Duration::from_millis(millis.load(SeqCst)))
    }
}

/// A server with an issuer's keys, and a source that asks it.
pub(crate) struct World {
    pub(crate) issuer: Issuer,
    pub(crate) server: Server,
    pub(crate) time: Time,
    pub(crate) keys: RemoteKeys,
    pub(crate) verifier: Verifier,
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::with(|builder| builder).await
    }

    pub(crate) async fn with(change: impl FnOnce(RemoteKeysBuilder) -> RemoteKeysBuilder) -> Self {
        let (issuer, server, time) = (Issuer::new(), Server::new().await, Time::new());
        server.publish(&issuer).await;
        let keys = change(time.give(RemoteKeys::jwks(server.url("/keys")))).build().unwrap();
        Self { issuer, server, time, keys, verifier: expected().build().unwrap() }
    }

    pub(crate) async fn verify(&self, token: &str) -> bulla::Result<()> {
        self.verifier.verify::<Claims>(token, &self.keys).await.map(drop)
    }
}

pub(crate) const MINUTE: Duration = Duration::from_secs(60);
pub(crate) const HOUR: Duration = Duration::from_secs(3600);
