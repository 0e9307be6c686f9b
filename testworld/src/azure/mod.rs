//! Azure by the book, in this process: vaults, Managed HSMs, the issuer of tokens, and a proxy that leads
//! to them whatever their names are.
//!
//! No emulator is to be had that does what Key Vault does with keys. This one has what its reference says
//! (<https://learn.microsoft.com/rest/api/keyvault/keys/>): paths, members, statuses and codes. That
//! it is read rightly is held against a client of Microsoft's, in Python.

mod http;
mod issuer;
mod keys;
mod vault;

use std::{
    collections::BTreeMap,
    fs,
    net::{Ipv4Addr, Shutdown, TcpListener, TcpStream},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    thread,
    time::{Duration, Instant},
};

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use rustls::{
    ServerConfig,
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
};
use tempfile::TempDir;

pub use self::{
    http::{Answer, Request},
    keys::Kind,
};
use self::{issuer::Issued, keys::Version};

/// Names that the certificate is for.
const NAMES: [&str; 9] = [
    "*.vault.azure.net",
    "*.managedhsm.azure.net",
    "*.vault.azure.cn",
    "*.managedhsm.azure.cn",
    "*.vault.usgovcloudapi.net",
    "*.managedhsm.usgovcloudapi.net",
    "login.microsoftonline.com",
    "login.microsoftonline.us",
    "login.chinacloudapi.cn",
];

type Behaviour = dyn Fn(&Request) -> Option<Answer> + Send + Sync;

/// All of it.
pub struct Azure {
    port: u16,
    dir: TempDir,
    world: Arc<World>,
}

/// What all threads share.
struct World {
    tls: Arc<ServerConfig>,
    state: Mutex<State>,
    behaviour: Mutex<Arc<Behaviour>>,
    seen: Mutex<Vec<Request>>,
    connections: Mutex<BTreeMap<usize, TcpStream>>,
    down: AtomicBool,
    serial: AtomicUsize,
    versions: AtomicUsize,
}

/// What there is, by host and key, and by token.
#[derive(Default)]
struct State {
    vaults: BTreeMap<(String, String), Key>,
    tokens: BTreeMap<String, Issued>,
    /// How long tokens live.
    lifetime: Option<Duration>,
    secret: Option<String>,
    denied: Vec<String>,
}

#[derive(Default)]
struct Key {
    /// The latest is the last.
    versions: Vec<Version>,
    deleted: bool,
}

impl Azure {
    /// The tenant, the client and its secret that tokens are issued to.
    pub const TENANT: &str = "72f988bf-86f1-41af-91ab-2d7cd011db47";
    /// As above.
    pub const CLIENT: &str = "04b07795-8ddb-461a-bbee-02f9e1bf7b46";
    /// As above.
    pub const SECRET: &str = "canary-client-secret";

