//! Certification authorities, servers that answer as they are told, and keys whose tokens tell whose bundle
//! is used.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use bulla::jwt::{JwkSet, ProviderKeys};
use bulla_local::{KeyType, Local, Protection, Store};
use bulla_spiffe::{
    Bundle, BundleSet, JwtSvidIssuer, JwtSvidRequest, JwtSvidVerifier, TrustDomain, spiffe_id,
    trust_domain,
};
use rcgen::{
    BasicConstraints, CertificateParams, IsCa, KeyPair, KeyUsagePurpose, SanType, string::Ia5String,
};
use rustls::{
    ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer},
};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    sync::Notify,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

pub(crate) fn domain(name: &str) -> TrustDomain {
    trust_domain(name).unwrap()
}

/// A certification authority of these tests' own.
pub(crate) struct Authority {
    issuer: rcgen::Issuer<'static, KeyPair>,
    pub(crate) pem: String,
    pub(crate) der: CertificateDer<'static>,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let certificate = params.self_signed(&key).unwrap();
        let (pem, der) = (certificate.pem(), certificate.der().clone());
        Self { issuer: rcgen::Issuer::new(params, key), pem, der }
    }

    /// TLS with a certificate for these names: hosts, or URIs.
    pub(crate) fn tls(&self, names: &[&str]) -> TlsAcceptor {
        self.tls_with(names, |_| {})
    }

    pub(crate) fn tls_with(
        &self,
        names: &[&str],
        change: impl FnOnce(&mut CertificateParams),
    ) -> TlsAcceptor {
        let (uris, hosts): (Vec<&&str>, Vec<&&str>) =
            names.iter().partition(|name| name.contains("://"));
        let hosts: Vec<_> = hosts.into_iter().map(|host: &&str| (*host).to_owned()).collect();
        let mut params = CertificateParams::new(hosts).unwrap();
        for uri in uris {
            params.subject_alt_names.push(SanType::URI(Ia5String::try_from(*uri).unwrap()));
        }
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)
            .unwrap();
        TlsAcceptor::from(Arc::new(config))
    }
}

/// What a server does with a request.
#[derive(Clone)]
pub(crate) enum Answer {
    /// 200 with this body, or 304 to those who know this tag.
    Document { body: String, tag: Option<&'static str> },
    /// As it is written.
    Raw(String),
    /// A body that never ends.
    Endless,
    /// Nothing, and the connection stays.
    Silence,
    /// The document, when it is let go.
    Held(String, Arc<Notify>),
}

impl Answer {
    pub(crate) fn bundle(bundle: &Bundle) -> Self {
        Self::Document { body: bundle.to_json().unwrap(), tag: None }
    }

