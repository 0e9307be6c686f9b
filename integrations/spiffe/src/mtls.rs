//! TLS in which both sides prove who they are by X.509-SVIDs, with rustls.
//!
//! [`client`] and [`server`] are the builders of `spiffe-rustls`, which takes certificate, key and what to trust from a
//! source at each handshake: an SVID that is replaced is used from the next connection on, and those that are open stay
//! open. A source comes from a Workload API ([`WorkloadApi::x509_source`](crate::workload::WorkloadApi::x509_source)),
//! or from an authority in this process (`WorkloadServer::x509_source`, with the feature `server`).
//!
//! ```no_run
//! use bulla_spiffe::{mtls, workload::WorkloadApi};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let source = WorkloadApi::from_env()?.x509_source().await?;
//!
//! let serves = mtls::server(source.clone(), mtls::trust_domains(["example.org"])?).build()?;
//! let asks = mtls::client(source, mtls::ids(["spiffe://example.org/orders"])?).build()?;
//! # Ok(())
//! # }
//! ```
//!
//! What `spiffe-rustls` would let be left out has to be said here: who may be at the other end. There is no
//! default, since the one of that crate is everybody whom any known trust domain has given an identity.
//!
//! Names of hosts do not matter: a client looks at the SPIFFE ID and not at the name it connects to. Sessions are not
//! resumed, since a resumed one is not checked against what has changed since. The verifier is webpki, for which CRLs
//! are not configured: an SVID is good until it expires, which is why its life is short.

use bulla::{Error, ErrorKind, Result};
use rustls::CommonState;
use spiffe::{SpiffeId, TrustDomain, X509Source, cert::spiffe_id_from_der};
use spiffe_rustls::{
    Authorizer, ClientConfigBuilder, ServerConfigBuilder, authorizer::Exact,
    authorizer::TrustDomainAllowList,
};

/// A client's side: its own SVID, and whom it may find at the other end. A closure on the id will do for `servers`.
///
/// With `build`, it is a [`rustls::ClientConfig`], for `reqwest`, `hyper-rustls` or `tokio-rustls`. The first
/// configuration in a process installs rustls's AWS-LC provider as its default, if there is none.
#[must_use]
pub fn client(source: X509Source, servers: impl Authorizer) -> ClientConfigBuilder {
    spiffe_rustls::mtls_client(source).authorize(servers)
}

/// A server's side: its own SVID, and whom it may be asked by. Whoever shows no certificate is refused in the
/// handshake. With `build`, it is a [`rustls::ServerConfig`].
#[must_use]
pub fn server(source: X509Source, clients: impl Authorizer) -> ServerConfigBuilder {
    spiffe_rustls::mtls_server(source).authorize(clients)
}

/// Whose SVID the other side of a connection has shown, once the handshake is over. It was verified then.
#[must_use]
pub fn peer_id(connection: &CommonState) -> Option<SpiffeId> {
    let leaf = connection.peer_certificates()?.first()?;
    spiffe_id_from_der(leaf).ok()
}

/// These, and nobody else.
///
/// # Errors
/// [`InvalidInput`](ErrorKind::InvalidInput) for what is no SPIFFE ID, and if there is none: nobody could connect.
pub fn ids<'a>(ids: impl IntoIterator<Item = &'a str>) -> Result<impl Authorizer + Clone> {
    let read = ids.into_iter().map(|id| SpiffeId::new(id).map_err(|error| invalid(id, error)));
    let ids = read.collect::<Result<Vec<_>>>()?;
    if ids.is_empty() {
        return Err(nobody());
    }
    Exact::new(ids).map_err(|error| invalid("an id", error))
}

/// Everybody of these trust domains.
///
/// # Errors
/// [`InvalidInput`](ErrorKind::InvalidInput) for what is no trust domain, and if there is none.
pub fn trust_domains<'a>(
    domains: impl IntoIterator<Item = &'a str>,
) -> Result<impl Authorizer + Clone> {
    let read = domains
        .into_iter()
        .map(|domain| TrustDomain::new(domain).map_err(|error| invalid(domain, error)));
    let domains = read.collect::<Result<Vec<_>>>()?;
    if domains.is_empty() {
        return Err(nobody());
    }
    TrustDomainAllowList::new(domains).map_err(|error| invalid("a trust domain", error))
}

fn invalid(what: &str, error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::new(ErrorKind::InvalidInput, format!("{what}: {error}")).with_source(error)
}

fn nobody() -> Error {
    Error::new(ErrorKind::InvalidInput, "with nobody on the list, nobody can connect")
}
