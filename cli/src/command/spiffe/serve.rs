//! `bulla spiffe serve`.

use std::{
    future::Future,
    io::Write as _,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use bulla::Sign;
use bulla_spiffe::{
    BundleSet, JwtSvidIssuer, TrustDomain,
    authority::{CaPolicy, X509Authority},
    federation::{FederatedDomain, Federation, FederationPolicy},
    server::{Entry, WorkloadServer, WorkloadSocket},
    spiffe_id, trust_domain,
};
use pem_rfc7468::LineEnding;

use super::{bundle, verify};
use crate::{
    Session,
    args::{DomainBundle, ServeSvids, WorkloadEntry},
    command::token::{provider_keys, signing_key},
    failure::{Failure, Outcome},
    passphrases::Passphrases,
    providers::to_sign,
    say, shown,
};

/// The longest life of a certificate of a workload.
const MAX_LIFE: Duration = Duration::from_secs(24 * 3600);

/// All that can be wrong was found right, and nobody is listened to yet.
pub(crate) struct Prepared {
    server: WorkloadServer,
    socket: PathBuf,
    mode: u32,
    federation: Federation,
    domains: Vec<FederatedDomain>,
}

pub(crate) fn prepare(args: ServeSvids, session: &Session) -> Outcome<Prepared> {
    let domain = trust_domain(&args.trust_domain)?;
    let bundles = BundleSet::new();
    let domains = trusted(&domain, &args.bundles, &bundles)?;
    let passphrases = Passphrases::new(&args.passphrases.files, &session.cleanup)?;
    let key = signing_key(&args.key, &passphrases, session)?;
    let authority = authority(&domain, key, &args, session)?;
    let tokens = match &args.ring {
        Some(ring) => {
            let keys = Arc::new(to_sign(ring, &passphrases, session)?);
            JwtSvidIssuer::of_ring(domain, keys)
        }
        None => {
            let keys = provider_keys(&args.key, None, None, &passphrases, session)?;
            JwtSvidIssuer::builder(domain, keys)
        }
    };
    let tokens = session.runtime.block_on(tokens.ttl(args.token_life).build())?;
    let federation = Federation::new(bundles.clone(), FederationPolicy::default())?;
    let mut server =
        WorkloadServer::builder(Arc::new(authority)).jwt(Arc::new(tokens)).bundles(bundles);
    for entry in &args.entries {
        server = server.entry(entry_of(entry, &args.bundles)?);
    }
    Ok(Prepared {
        server: server.build()?,
        socket: args.socket,
        mode: args.mode,
        federation,
        domains,
    })
}

/// Serves until `ended` is, and then until the last streams are.
pub(crate) async fn until<S>(prepared: Prepared, ended: S) -> Outcome<()>
where
    S: Future<Output = ()> + Send,
{
    let Prepared { server, socket, mode, federation, domains } = prepared;
    for domain in domains {
        federation.add(domain)?;
    }
    let at = std::path::absolute(&socket).unwrap_or_else(|_| socket.clone());
    let bound = WorkloadSocket::bind(socket, mode)?;
    say::note(&format!("serving the Workload API at unix://{}", shown::path(&at)));
    server.serve(bound, ended).await?;
    drop(federation);
    Ok(())
}

/// The bundles of other trust domains: those in files as they are, the others to be fetched.
fn trusted(
    own: &TrustDomain,
    given: &[DomainBundle],
    bundles: &BundleSet,
) -> Outcome<Vec<FederatedDomain>> {
    let mut domains: Vec<FederatedDomain> = Vec::new();
    for bundle in given {
        let domain = trust_domain(&bundle.trust_domain)?;
        let known = bundles.trust_domains().contains(&domain)
            || domains.iter().any(|other| *other.trust_domain() == domain);
        if known || domain == *own {
            let message = format!("{domain} is a trust domain already; it has one bundle");
            return Err(Failure::usage(message));
        }
        match bundle.place.contains("://") {
            true => domains.push(FederatedDomain::https_web(domain, &bundle.place)?),
            false => bundles.insert(verify::read(bundle)?),
        }
    }
    Ok(domains)
}

/// The authority, with its root in a file: made at the first start, and found again after that.
fn authority(
    domain: &TrustDomain,
    key: Arc<dyn Sign>,
    args: &ServeSvids,
    session: &Session,
) -> Outcome<X509Authority> {
    let builder = || {
        let builder = X509Authority::builder(domain.clone(), Arc::clone(&key));
        builder.life(args.svid_life).max_life(MAX_LIFE)
    };
    let name = shown::path(&args.root);
    let at = |error| Failure::from(error).at(&name);
    if !args.root.exists() {
        let made = session.runtime.block_on(builder().self_signed(CaPolicy::root()))?;
        let root = made.roots().concat();
        if keep(&args.root, &root)? {
            say::note(&format!("the root of {domain} was made and is in {name}"));
            return Ok(made);
        }
        // Somebody else was faster, and what they made counts.
    }
    let root = bundle::certificates(&args.root)?.into_iter().map(|root| root.to_vec());
    session.runtime.block_on(builder().with_certificates(root)).map_err(at)
}

/// Writes a certificate where there is none, whole or not at all. Whether it did.
fn keep(path: &Path, der: &[u8]) -> Outcome<bool> {
    let name = shown::path(path);
    let io = |error: std::io::Error| Failure::io(&name, &error);
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut file = tempfile::Builder::new().prefix(".bulla-").tempfile_in(dir).map_err(io)?;
    let pem = pem_rfc7468::encode_string("CERTIFICATE", LineEnding::LF, der)
        .map_err(|error| Failure::other(format!("writing PEM: {error}")))?;
    file.write_all(pem.as_bytes()).map_err(io)?;
    file.as_file().sync_all().map_err(io)?;
    match file.persist_noclobber(path) {
        Ok(_) => Ok(true),
        Err(error) if error.error.kind() == std::io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(io(error.error)),
    }
}

fn entry_of(entry: &WorkloadEntry, bundles: &[DomainBundle]) -> Outcome<Entry> {
    let mut made = Entry::new(spiffe_id(&entry.id)?);
    if let Some(uid) = entry.uid {
        made = made.uid(uid);
    }
    if let Some(gid) = entry.gid {
        made = made.gid(gid);
    }
    if let Some(path) = &entry.path {
        made = made.executable(path);
    }
    for bundle in bundles {
        made = made.federates_with(trust_domain(&bundle.trust_domain)?);
    }
    Ok(made)
}