    /// Starts it, without a key.
    ///
    /// # Panics
    /// If it can't.
    #[must_use]
    pub fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let world = Arc::new(World {
            tls: tls(dir.path()),
            state: Mutex::default(),
            behaviour: Mutex::new(Arc::new(|_| None)),
            seen: Mutex::default(),
            connections: Mutex::default(),
            down: AtomicBool::new(false),
            serial: AtomicUsize::new(0),
            versions: AtomicUsize::new(0),
        });
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let serving = Arc::clone(&world);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let world = Arc::clone(&serving);
                thread::spawn(move || http::serve(client, &world));
            }
        });
        Self { port, dir, world }
    }

    /// The URL of the proxy that leads to all of it.
    #[must_use]
    pub fn proxy(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The certification authority of what it answers with, in PEM.
    #[must_use]
    pub fn ca_file(&self) -> PathBuf {
        self.dir.path().join("ca.pem")
    }

    /// The URL at which an app's own identity hands out tokens: what `IDENTITY_ENDPOINT` has there.
    #[must_use]
    pub fn identity_endpoint(&self) -> String {
        format!("http://127.0.0.1:{}/msi/token", self.port)
    }

    /// A new key with these operations, or a new version of one. Returns the version.
    ///
    /// # Panics
    /// If it can't be made.
    pub fn key(&self, host: &str, key: &str, kind: Kind, operations: &[&str]) -> String {
        let serial = self.world.versions.fetch_add(1, SeqCst);
        let version = Version::new(format!("{serial:032x}"), kind, operations);
        let id = version.id.clone();
        self.state().vaults.entry(place(host, key)).or_default().versions.push(version);
        id
    }

    /// The same key under another name: material that was backed up and restored.
    ///
    /// # Panics
    /// If there is no such key.
    pub fn restore(&self, from: (&str, &str), to: (&str, &str)) {
        let mut state = self.state();
        let versions = state.vaults[&place(from.0, from.1)].versions.clone();
        state.vaults.insert(place(to.0, to.1), Key { versions, deleted: false });
    }

    /// Changes the latest version of a key.
    ///
    /// # Panics
    /// If there is no such key.
    pub fn change(&self, host: &str, key: &str, change: impl FnOnce(&mut Attributes)) {
        let mut state = self.state();
        let key = state.vaults.get_mut(&place(host, key)).unwrap();
        let version = key.versions.last_mut().unwrap();
        change(&mut version.attributes);
    }

    /// Changes that version of a key.
    ///
    /// # Panics
    /// If there is no such version.
    pub fn change_version(
        &self,
        (host, key, version): (&str, &str, &str),
        change: impl FnOnce(&mut Attributes),
    ) {
        let mut state = self.state();
        let key = state.vaults.get_mut(&place(host, key)).unwrap();
        let version = key.versions.iter_mut().find(|own| own.id == version).unwrap();
        change(&mut version.attributes);
    }

    /// Deletes a key, so that it can be recovered, or recovers it.
    ///
    /// # Panics
    /// If there is no such key.
    pub fn set_deleted(&self, host: &str, key: &str, deleted: bool) {
        self.state().vaults.get_mut(&place(host, key)).unwrap().deleted = deleted;
    }

    /// Takes operations away from every identity, such as `wrapKey` or `get`.
    ///
    /// # Panics
    /// Never, but for a poisoned lock.
    pub fn deny(&self, operations: &[&str]) {
        self.state().denied = operations.iter().map(|one| (*one).to_owned()).collect();
    }

    /// Makes every token that was issued invalid. Returns how many there were.
    ///
    /// # Panics
    /// Never, but for a poisoned lock.
    pub fn revoke_tokens(&self) -> usize {
        let tokens = std::mem::take(&mut self.state().tokens);
        tokens.len()
    }

    /// Tokens that are issued from now on live so long.
    ///
    /// # Panics
    /// Never, but for a poisoned lock.
    pub fn set_lifetime(&self, lifetime: Duration) {
        self.state().lifetime = Some(lifetime);
    }

    /// Gives the client another secret.
    ///
    /// # Panics
    /// Never, but for a poisoned lock.
    pub fn set_secret(&self, secret: &str) {
        self.state().secret = Some(secret.to_owned());
    }

    /// What it does from now on, where it is other than by the book.
    ///
    /// # Panics
    /// Never, but for a poisoned lock.
    pub fn does(&self, behaviour: impl Fn(&Request) -> Option<Answer> + Send + Sync + 'static) {
        *self.world.behaviour.lock().unwrap() = Arc::new(behaviour);
    }

    /// Takes it away, or gives it back. While it is away, connections are closed.
    ///
    /// # Panics
    /// Never, but for a poisoned lock.
    pub fn set_down(&self, down: bool) {
        self.world.down.store(down, SeqCst);
        if down {
            for connection in self.world.connections.lock().unwrap().values() {
                drop(connection.shutdown(Shutdown::Both));
            }
        }
    }

    /// The requests that it was sent.
    ///
    /// # Panics
    /// Never, but for a poisoned lock.
    #[must_use]
    pub fn seen(&self) -> Vec<Request> {
        self.world.seen.lock().unwrap().clone()
    }

    /// Forgets the requests that it was sent.
    ///
    /// # Panics
    /// Never, but for a poisoned lock.
    pub fn forget(&self) {
        *self.world.seen.lock().unwrap() = Vec::new();
    }

    /// How many requests there were for this operation: `wrapkey`, `sign`, `get`, `versions`,
    /// `deletedkeys`, `token` or `challenge`, which is one without a token.
    ///
    /// # Panics
    /// Never, but for a poisoned lock.
    #[must_use]
    pub fn count(&self, operation: &str) -> usize {
        let seen = self.world.seen.lock().unwrap();
        seen.iter().filter(|request| request.operation() == operation).count()
    }

    /// How many requests there were in all.
    ///
    /// # Panics
    /// Never, but for a poisoned lock.
    #[must_use]
    pub fn total(&self) -> usize {
        self.world.seen.lock().unwrap().len()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.world.state.lock().unwrap()
    }
}

/// What the owner of a version may change.
#[derive(Clone, Debug)]
pub struct Attributes {
    /// Whether it may be used.
    pub enabled: bool,
    /// From when, in seconds of the Unix time.
    pub not_before: Option<u64>,
    /// Until when.
    pub expires: Option<u64>,
    /// For what.
    pub operations: Vec<String>,
}

impl std::fmt::Debug for Azure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Azure").field("port", &self.port).finish_non_exhaustive()
    }
}

/// Names of vaults and keys are the same in upper and lower case.
fn place(host: &str, key: &str) -> (String, String) {
    (host.to_ascii_lowercase(), key.to_ascii_lowercase())
}

fn tls(dir: &Path) -> Arc<ServerConfig> {
    let mut ca = CertificateParams::new([]).unwrap();
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    ca.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    ca.distinguished_name = named("the tests' own authority");
    let ca_key = KeyPair::generate().unwrap();
    let ca_pem = ca.self_signed(&ca_key).unwrap().pem();
    fs::write(dir.join("ca.pem"), ca_pem).unwrap();
    let key = KeyPair::generate().unwrap();
    let mut leaf = CertificateParams::new(NAMES.map(str::to_owned)).unwrap();
    leaf.distinguished_name = named("Azure by the book");
    let leaf = leaf.signed_by(&key, &Issuer::new(ca, &ca_key)).unwrap();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder =
        ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let builder = builder.unwrap().with_no_client_auth();
    Arc::new(builder.with_single_cert(vec![leaf.der().clone()], key).unwrap())
}

/// By the same name, a certificate would be taken for one that signs itself.
fn named(name: &str) -> DistinguishedName {
    let mut named = DistinguishedName::new();
    named.push(DnType::CommonName, name);
    named
}

impl World {
    fn answer(&self, request: &Request) -> Answer {
        let behaviour = Arc::clone(&self.behaviour.lock().unwrap());
        if let Some(answer) = behaviour(request) {
            return answer;
        }
        let mut state = self.state.lock().unwrap();
        match request.host.split_once('.') {
            Some(("login", _)) | None => issuer::answer(&mut state, request, Instant::now()),
            Some(_) => vault::answer(&state, request, Instant::now()),
        }
    }
}
