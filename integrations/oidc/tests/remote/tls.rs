//! Whom TLS trusts, and what a proxy sees of it.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::SeqCst},
};

use bulla::{ErrorKind, jwt::KeySource};
use bulla_oidc::{AddressPolicy, RemoteKeys};
use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair, date_time_ymd};
use rustls::{
    ServerConfig,
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional},
    net::{TcpListener, TcpStream},
};
use tokio_rustls::TlsAcceptor;

use crate::world::Issuer;

/// A certification authority of this test's own.
struct Authority {
    issuer: rcgen::Issuer<'static, KeyPair>,
    pem: String,
}

impl Authority {
    fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key).unwrap().pem();
        Self { issuer: rcgen::Issuer::new(params, key), pem }
    }

    /// A server on this host that has a certificate for `host`.
    async fn server(&self, host: &str, change: impl FnOnce(&mut CertificateParams)) -> Server {
        let mut params = CertificateParams::new(vec![host.to_owned()]).unwrap();
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
        Server::new(TlsAcceptor::from(Arc::new(config))).await
    }
}

/// Answers every request with an issuer's keys, and counts.
struct Server {
    port: u16,
    asked: Arc<AtomicUsize>,
}

impl Server {
    async fn new(acceptor: TlsAcceptor) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let set = Issuer::new().set().await.to_json();
        let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{set}", set.len());
        let asked = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&asked);
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let Ok(mut stream) = acceptor.accept(stream).await else { continue };
                if stream.read(&mut [0; 4096]).await.is_ok_and(|len| len > 0) {
                    count.fetch_add(1, SeqCst);
                    let _ = stream.write_all(answer.as_bytes()).await;
                    let _ = stream.flush().await;
                }
            }
        });
        Self { port, asked }
    }

    fn asked(&self) -> usize {
        self.asked.load(SeqCst)
    }
}

async fn fetch(url: String, root: &str) -> bulla::Result<()> {
    RemoteKeys::jwks(url).root_certificate(root).build()?.refresh().await
}

async fn refused(server: &Server, host: &str, root: &str) {
    let error = fetch(format!("https://{host}:{}/keys", server.port), root).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.message().contains("certificate"), "{error}");
    assert_eq!(server.asked(), 0, "nothing was asked of it");
}

#[tokio::test]
async fn the_right_host_is_trusted() {
    let authority = Authority::new();
    for host in ["localhost", "127.0.0.1"] {
        let server = authority.server(host, |_| {}).await;
        fetch(format!("https://{host}:{}/keys", server.port), &authority.pem).await.unwrap();
        assert_eq!(server.asked(), 1);
    }
}

#[tokio::test]
async fn another_hosts_certificate_is_refused() {
    let authority = Authority::new();
    for (of, at) in
        [("id.example", "localhost"), ("localhost", "127.0.0.1"), ("127.0.0.1", "localhost")]
    {
        refused(&authority.server(of, |_| {}).await, at, &authority.pem).await;
    }
}

#[tokio::test]
async fn a_certificate_out_of_its_time_is_refused() {
    let authority = Authority::new();
    let expired = |params: &mut CertificateParams| {
        params.not_before = date_time_ymd(2019, 1, 1);
        params.not_after = date_time_ymd(2020, 1, 1);
    };
    refused(&authority.server("localhost", expired).await, "localhost", &authority.pem).await;
    let to_come = |params: &mut CertificateParams| params.not_before = date_time_ymd(3000, 1, 1);
    refused(&authority.server("localhost", to_come).await, "localhost", &authority.pem).await;
}

#[tokio::test]
async fn an_authority_that_nobody_named_is_refused() {
    let (authority, other) = (Authority::new(), Authority::new());
    let server = authority.server("localhost", |_| {}).await;
    refused(&server, "localhost", &other.pem).await;
    let without = RemoteKeys::jwks(format!("https://localhost:{}/keys", server.port));
    let error = without.build().unwrap().refresh().await.unwrap_err();
    assert_eq!((error.kind(), server.asked()), (ErrorKind::Unavailable, 0));
    // Several in one file.
    let both = format!("{}{}", other.pem, authority.pem);
    fetch(format!("https://localhost:{}/keys", server.port), &both).await.unwrap();
}

#[test]
fn what_is_no_certificate_is_told_at_once() {
    let damaged = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    for bad in ["", "no PEM", damaged, "-----BEGIN CERTIFICATE-----\n"] {
        let keys = RemoteKeys::jwks("https://id.example/keys").root_certificate(bad);
        assert_eq!(keys.build().unwrap_err().kind(), ErrorKind::InvalidInput, "{bad:?}");
    }
}

/// A proxy that connects to this port whatever it is asked for, and says what that was.
async fn proxy(to: u16) -> (String, tokio::task::JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let asked = tokio::spawn(async move {
        let (mut client, _) = listener.accept().await.unwrap();
        let mut request = [0; 4096];
        let len = client.read(&mut request).await.unwrap();
        let mut server = TcpStream::connect(("127.0.0.1", to)).await.unwrap();
        client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
        tokio::spawn(async move { copy_bidirectional(&mut client, &mut server).await });
        String::from_utf8_lossy(&request[..len]).into_owned()
    });
    (url, asked)
}

#[tokio::test]
async fn a_proxy_carries_what_it_can_not_read() {
    let authority = Authority::new();
    for (of, trusted) in [("id.example", true), ("evil.example", false)] {
        let server = authority.server(of, |_| {}).await;
        let (url, asked) = proxy(server.port).await;
        let keys = RemoteKeys::jwks("https://id.example/keys").root_certificate(&*authority.pem);
        let keys = keys.proxy(url).build().unwrap();
        assert_eq!(keys.keys(None).await.is_ok(), trusted, "{of}");
        assert!(asked.await.unwrap().starts_with("CONNECT id.example:443 HTTP/1.1\r\n"));
    }
    // Numbers are judged here.
    let builder = RemoteKeys::jwks("https://169.254.169.254/keys").proxy("http://127.0.0.1:1");
    let error = builder.build().unwrap().refresh().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
}

#[tokio::test]
async fn customers_issuers_are_not_on_this_host() {
    let authority = Authority::new();
    let server = authority.server("localhost", |_| {}).await;
    let keys = RemoteKeys::jwks(format!("https://localhost:{}/keys", server.port))
        .root_certificate(&*authority.pem)
        .addresses(AddressPolicy::PublicOnly);
    let error = keys.build().unwrap().refresh().await.unwrap_err();
    assert_eq!((error.kind(), server.asked()), (ErrorKind::InvalidInput, 0));
}
