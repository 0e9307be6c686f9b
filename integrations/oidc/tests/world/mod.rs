//! An issuer in this process: a server that answers as it is told, and counts.
#![allow(dead_code, reason = "each test uses a part of it")]

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
use bulla::{
    CryptoProviderExt,
    jwt::{Claims, JwkSet, ProviderKeys, Verifier, VerifierBuilder},
};
use bulla_local::{KeyType, Local, Protection, Store};
use bulla_oidc::{RemoteKeys, RemoteKeysBuilder};
use futures_util::{StreamExt, stream};
use tokio::net::TcpListener;

/// The keys of an issuer, in a store of their own.
pub struct Issuer {
    _dir: tempfile::TempDir,
    pub store: Store,
    vault: Local,
}

impl Issuer {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::at(dir.path().join("store"));
        store.create_key("k", KeyType::P256, &Protection::None).unwrap();
        let vault = Local::builder(store.clone()).signing_key("k").build().unwrap();
        Self { _dir: dir, store, vault }
    }

    pub async fn set(&self) -> JwkSet {
        (*ProviderKeys::new(&self.vault).jwk_set().await.unwrap()).clone()
    }

    pub async fn token(&self) -> String {
        let claims = Claims::new().unwrap().with_issuer("us").with_audience("them");
        self.vault.sign_jwt(&claims).await.unwrap()
    }

    pub fn rotate(&self) {
        self.store.rotate_key("k", None).unwrap();
        self.vault.reload().unwrap();
    }
}

pub fn expected() -> VerifierBuilder {
    Verifier::builder().issuer("us").audience("them").typ("JWT")
}

/// A token of a key that nobody has.
pub fn unknown(kid: &str) -> String {
    use std::fmt::Write;
    let header = format!(r#"{{"alg":"ES256","typ":"JWT","kid":"{kid}"}}"#);
    let mut text = String::new();
    // Base64url by hand: the alphabet's first 62 characters are digits and letters.
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    for chunk in header.as_bytes().chunks(3) {
        let bits = chunk.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte))
            << (8 * (3 - chunk.len()));
        for n in 0..=chunk.len() {
            let at = (bits >> (18 - 6 * n) & 63) as usize;
            write!(text, "{}", char::from(alphabet[at])).unwrap();
        }
    }
    format!("{text}.e30.{}", "A".repeat(86))
}

#[derive(Clone)]
pub enum Content {
    Whole(String),
    /// So many bytes of white space, in chunks, without a length.
    Chunked(usize),
    /// A beginning, and then nothing.
    Stalled,
}

#[derive(Clone)]
pub struct Reply {
    pub status: u16,
    pub headers: Vec<(&'static str, String)>,
    pub content: Content,
    pub delay: Duration,
}

impl Reply {
    pub fn json(body: impl Into<String>) -> Self {
        let content = Content::Whole(body.into());
        Self { status: 200, headers: Vec::new(), content, delay: Duration::ZERO }
    }

    pub fn status(status: u16) -> Self {
        Self { status, ..Self::json("") }
    }

    pub fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    pub fn after(mut self, delay: Duration) -> Self {
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

pub struct Server {
    pub at: SocketAddr,
    shared: Arc<Shared>,
}

impl Server {
    pub async fn new() -> Self {
        Self::on((Ipv4Addr::LOCALHOST, 0).into()).await
    }

    pub async fn on(at: SocketAddr) -> Self {
        let listener = TcpListener::bind(at).await.unwrap();
        let at = listener.local_addr().unwrap();
        let shared = Arc::new(Shared::default());
        let router = Router::new().fallback(answer).with_state(Arc::clone(&shared));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { at, shared }
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.at)
    }

    pub fn reply(&self, path: &str, reply: Reply) {
        self.shared.replies.lock().unwrap().insert(path.to_owned(), reply);
    }

    pub async fn publish(&self, issuer: &Issuer) {
        self.reply("/keys", Reply::json(issuer.set().await.to_json()));
    }

    /// How often a path was asked for.
    pub fn count(&self, path: &str) -> usize {
        self.shared.seen.lock().unwrap().iter().filter(|(p, _)| p == path).count()
    }

    /// The headers of the last request for a path.
    pub fn last(&self, path: &str) -> HeaderMap {
        let seen = self.shared.seen.lock().unwrap();
        seen.iter().rev().find(|(p, _)| p == path).unwrap().1.clone()
    }

    /// Waits for a path to be asked for so often, which background work does in its own time.
    pub async fn asked(&self, path: &str, times: usize) {
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
pub struct Time {
    begun: Instant,
    millis: Arc<AtomicU64>,
}

impl Time {
    pub fn new() -> Self {
        Self { begun: Instant::now(), millis: Arc::default() }
    }

    pub fn advance(&self, by: Duration) {
        self.millis.fetch_add(u64::try_from(by.as_millis()).unwrap(), SeqCst);
    }

    pub fn give(&self, builder: RemoteKeysBuilder) -> RemoteKeysBuilder {
        let Self { begun, millis } = self.clone();
        builder.clock(move || begun + Duration::from_millis(millis.load(SeqCst)))
    }
}

/// A server with an issuer's keys, and a source that asks it.
pub struct World {
    pub issuer: Issuer,
    pub server: Server,
    pub time: Time,
    pub keys: RemoteKeys,
    pub verifier: Verifier,
}

impl World {
    pub async fn new() -> Self {
        Self::with(|builder| builder).await
    }

    pub async fn with(change: impl FnOnce(RemoteKeysBuilder) -> RemoteKeysBuilder) -> Self {
        let (issuer, server, time) = (Issuer::new(), Server::new().await, Time::new());
        server.publish(&issuer).await;
        let keys = change(time.give(RemoteKeys::jwks(server.url("/keys")))).build().unwrap();
        Self { issuer, server, time, keys, verifier: expected().build().unwrap() }
    }

    pub async fn verify(&self, token: &str) -> bulla::Result<()> {
        self.verifier.verify::<Claims>(token, &self.keys).await.map(drop)
    }
}

pub const MINUTE: Duration = Duration::from_secs(60);
pub const HOUR: Duration = Duration::from_secs(3600);
