//! A Workload API over a Unix socket, from a key in a local store.
//!
//! ```text
//! workload_api --trust-domain example.org --socket /tmp/api.sock --state DIR [--mode 666]
//!              [--x509-life 3600] [--jwt-life 300] [--entry id=spiffe://example.org/orders,uid=1000]...
//! ```
//!
//! `DIR` is made if it is not there, with the key of the authority, which signs certificates and tokens alike, in a key store, and its root in `root.der` and
//! `root.pem`, which stay the same when it is started anew. An entry has an `id` and one or more of `uid`, `gid` and
//! `path` (of an executable), or `anybody`; further `hint`, `x509-life` and `jwt-life` in seconds, and
//! `claim.NAME=VALUE` (text). Without an entry, everybody is `spiffe://TRUST-DOMAIN/workload`. Lives are in seconds.
//!
//! When it serves, it prints `serving unix:///tmp/api.sock`; SIGINT and SIGTERM stop it, and remove the socket. A key
//! in a KMS or an HSM takes the place of the local one by another `Sign`, as in the other examples of the project.

use std::{error::Error, fs, path::PathBuf, sync::Arc, time::Duration};

use bulla::{Sign, jwt::ProviderKeys};
use bulla_local::{KeyType, Local, Protection, Store};
use bulla_spiffe::{
    JwtSvidIssuer,
    authority::{CaPolicy, X509Authority},
    server::{Entry, WorkloadServer, WorkloadSocket},
};
use spiffe::{SpiffeId, TrustDomain};
use tokio::signal::unix::{SignalKind, signal};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

struct Options {
    domain: TrustDomain,
    socket: PathBuf,
    state: PathBuf,
    mode: u32,
    x509_life: Duration,
    jwt_life: Duration,
    entries: Vec<Entry>,
}

#[allow(clippy::print_stdout, reason = "it is a program")]
#[tokio::main]
async fn main() -> Result<()> {
    let options = options(std::env::args().skip(1))?;
    let key = key(&options)?;
    let keys = Arc::new(ProviderKeys::new(Arc::clone(&key)));
    let tokens = JwtSvidIssuer::builder(options.domain.clone(), keys).ttl(options.jwt_life);
    let tokens = Arc::new(tokens.build().await?);
    let authority = authority(&options, key).await?;
    let mut server = WorkloadServer::builder(Arc::new(authority)).jwt(tokens);
    for entry in options.entries {
        server = server.entry(entry);
    }
    let server = server.build()?;
    let socket = WorkloadSocket::bind(&options.socket, options.mode)?;
    let at = std::path::absolute(&options.socket)?;

    // Before it is said that it serves, or a signal that comes at once would kill it.
    let (mut interrupt, mut terminate) =
        (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    println!("serving unix://{}", at.display());
    let stop = async {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    };
    server.serve(socket, stop).await?;
    Ok(())
}

/// The key of the authority: made once, and found again after that.
fn key(options: &Options) -> Result<Arc<dyn Sign>> {
    fs::create_dir_all(&options.state)?;
    let store = Store::at(options.state.join("keys"));
    if !store.exists() {
        store.create_key("authority", KeyType::P256, &Protection::None)?;
    }
    Ok(Arc::new(Local::builder(store).signing_key("authority").build()?))
}

/// The authority, with the root that it made when it was first started.
async fn authority(options: &Options, key: Arc<dyn Sign>) -> Result<X509Authority> {
    let file = options.state.join("root.der");
    let builder = X509Authority::builder(options.domain.clone(), key)
        .life(options.x509_life)
        .max_life(options.x509_life.max(Duration::from_secs(24 * 3600)));
    if file.exists() {
        return Ok(builder.with_certificates([fs::read(file)?]).await?);
    }
    let authority = builder.self_signed(CaPolicy::root()).await?;
    let root = authority.roots().concat();
    fs::write(options.state.join("root.pem"), pem(&root))?;
    // At last, and at once: what is half written must not be found.
    let beginning = options.state.join("root.der.new");
    fs::write(&beginning, root)?;
    fs::rename(beginning, file)?;
    Ok(authority)
}

fn pem(der: &[u8]) -> String {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    let text = STANDARD.encode(der);
    let lines: Vec<&str> = (0..text.len())
        .step_by(64)
        .filter_map(|at| text.get(at..text.len().min(at + 64)))
        .collect();
    format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", lines.join("\n"))
}

fn options(mut arguments: impl Iterator<Item = String>) -> Result<Options> {
    let (mut domain, mut socket, mut state) = (None, None, None);
    let (mut mode, mut x509_life, mut jwt_life) = (0o666, 3600, 300);
    let mut entries = Vec::new();
    while let Some(name) = arguments.next() {
        let value = arguments.next().ok_or_else(|| format!("{name} needs a value"))?;
        match name.as_str() {
            "--trust-domain" => domain = Some(TrustDomain::new(&value)?),
            "--socket" => socket = Some(PathBuf::from(value)),
            "--state" => state = Some(PathBuf::from(value)),
            "--mode" => mode = u32::from_str_radix(&value, 8)?,
            "--x509-life" => x509_life = value.parse()?,
            "--jwt-life" => jwt_life = value.parse()?,
            "--entry" => entries.push(entry(&value)?),
            _ => return Err(format!("{name} is no option").into()),
        }
    }
    let domain = domain.ok_or("--trust-domain is missing")?;
    if entries.is_empty() {
        let id = SpiffeId::new(format!("{}/workload", domain.id_string()))?;
        entries.push(Entry::new(id).anybody());
    }
    Ok(Options {
        domain,
        socket: socket.ok_or("--socket is missing")?,
        state: state.ok_or("--state is missing")?,
        mode,
        x509_life: Duration::from_secs(x509_life),
        jwt_life: Duration::from_secs(jwt_life),
        entries,
    })
}

fn entry(text: &str) -> Result<Entry> {
    let parts: Vec<(&str, &str)> =
        text.split(',').map(|part| part.split_once('=').unwrap_or((part, ""))).collect();
    let id = parts.iter().find(|(name, _)| *name == "id").ok_or("an entry needs an id")?.1;
    let mut entry = Entry::new(SpiffeId::new(id)?);
    for (name, value) in parts {
        let seconds = || Ok::<_, Box<dyn Error>>(Duration::from_secs(value.parse()?));
        entry = match name {
            "id" => entry,
            "uid" => entry.uid(value.parse()?),
            "gid" => entry.gid(value.parse()?),
            "path" => entry.executable(value),
            "anybody" => entry.anybody(),
            "hint" => entry.hint(value),
            "x509-life" => entry.x509_life(seconds()?),
            "jwt-life" => entry.jwt_life(seconds()?),
            name => match name.strip_prefix("claim.") {
                Some(claim) => entry.claim(claim, value)?,
                None => return Err(format!("{name} is no part of an entry").into()),
            },
        };
    }
    Ok(entry)
}
