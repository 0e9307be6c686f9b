//! A server at a socket of its own.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use async_trait::async_trait;
use bulla::{
    Error, ErrorKind, PublicKey, Result, Sign, Signature, SigningInput, jwt::ProviderKeys,
};
use bulla_local::{KeyType, Local, Protection, Store};
use bulla_spiffe::{
    JwtSvidIssuer,
    authority::{CaPolicy, X509Authority},
    server::{Entry, WorkloadServer, WorkloadServerBuilder, WorkloadSocket},
    workload::WorkloadApi,
};
use spiffe::{SpiffeId, TrustDomain, WorkloadApiClient};
use tempfile::TempDir;
use tokio::{sync::oneshot, task::JoinHandle};

/// A key that is asked through a line, which can be cut.
pub(crate) struct Key {
    local: Local,
    pub(crate) calls: AtomicUsize,
    pub(crate) cut: AtomicBool,
    _directory: TempDir,
}

impl Key {
    pub(crate) fn new() -> Arc<Self> {
        let directory = TempDir::new().unwrap();
        let store = Store::at(directory.path().join("keys"));
        store.create_key("key", KeyType::P256, &Protection::None).unwrap();
        let local = Local::builder(store).signing_key("key").build().unwrap();
        let (calls, cut) = (AtomicUsize::new(0), AtomicBool::new(false));
        Arc::new(Self { local, calls, cut, _directory: directory })
    }

    pub(crate) fn calls(&self) -> usize {
        self.calls.load(SeqCst)
    }
}

#[async_trait]
impl Sign for Key {
    async fn public_keys(&self) -> Result<Vec<PublicKey>> {
        self.local.public_keys().await
    }

    async fn sign(&self, key: &PublicKey, input: &SigningInput<'_>) -> Result<Signature> {
        if self.cut.load(SeqCst) {
            return Err(Error::new(ErrorKind::Unavailable, "the line is cut"));
        }
        self.calls.fetch_add(1, SeqCst);
        self.local.sign(key, input).await
    }
}

/// An issuer of tokens of the same trust domain, and its key.
pub(crate) struct Tokens {
    pub(crate) issuer: Arc<JwtSvidIssuer>,
    pub(crate) key: Arc<Key>,
}

impl Tokens {
    /// Tokens of 5 minutes.
    pub(crate) async fn new() -> Self {
        let key = Key::new();
        let keys = Arc::new(ProviderKeys::new(Arc::clone(&key)));
        let issuer = JwtSvidIssuer::builder(domain(), keys).build().await.unwrap();
        Self { issuer: Arc::new(issuer), key }
    }
}

/// A server that runs, in a directory of its own.
pub(crate) struct Running {
    pub(crate) server: WorkloadServer,
    pub(crate) key: Arc<Key>,
    pub(crate) authority: Arc<X509Authority>,
    pub(crate) directory: TempDir,
    stop: Mutex<Option<oneshot::Sender<()>>>,
    serving: Mutex<Option<JoinHandle<Result<()>>>>,
}

impl Running {
    /// Everybody is `spiffe://example.org/orders`.
    pub(crate) async fn new() -> Self {
        Self::with(|builder| builder.entry(entry("orders").anybody())).await
    }

    pub(crate) async fn with(
        more: impl FnOnce(WorkloadServerBuilder) -> WorkloadServerBuilder,
    ) -> Self {
        let key = Key::new();
        let authority = X509Authority::builder(domain(), Arc::clone(&key) as _);
        let authority = Arc::new(authority.self_signed(CaPolicy::root()).await.unwrap());
        let server = more(WorkloadServer::builder(Arc::clone(&authority))).build().unwrap();
        let directory = TempDir::new().unwrap();
        let running = Self {
            server,
            key,
            authority,
            directory,
            stop: Mutex::new(None),
            serving: Mutex::new(None),
        };
        running.start();
        running
    }

    pub(crate) fn start(&self) {
        let socket = WorkloadSocket::bind(self.path(), 0o600).unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let server = self.server.clone();
        let serving =
            tokio::spawn(async move { server.serve(socket, async { drop(stopped.await) }).await });
        *self.stop.lock().unwrap() = Some(stop);
        *self.serving.lock().unwrap() = Some(serving);
    }

    pub(crate) async fn stop(&self) -> Result<()> {
        drop(self.stop.lock().unwrap().take());
        let serving = self.serving.lock().unwrap().take().unwrap();
        serving.await.unwrap()
    }

    pub(crate) fn path(&self) -> std::path::PathBuf {
        self.directory.path().join("api.sock")
    }

    pub(crate) fn endpoint(&self) -> String {
        format!("unix://{}", self.path().display())
    }

    pub(crate) async fn client(&self) -> WorkloadApiClient {
        WorkloadApiClient::connect_to(self.endpoint()).await.unwrap()
    }

    pub(crate) fn api(&self) -> WorkloadApi {
        WorkloadApi::at(self.endpoint()).unwrap()
    }
}

pub(crate) fn domain() -> TrustDomain {
    TrustDomain::new("example.org").unwrap()
}

pub(crate) fn id(path: &str) -> SpiffeId {
    SpiffeId::new(format!("spiffe://example.org/{path}")).unwrap()
}

pub(crate) fn entry(path: &str) -> Entry {
    Entry::new(id(path))
}

pub(crate) fn uid() -> u32 {
    rustix::process::geteuid().as_raw()
}

/// Until it is so: 10 seconds at most.
pub(crate) async fn eventually(what: &str, mut is: impl FnMut() -> bool) {
    for _ in 0..200 {
        if is() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("{what}: not within 10 seconds");
}
