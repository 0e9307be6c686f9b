//! A service that takes uploads, seals them as they come, and gives them back, whole or in ranges. `uploads.md`
//! beside this directory walks through it.
//!
//! ```text
//! uploads --store file:///srv/objects --clients clients --listen 127.0.0.1:8080
//! ```
//!
//! Keys are those of `bulla.toml` (`BULLA_CONFIG`): `uploads` seals, `tokens` signs. Both may be in a KMS. The store
//! may be `s3://bucket/prefix`, with its settings in the environment as `object_store` reads them.

mod failure;
mod objects;
mod range;
mod service;
mod store;
mod tokens;

use std::{io, net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use bulla::{Error, ErrorKind, Registry, Result};
use bulla_aws_kms::AwsKmsScheme;
use bulla_config::Config;
use bulla_local::{LocalScheme, Store};
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
    sync::watch,
};

/// How long requests that are under way have when it is to end.
const LAST_REQUESTS: Duration = Duration::from_secs(30);

struct Args {
    store: String,
    clients: PathBuf,
    listen: SocketAddr,
    /// The longest upload, in bytes.
    max_len: u64,
}

#[tokio::main]
#[allow(clippy::print_stdout, reason = "whoever starts it waits for the line")]
async fn main() -> Result<()> {
    let args = args()?;
    let config = Config::from_env()?;
    let schemes = Registry::builder()
        .scheme("local", Arc::new(LocalScheme::new(Store::at(Store::default_path()?))))
        .scheme("awskms", Arc::new(AwsKmsScheme));
    let registry = config.connect_all(schemes).await?;

    let listener = TcpListener::bind(args.listen).await.map_err(Error::from_io)?;
    let address = listener.local_addr().map_err(Error::from_io)?;
    let issuer = format!("http://{address}");
    let clients = tokens::Clients::read(&args.clients)?;
    let tokens = tokens::Tokens::new(&issuer, registry.get("tokens")?, clients)?;
    let sealer = config.sealer(&registry, "uploads")?.build()?;
    let objects =
        objects::Objects::new(store::open(&args.store)?, sealer, config.opener(&registry))?;
    let router = service::router(objects, tokens, args.max_len)?;

    println!("listening on {issuer}");
    serve(listener, router).await.map_err(Error::from_io)
}

/// Until a signal says that it is enough: then no new requests, and those under way have their time.
async fn serve(listener: TcpListener, router: axum::Router) -> io::Result<()> {
    let (mut terminate, mut interrupt) =
        (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let (ending, mut ended) = watch::channel(false);
    let mut told = ended.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        ending.send_replace(true);
    });
    let until = async move { told.wait_for(|ended| *ended).await.map(drop).unwrap_or_default() };
    let serving = axum::serve(listener, router).with_graceful_shutdown(until);
    let late = async {
        ended.wait_for(|ended| *ended).await.map(drop).unwrap_or_default();
        tokio::time::sleep(LAST_REQUESTS).await;
    };
    tokio::select! {
        served = serving => served,
        () = late => Err(io::Error::new(io::ErrorKind::TimedOut, "requests did not end in time")),
    }
}

fn args() -> Result<Args> {
    let usage = || {
        let text = "uploads --store URL --clients FILE [--listen ADDRESS] [--max-bytes N]";
        Error::new(ErrorKind::InvalidInput, text)
    };
    let (mut store, mut clients) = (None, None);
    let (mut listen, mut max_len) = ("127.0.0.1:8080".to_owned(), 4 << 30);
    let mut args = std::env::args().skip(1);
    while let Some(name) = args.next() {
        let value = args.next().ok_or_else(usage)?;
        match name.as_str() {
            "--store" => store = Some(value),
            "--clients" => clients = Some(PathBuf::from(value)),
            "--listen" => listen = value,
            "--max-bytes" => max_len = value.parse().map_err(|_| usage())?,
            _ => return Err(usage()),
        }
    }
    let (store, clients) = store.zip(clients).ok_or_else(usage)?;
    Ok(Args { store, clients, listen: listen.parse().map_err(|_| usage())?, max_len })
}
