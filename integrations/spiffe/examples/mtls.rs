//! A service with axum that knows its callers by SPIFFE ID, and a caller with reqwest.
//!
//! Both get their SVIDs from the Workload API that `SPIFFE_ENDPOINT_SOCKET` names, if it is set: SPIRE's agent, or the
//! example `workload_api`. Otherwise from an authority in this process, each with an id of its own, so that
//! `cargo run -p bulla-spiffe --all-features --example mtls` shows it all.

use std::{error::Error, io, net::SocketAddr, sync::Arc, time::Duration};

use axum::{
    Router,
    extract::{ConnectInfo, connect_info::Connected},
    routing::get,
    serve::{IncomingStream, Listener},
};
use bulla_local::{KeyType, Local, Protection, Store};
use bulla_spiffe::{
    authority::{CaPolicy, X509Authority},
    mtls,
    server::{Entry, WorkloadServer},
    workload::WorkloadApi,
};
use spiffe::{SpiffeId, TrustDomain, X509Source};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::mpsc,
    time::timeout,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

#[allow(dead_code, clippy::print_stdout, reason = "the tests call `run` alone; it is a program")]
#[tokio::main]
async fn main() -> Result<()> {
    println!("{}", run().await?);
    Ok(())
}

/// One call: what the service answered.
pub(crate) async fn run() -> Result<String> {
    let (service, caller) = sources().await?;
    let domain = service.svid()?.spiffe_id().trust_domain_name().to_owned();
    let anybody_here = mtls::trust_domains([domain.as_str()])?;

    let tls = mtls::server(service.clone(), anybody_here).with_alpn_protocols([b"http/1.1"]);
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let listener = Tls::new(listener, TlsAcceptor::from(Arc::new(tls.build()?)));
    let router =
        Router::new().route("/", get(hello)).into_make_service_with_connect_info::<Caller>();
    let serving = tokio::spawn(async move { axum::serve(listener, router).await });

    let orders = service.svid()?.spiffe_id().to_string();
    let tls = mtls::client(caller, mtls::ids([orders.as_str()])?).build()?;
    let client = reqwest::Client::builder().tls_backend_preconfigured(tls).build()?;
    let answer = client.get(format!("https://{address}/")).send().await?.text().await?;
    serving.abort();
    Ok(answer)
}

async fn hello(ConnectInfo(caller): ConnectInfo<Caller>) -> String {
    format!("hello {}", caller.0)
}

/// Who is at the other end of a connection.
#[derive(Clone, Debug)]
struct Caller(SpiffeId);

impl Connected<IncomingStream<'_, Tls>> for Caller {
    fn connect_info(stream: IncomingStream<'_, Tls>) -> Self {
        stream.remote_addr().clone()
    }
}

/// A listener that hands on who has shown an SVID. Each handshake is a task, so that one that never ends holds up no
/// other.
struct Tls {
    address: SocketAddr,
    accepted: mpsc::Receiver<(TlsStream<TcpStream>, Caller)>,
}

impl Tls {
    fn new(listener: TcpListener, acceptor: TlsAcceptor) -> Self {
        let (sender, accepted) = mpsc::channel(64);
        let address = listener.local_addr().unwrap_or_else(|_| ([0, 0, 0, 0], 0).into());
        tokio::spawn(async move {
            while !sender.is_closed() {
                let Ok((stream, _)) = listener.accept().await else { continue };
                let (acceptor, sender) = (acceptor.clone(), sender.clone());
                tokio::spawn(async move {
                    let handshake = timeout(Duration::from_secs(10), acceptor.accept(stream));
                    let Ok(Ok(stream)) = handshake.await else { return };
                    if let Some(id) = mtls::peer_id(stream.get_ref().1) {
                        let _ = sender.send((stream, Caller(id))).await;
                    }
                });
            }
        });
        Self { address, accepted }
    }
}

impl Listener for Tls {
    type Io = TlsStream<TcpStream>;
    type Addr = Caller;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        match self.accepted.recv().await {
            Some(accepted) => accepted,
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        Err(io::Error::other(format!("this side has an address ({}) and no caller", self.address)))
    }
}

async fn sources() -> Result<(X509Source, X509Source)> {
    if std::env::var_os("SPIFFE_ENDPOINT_SOCKET").is_some() {
        let source = WorkloadApi::from_env()?.x509_source().await?;
        return Ok((source.clone(), source));
    }
    let directory = tempfile::tempdir()?;
    let store = Store::at(directory.path().join("keys"));
    store.create_key("authority", KeyType::P256, &Protection::None)?;
    let key = Arc::new(Local::builder(store).signing_key("authority").build()?);
    let authority = X509Authority::builder(TrustDomain::new("example.org")?, key);
    let authority = Arc::new(authority.self_signed(CaPolicy::root()).await?);
    let server = WorkloadServer::builder(authority).build()?;
    let orders = Entry::new(SpiffeId::new("spiffe://example.org/orders")?).anybody();
    let billing = Entry::new(SpiffeId::new("spiffe://example.org/billing")?).anybody();
    Ok((server.x509_source(orders).await?, server.x509_source(billing).await?))
}
