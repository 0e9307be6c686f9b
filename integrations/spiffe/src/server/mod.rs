//! SPIFFE's Workload API over a Unix socket: **experimental**, for small fleets and for tests.
//!
//! [`WorkloadServer`] tells processes of this host apart by what the kernel knows of them, and gives each the
//! X.509-SVIDs, JWT-SVIDs and bundles that its [entries](Entry) name, as SPIRE's agent does, with one difference:
//! there is no other server behind it, but a key in a KMS or an HSM.
//!
//! ```no_run
//! use std::sync::Arc;
//!
//! use bulla_spiffe::{
//!     authority::X509Authority,
//!     server::{Entry, WorkloadServer, WorkloadSocket},
//! };
//! use spiffe::SpiffeId;
//!
//! # async fn example(authority: X509Authority) -> Result<(), Box<dyn std::error::Error>> {
//! let orders = Entry::new(SpiffeId::new("spiffe://example.org/orders")?).uid(1001);
//! let server = WorkloadServer::builder(Arc::new(authority)).entry(orders).build()?;
//! let socket = WorkloadSocket::bind("/run/bulla/workload.sock", 0o666)?;
//! server.serve(socket, async { drop(tokio::signal::ctrl_c().await) }).await?;
//! # Ok(())
//! # }
//! ```
//!
//! # What it does
//!
//! | method | answer |
//! |---|---|
//! | FetchX509SVID | a stream: of all entries that fit, each with a private key on P-256 that is made here; the next at half of its life, and whenever entries, authority or bundles change |
//! | FetchX509Bundles, FetchJWTBundles | a stream: ours, and those that the entries federate with |
//! | FetchJWTSVID | tokens of all entries that fit, or of the one that is named, for 1 to 16 audiences |
//! | ValidateJWTSVID | the id and all claims, if a [`JwtSvidVerifier`](crate::JwtSvidVerifier) with the server's bundles accepts the token |
//!
//! An SVID is issued once for all processes of an entry, kept, and renewed at half of its life; while the authority is
//! out of reach, the old one is given out until it expires. So the provider's calls are as many as there are entries
//! (and audiences), and not as there are processes or requests.
//!
//! A call needs the header `workload.spiffe.io: true`. Whoever fits no entry is told `PermissionDenied`, and streams of
//! processes that fit none any longer end within half a minute.
//!
//! # Bounds
//!
//! | what | limit |
//! |---|---|
//! | connections | 448, of which one user has 128, [unless set](WorkloadServerBuilder::max_connections); each takes two descriptors, and 1,024 is what processes are allowed by default |
//! | streams of a connection | 32 |
//! | a request | 64 KiB, and 30 seconds until its answer begins |
//! | headers | 16 KiB |
//! | a connection that sends nothing | 10 seconds until its first byte; after that it answers pings within 20 seconds |
//! | entries | 10,000 |
//! | tokens that are kept | 4,096 |
//!
//! # Clients
//!
//! `unix:///run/bulla/workload.sock` is what they are given in `SPIFFE_ENDPOINT_SOCKET`. Tried are the crate `spiffe`
//! (0.19), go-spiffe (2.8) and Python's `spiffe` (0.3).

mod builder;
mod entry;
#[cfg(feature = "workload")]
mod in_process;
mod lenient;
mod peer;
mod serve;
mod service;
mod socket;
mod state;
mod wire;

use std::{fmt, future::Future, sync::Arc};

use bulla::{Error, ErrorKind, Result};

pub use self::{builder::WorkloadServerBuilder, entry::Entry, socket::WorkloadSocket};
use self::{peer::Peer, serve::Limits, state::State};
use crate::authority::X509Authority;

/// A server of the Workload API. Cheap to clone; clones are the same server, so that entries and authority can be
/// changed while it serves.
#[derive(Clone)]
pub struct WorkloadServer {
    state: Arc<State>,
    limits: Limits,
    max_entries: usize,
}

impl WorkloadServer {
    /// A server that gives out what this authority issues.
    pub fn builder(authority: Arc<X509Authority>) -> WorkloadServerBuilder {
        WorkloadServerBuilder::new(authority)
    }

    /// Serves at a socket until `stop` is done, and then ends all streams and waits for 5 seconds at most until
    /// whoever is connected has hung up. The socket is removed when this returns, or is dropped.
    ///
    /// # Errors
    /// [`Io`](ErrorKind::Io) if the system can't accept connections for another reason than that there are too many.
    pub async fn serve(
        &self,
        socket: WorkloadSocket,
        stop: impl Future<Output = ()>,
    ) -> Result<()> {
        serve::serve(Arc::clone(&self.state), self.limits, socket, stop).await
    }

    /// Replaces all entries. Streams of whom they concern get what is new at once, or end.
    ///
    /// # Errors
    /// [`InvalidInput`](ErrorKind::InvalidInput) for an entry that names neither a user nor a group nor an executable,
    /// or an id of another trust domain, and for more than 10,000; then the old ones stay.
    pub fn set_entries(&self, entries: impl IntoIterator<Item = Entry>) -> Result<()> {
        let entries: Vec<Arc<Entry>> =
            entries.into_iter().take(self.max_entries + 1).map(Arc::new).collect();
        self.state.change(|served| {
            builder::check(&entries, served.authority.trust_domain(), self.max_entries)?;
            served.entries = entries.into();
            Ok(())
        })
    }

    /// Replaces the authority: by one with a new key, or with further roots to trust. All SVIDs are issued anew.
    ///
    /// # Errors
    /// [`InvalidInput`](ErrorKind::InvalidInput) if it is another trust domain's.
    pub fn set_authority(&self, authority: Arc<X509Authority>) -> Result<()> {
        self.state.change(|served| {
            if authority.trust_domain() != served.authority.trust_domain() {
                let message = "the authority is another trust domain's";
                return Err(Error::new(ErrorKind::InvalidInput, message));
            }
            served.authority = authority;
            served.generation += 1;
            Ok(())
        })
    }
}

impl fmt::Debug for WorkloadServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let served = self.state.served.borrow();
        f.debug_struct("WorkloadServer")
            .field("authority", &served.authority)
            .field("entries", &served.entries.len())
            .finish_non_exhaustive()
    }
}
