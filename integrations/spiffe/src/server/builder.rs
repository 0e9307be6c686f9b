//! What a server is told.

use std::{fmt, num::NonZeroUsize, sync::Arc, time::SystemTime};

use bulla::{Error, ErrorKind, Operation, Result};
use spiffe::TrustDomain;

use super::{
    Entry, WorkloadServer,
    serve::Limits,
    state::{Served, State},
};
use crate::{BundleSet, JwtSvidIssuer, authority::X509Authority, renewed::Clock};

const MAX_ENTRIES: NonZeroUsize = NonZeroUsize::new(10_000).unwrap();

/// Builds a [`WorkloadServer`].
#[must_use]
pub struct WorkloadServerBuilder {
    authority: Arc<X509Authority>,
    jwt: Option<Arc<JwtSvidIssuer>>,
    bundles: BundleSet,
    entries: Vec<Entry>,
    limits: Limits,
    clock: Clock,
}

impl WorkloadServerBuilder {
    pub(super) fn new(authority: Arc<X509Authority>) -> Self {
        Self {
            authority,
            jwt: None,
            bundles: BundleSet::new(),
            entries: Vec::new(),
            limits: Limits::default(),
            clock: Arc::new(SystemTime::now),
        }
    }

    /// Issues and validates JWT-SVIDs too. Without it, the methods for them are unimplemented.
    pub fn jwt(mut self, issuer: Arc<JwtSvidIssuer>) -> Self {
        self.jwt = Some(issuer);
        self
    }

    /// The bundles of other trust domains: entries say which of them they are told of, and JWT-SVIDs are validated with
    /// all. What changes in the set is seen within half a minute. The issuer's keys are put into it for the server's own
    /// trust domain, unless that is there already.
    pub fn bundles(mut self, bundles: BundleSet) -> Self {
        self.bundles = bundles;
        self
    }

    /// Gives an identity to whoever fits.
    pub fn entry(mut self, entry: Entry) -> Self {
        self.entries.push(entry);
        self
    }

    /// The most connections at a time, and the most of one user: 448 and 128. Each takes two descriptors, of which `ulimit
    /// -n` has to allow enough.
    pub fn max_connections(mut self, all: usize, of_one_user: usize) -> Self {
        self.limits = Limits { all, of_one_user };
        self
    }

    /// Tells the time by this clock.
    #[doc(hidden)]
    pub fn clock(mut self, clock: impl Fn() -> SystemTime + Send + Sync + 'static) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// The server. It does nothing yet.
    ///
    /// # Errors
    /// [`InvalidInput`](ErrorKind::InvalidInput) for an entry that names neither a user nor a group nor an executable,
    /// or an id of another trust domain; for more than 10,000; for an issuer of JWT-SVIDs of another trust domain; and
    /// if nobody may connect.
    pub fn build(self) -> Result<WorkloadServer> {
        let invalid = |message: &'static str| {
            Err(Error::new(ErrorKind::InvalidInput, message).with_operation(Operation::Build))
        };
        let domain = self.authority.trust_domain();
        if self.jwt.as_ref().is_some_and(|jwt| jwt.trust_domain() != domain) {
            return invalid("the issuer of JWT-SVIDs is another trust domain's");
        }
        if self.limits.all == 0 || self.limits.of_one_user == 0 {
            return invalid("with no connections there is nobody to serve");
        }
        let entries: Vec<Arc<Entry>> = self.entries.into_iter().map(Arc::new).collect();
        check(&entries, domain, MAX_ENTRIES.get())
            .map_err(|error| error.with_operation(Operation::Build))?;
        if let Some(issuer) = &self.jwt
            && !self.bundles.trust_domains().contains(domain)
        {
            self.bundles.insert_keys(domain.clone(), issuer.keys());
        }
        let served = Served { authority: self.authority, generation: 0, entries: entries.into() };
        let state = State::new(served, self.jwt, self.bundles, MAX_ENTRIES, self.clock);
        let max_entries = MAX_ENTRIES.get();
        Ok(WorkloadServer { state: Arc::new(state), limits: self.limits, max_entries })
    }
}

impl fmt::Debug for WorkloadServerBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WorkloadServerBuilder")
            .field("authority", &self.authority)
            .field("entries", &self.entries.len())
            .finish_non_exhaustive()
    }
}

pub(super) fn check(entries: &[Arc<Entry>], domain: &TrustDomain, most: usize) -> Result<()> {
    if entries.len() > most {
        let message = format!("there are more than {most} entries");
        return Err(Error::new(ErrorKind::InvalidInput, message));
    }
    entries.iter().try_for_each(|entry| entry.check(domain))
}