    pub(crate) fn status(status: &str) -> Self {
        Self::Raw(format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n"))
    }
}

/// A server on this host.
#[derive(Clone)]
pub(crate) struct Server {
    pub(crate) port: u16,
    answer: Arc<Mutex<Answer>>,
    tls: Arc<Mutex<TlsAcceptor>>,
    asked: Arc<AtomicUsize>,
    /// Bytes of endless bodies that were taken.
    pub(crate) taken: Arc<AtomicUsize>,
    /// When a request came that is held.
    pub(crate) came: Arc<Notify>,
}

impl Server {
    pub(crate) async fn new(tls: TlsAcceptor, answer: Answer) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = Self {
            port: listener.local_addr().unwrap().port(),
            answer: Arc::new(Mutex::new(answer)),
            tls: Arc::new(Mutex::new(tls)),
            asked: Arc::default(),
            taken: Arc::default(),
            came: Arc::default(),
        };
        let this = server.clone();
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (this, tls) = (this.clone(), this.tls.lock().unwrap().clone());
                tokio::spawn(async move {
                    if let Ok(stream) = tls.accept(stream).await {
                        this.serve(stream).await;
                    }
                });
            }
        });
        server
    }

    async fn serve(&self, mut stream: TlsStream<tokio::net::TcpStream>) {
        let mut request = vec![0; 8192];
        let Ok(len @ 1..) = stream.read(&mut request).await else { return };
        let request = String::from_utf8_lossy(&request[..len]).to_lowercase();
        self.asked.fetch_add(1, SeqCst);
        let answer = self.answer.lock().unwrap().clone();
        let text = match answer {
            Answer::Document { tag: Some(tag), .. }
                if request.contains(&format!("if-none-match: {tag}")) =>
            {
                format!("HTTP/1.1 304 Not Modified\r\netag: {tag}\r\n\r\n")
            }
            Answer::Document { body, tag } => {
                let tag = tag.map(|tag| format!("etag: {tag}\r\n")).unwrap_or_default();
                format!("HTTP/1.1 200 OK\r\n{tag}content-length: {}\r\n\r\n{body}", body.len())
            }
            Answer::Raw(text) => text,
            Answer::Endless => {
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n{\"keys\":[").await;
                let part = vec![b' '; 16 * 1024];
                while stream.write_all(&part).await.is_ok() && stream.flush().await.is_ok() {
                    self.taken.fetch_add(part.len(), SeqCst);
                }
                return;
            }
            Answer::Silence => return std::future::pending().await,
            Answer::Held(body, free) => {
                self.came.notify_one();
                free.notified().await;
                format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len())
            }
        };
        let _ = stream.write_all(text.as_bytes()).await;
        let _ = stream.shutdown().await;
    }

    pub(crate) fn url(&self) -> String {
        format!("https://localhost:{}/bundle.json", self.port)
    }

    pub(crate) fn answer(&self, answer: Answer) {
        *self.answer.lock().unwrap() = answer;
    }

    pub(crate) fn tls(&self, tls: TlsAcceptor) {
        *self.tls.lock().unwrap() = tls;
    }

    pub(crate) fn asked(&self) -> usize {
        self.asked.load(SeqCst)
    }
}

/// A key of a trust domain, whose tokens are good where its bundle is used.
pub(crate) struct Signer {
    _dir: TempDir,
    keys: Arc<ProviderKeys<Arc<Local>>>,
}

impl Signer {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::at(dir.path().join("bulla"));
        store.create_key("id", KeyType::P256, &Protection::None).unwrap();
        let local = Arc::new(Local::builder(store).signing_key("id").build().unwrap());
        Self { _dir: dir, keys: Arc::new(ProviderKeys::new(local)) }
    }

    async fn set(&self) -> Arc<JwkSet> {
        self.keys.jwk_set().await.unwrap()
    }

    /// The bundle of a trust domain with this key.
    pub(crate) async fn bundle(&self, of: &str, sequence: impl Into<Option<u64>>) -> Bundle {
        let bundle = Bundle::new(domain(of)).with_jwt_authorities(&*self.set().await).unwrap();
        match sequence.into() {
            Some(sequence) => bundle.with_sequence(sequence),
            None => bundle,
        }
    }

    /// A token of a workload of that trust domain.
    pub(crate) async fn token(&self, of: &str) -> String {
        let issuer = JwtSvidIssuer::builder(domain(of), Arc::clone(&self.keys));
        let id = spiffe_id(&format!("spiffe://{of}/workload")).unwrap();
        let issuer = issuer.build().await.unwrap();
        issuer.issue(&JwtSvidRequest::new(id, "test")).await.unwrap().into_token()
    }

    /// Whether its tokens are good for workloads of that trust domain.
    pub(crate) async fn is_trusted(&self, bundles: &BundleSet, of: &str) -> bool {
        self.verified(bundles, of).await.is_ok()
    }

    pub(crate) async fn verified(&self, bundles: &BundleSet, of: &str) -> bulla::Result<()> {
        let verifier = JwtSvidVerifier::builder(bundles.clone()).audience("test").build().unwrap();
        verifier.verify(&self.token(of).await).await.map(drop)
    }
}

pub(crate) async fn eventually(mut is_so: impl AsyncFnMut() -> bool) {
    for _ in 0..200 {
        if is_so().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("not in ten seconds");
}
