//! TLS with SVIDs on both sides.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use bulla::ErrorKind;
use bulla_spiffe::{
    authority::{CaPolicy, X509Authority},
    mtls,
};
use rustls_pki_types::ServerName;
use spiffe::{SpiffeId, X509Source};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};
use tokio_rustls::{TlsAcceptor, TlsConnector, client::TlsStream};

use crate::world::{Key, Running, domain, entry, eventually};

/// Echoes what it is sent, and says who sends.
async fn echo(config: rustls::ServerConfig) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let mut stream = acceptor.accept(stream).await.ok()?;
                let mut bytes = [0; 64];
                loop {
                    let read = stream.read(&mut bytes).await.ok().filter(|read| *read > 0)?;
                    stream.write_all(&bytes[..read]).await.ok()?;
                }
                #[allow(unreachable_code, reason = "it says what the block is")]
                Some(())
            });
        }
    });
    address
}

struct Connected(TlsStream<TcpStream>);

impl Connected {
    async fn to(address: SocketAddr, config: rustls::ClientConfig) -> std::io::Result<Self> {
        let connector = TlsConnector::from(Arc::new(config));
        let name = ServerName::try_from("whatever.invalid").unwrap();
        let stream = TcpStream::connect(address).await?;
        let mut this = Self(connector.connect(name, stream).await?);
        // With TLS 1.3, a client learns with the first byte whether it was accepted.
        this.exchange().await?;
        Ok(this)
    }

    async fn exchange(&mut self) -> std::io::Result<()> {
        self.0.write_all(b"hello").await?;
        let mut answer = [0; 5];
        self.0.read_exact(&mut answer).await?;
        assert_eq!(&answer, b"hello");
        Ok(())
    }

    fn peer(&self) -> Vec<u8> {
        self.0.get_ref().1.peer_certificates().unwrap()[0].to_vec()
    }
}

async fn source(running: &Running, path: &str) -> X509Source {
    running.server.x509_source(entry(path)).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn ids_trust_domains_and_predicates_decide() {
    let running = Running::new().await;
    let orders = running.api().x509_source().await.unwrap();
    let billing = source(&running, "billing").await;
    let domain = || mtls::trust_domains(["example.org"]).unwrap();
    let address = echo(mtls::server(orders.clone(), domain()).build().unwrap()).await;
    for (accepted, config) in [
        (true, mtls::client(billing.clone(), domain())),
        (true, mtls::client(billing.clone(), mtls::ids(["spiffe://example.org/orders"]).unwrap())),
        (false, mtls::client(billing.clone(), mtls::ids(["spiffe://example.org/other"]).unwrap())),
        (false, mtls::client(billing.clone(), mtls::trust_domains(["example.com"]).unwrap())),
        (true, mtls::client(billing.clone(), |id: &SpiffeId| id.path() == "/orders")),
    ] {
        let connected = Connected::to(address, config.build().unwrap()).await;
        assert_eq!(connected.is_ok(), accepted, "{:?}", connected.err());
    }
    let only = mtls::ids(["spiffe://example.org/billing"]).unwrap();
    let address = echo(mtls::server(orders.clone(), only).build().unwrap()).await;
    Connected::to(address, mtls::client(billing, domain()).build().unwrap()).await.unwrap();
    let error = Connected::to(address, mtls::client(orders, domain()).build().unwrap()).await;
    error.err().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_has_no_svid_or_anothers_is_refused() {
    let (ours, theirs) = (Running::new().await, Running::new().await);
    let any = || mtls::trust_domains(["example.org"]).unwrap();
    let server = mtls::server(source(&ours, "orders").await, any()).build().unwrap();
    let address = echo(server).await;
    // The same trust domain by name, of another key.
    let client = mtls::client(source(&theirs, "orders").await, any()).build().unwrap();
    Connected::to(address, client).await.err().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_outlives_the_svid_that_it_was_made_with() {
    let running = Running::new().await;
    let any = || mtls::trust_domains(["example.org"]).unwrap();
    let server_source = source(&running, "orders").await;
    let client_source = source(&running, "billing").await;
    let mut changes = (server_source.updated(), client_source.updated());
    let address = echo(mtls::server(server_source, any()).build().unwrap()).await;
    let config = mtls::client(client_source, any()).build().unwrap();
    let mut before = Connected::to(address, config.clone()).await.unwrap();

    // A new key of the authority, with the old root beside it: all SVIDs are issued anew.
    let new = X509Authority::builder(domain(), Key::new() as _);
    let new = new.also_trust(running.authority.roots().concat());
    let new = new.self_signed(CaPolicy::root()).await.unwrap();
    running.server.set_authority(Arc::new(new)).unwrap();
    let updated = async { tokio::try_join!(changes.0.changed(), changes.1.changed()).unwrap() };
    tokio::time::timeout(Duration::from_secs(10), updated).await.unwrap();

    before.exchange().await.unwrap();
    let mut after = None;
    for _ in 0..100 {
        if let Ok(connected) = Connected::to(address, config.clone()).await {
            after = Some(connected);
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let mut after = after.unwrap();
    assert_ne!(after.peer(), before.peer());
    before.exchange().await.unwrap();
    after.exchange().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_in_this_process_needs_no_socket() {
    let running = Running::new().await;
    running.stop().await.unwrap();
    let source = running.server.x509_source(entry("inside").uid(1)).await.unwrap();
    assert_eq!(source.svid().unwrap().spiffe_id().path(), "/inside");
    let elsewhere = bulla_spiffe::server::Entry::new(SpiffeId::new("spiffe://a.b/c").unwrap());
    let error = running.server.x509_source(elsewhere).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    eventually("it stays", || source.is_healthy()).await;
}

#[path = "../../examples/mtls.rs"]
mod example;

#[tokio::test(flavor = "multi_thread")]
async fn axum_and_reqwest_know_each_other_by_id() {
    assert_eq!(example::run().await.unwrap(), "hello spiffe://example.org/billing");
}

#[test]
fn somebody_has_to_be_named() {
    assert_eq!(mtls::ids([]).err().unwrap().kind(), ErrorKind::InvalidInput);
    assert_eq!(mtls::trust_domains([]).err().unwrap().kind(), ErrorKind::InvalidInput);
    assert_eq!(mtls::ids(["orders"]).err().unwrap().kind(), ErrorKind::InvalidInput);
}
