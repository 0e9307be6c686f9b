//! Mutual TLS: this crate on one side, go-spiffe on the other.

use std::{net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use bulla_spiffe::{mtls, workload::WorkloadApi};
use bulla_testworld::{GoSpiffe, TrustDomain, write};
use rustls::{ClientConfig, ServerConfig};
use rustls_pki_types::ServerName;
use spiffe::X509Source;
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use crate::served::SOCKET;

/// Who this process is, by the Workload API, and who the program in Go is, by files.
const OURS: &str = "spiffe://domain.test/workload";
const THEIRS: &str = "spiffe://domain.test/theirs";

#[tokio::test(flavor = "multi_thread")]
async fn a_client_of_ours_asks_a_server_in_go() {
    let Some(go) = GoSpiffe::find() else { return };
    let world = World::new(&go);
    for (allowed, ours, theirs) in [
        (true, THEIRS, OURS),
        (false, THEIRS, "spiffe://domain.test/other"),
        (false, "spiffe://domain.test/other", OURS),
    ] {
        let server = go.serve("mtls", |command| {
            command.args(["-allow", theirs]);
            world.files(command);
        });
        let source = world.source().await;
        let config = mtls::client(source, mtls::ids([ours]).unwrap()).build().unwrap();
        let said = get(server.port(), config).await;
        assert_eq!(said.is_ok(), allowed, "{ours} {theirs}: {said:?}\n{}", server.log());
        if let Ok(said) = said {
            assert!(said.contains(&format!("\"id\":\"{OURS}\"")), "{said}");
            assert!(said.contains("TLS 1.3"), "{said}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_in_go_asks_a_server_of_ours() {
    let Some(go) = GoSpiffe::find() else { return };
    let world = World::new(&go);
    for (allowed, ours, theirs) in [
        (true, THEIRS, OURS),
        (false, "spiffe://domain.test/other", OURS),
        (false, THEIRS, "spiffe://domain.test/other"),
    ] {
        let clients = mtls::ids([ours]).unwrap();
        let config = mtls::server(world.source().await, clients).build().unwrap();
        let mut command = go.command("mtls");
        let url = format!("https://127.0.0.1:{}/", serve(config).await.port());
        command.args(["call", "-url", &url, "-allow", theirs]);
        world.files(&mut command);
        let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.success(), allowed, "{ours} {theirs}: {said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_with_go_outlive_the_roots_that_they_were_made_with() {
    let Some(go) = GoSpiffe::find() else { return };
    let world = World::new(&go);
    let source = world.source().await;
    let mut updated = source.updated();
    let before = crate::clients::serial(&source);
    let any = || mtls::trust_domains(["domain.test"]).unwrap();
    let server = mtls::server(source.clone(), any()).build().unwrap();
    let url = format!("https://127.0.0.1:{}/", serve(server).await.port());
    let mut command = go.command("mtls");
    command.args(["call", "-url", &url, "-allow", OURS, "-count", "20", "-pause", "100ms"]);
    command.env(SOCKET, world.domain.endpoint());
    let go_asks = go.clone();
    let asked = tokio::task::spawn_blocking(move || go_asks.run(&mut command));
    tokio::time::sleep(Duration::from_millis(500)).await;
    world.domain.rotate_root();
    tokio::time::timeout(Duration::from_secs(10), updated.changed()).await.unwrap().unwrap();
    assert_ne!(crate::clients::serial(&source), before);

    let said = asked.await.unwrap();
    let new = said.iter().filter(|said| said["reused"] == false).count();
    assert_eq!((said.len(), new), (20, 1), "one connection for all");
    // And new ones are made with what is new.
    let mut command = go.command("mtls");
    command.args(["call", "-url", &url, "-allow", OURS]).env(SOCKET, world.domain.endpoint());
    let go_asks = go.clone();
    let after = tokio::task::spawn_blocking(move || go_asks.run(&mut command)).await.unwrap();
    assert_ne!(after[0]["peer"]["serial"], said[0]["peer"]["serial"]);
}

struct World {
    domain: TrustDomain,
    files: [(&'static str, PathBuf); 3],
    _dir: TempDir,
}

impl World {
    fn new(go: &GoSpiffe) -> Self {
        let domain = go.trust_domain(OURS);
        let dir = tempfile::tempdir().unwrap();
        let (chain, key) = domain.svid(THEIRS);
        let files = [
            ("-chain", write(dir.path(), "chain.pem", chain)),
            ("-key", write(dir.path(), "key.pem", key)),
            ("-bundle", write(dir.path(), "bundle.json", domain.bundle().to_string())),
        ];
        Self { domain, files, _dir: dir }
    }

    fn files(&self, command: &mut std::process::Command) {
        for (name, path) in &self.files {
            command.arg(name).arg(path);
        }
    }

    async fn source(&self) -> X509Source {
        WorkloadApi::at(self.domain.endpoint()).unwrap().x509_source().await.unwrap()
    }
}

/// The answer to a request.
async fn get(port: u16, config: ClientConfig) -> std::io::Result<String> {
    let stream = TcpStream::connect(("127.0.0.1", port)).await?;
    let name = ServerName::try_from("whatever.invalid").unwrap();
    let mut stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await?;
    stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer)
}

/// Answers each request on a connection.
async fn serve(config: ServerConfig) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let Ok(mut stream) = acceptor.accept(stream).await else { return };
                let (mut request, mut bytes) = (Vec::new(), [0; 4096]);
                while let Ok(read @ 1..) = stream.read(&mut bytes).await {
                    request.extend_from_slice(&bytes[..read]);
                    if request.ends_with(b"\r\n\r\n") {
                        request.clear();
                        let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi";
                        if stream.write_all(answer).await.is_err() {
                            return;
                        }
                    }
                }
            });
        }
    });
    address
}
