//! Bundles of other trust domains, fetched from where they are published and renewed
//! (SPIFFE Federation).

mod domain;
mod known;
mod policy;
mod trust;
mod watch;

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bulla::{Error, ErrorKind, Result};
use tokio::{
    runtime::Handle,
    sync::{mpsc, oneshot},
    task::AbortHandle,
};

use self::watch::{Waiter, Watch};
pub use self::{domain::FederatedDomain, policy::FederationPolicy};
use crate::{id::TrustDomain, set::BundleSet};

/// Those who can wait for a look at once, before further ones wait to wait.
const MAX_WAITERS: usize = 64;

/// Fetches the bundles of other trust domains into a [`BundleSet`], and renews them. Domains are taken in
/// and out while it works. When it is dropped, nothing is fetched any more, and what was fetched is used for
/// as long as [`FederationPolicy::stale`] says.
///
/// A bundle is fetched from the address that was configured and is the bundle of the trust domain that was
/// configured with it, whatever it says. The status has to be 200 (or 304), the body at most
/// [`MAX_BUNDLE_LEN`](crate::MAX_BUNDLE_LEN); redirects are not followed, which the standard leaves to the
/// client (section 7.5.1). A bundle whose `spiffe_sequence` went back is not taken in, and neither is one that
/// has none any more; the numbers are remembered until the domain is taken out or the process ends. The next
/// look is after the bundle's `spiffe_refresh_hint`, within the [bounds](FederationPolicy).
///
/// ```no_run
/// use bulla_spiffe::{BundleSet, JwtSvidVerifier, trust_domain};
/// use bulla_spiffe::federation::{FederatedDomain, Federation, FederationPolicy};
///
/// # async fn example() -> bulla::Result<()> {
/// let bundles = BundleSet::new();
/// let federation = Federation::new(bundles.clone(), FederationPolicy::default())?;
/// let partner = trust_domain("partner.example")?;
/// federation.add(FederatedDomain::https_web(partner.clone(), "https://partner.example/bundle")?)?;
/// federation.refresh(&partner).await?; // optional: at the start, rather than with the first token
///
/// let verifier = JwtSvidVerifier::builder(bundles).audience("orders").build()?;
/// # Ok(())
/// # }
/// ```
pub struct Federation {
    bundles: BundleSet,
    policy: FederationPolicy,
    domains: Mutex<HashMap<TrustDomain, Watched>>,
}

struct Watched {
    watch: Arc<Watch>,
    ask: mpsc::Sender<Waiter>,
    task: AbortHandle,
}

/// What is known of a federated trust domain.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct FederationStatus {
    /// Which.
    pub trust_domain: TrustDomain,
    /// Where its bundle is fetched from.
    pub address: String,
    /// The number of the bundle at hand.
    pub sequence: Option<u64>,
    /// How long ago the bundle at hand was last known to be current.
    pub age: Option<Duration>,
    /// Whether it may be used: fetched, and not too old.
    pub usable: bool,
    /// How many attempts have failed since.
    pub failures: u32,
    /// Why the last one did.
    pub error: Option<Error>,
}

impl Federation {
    /// Fetches into these bundles. No trust domain is federated with yet.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] for a policy whose numbers are out of range.
    pub fn new(bundles: BundleSet, policy: FederationPolicy) -> Result<Self> {
        let policy = policy.checked()?;
        Ok(Self { bundles, policy, domains: Mutex::default() })
    }

    /// Takes a trust domain in, whose bundle is fetched at once, in a task.
    ///
    /// # Errors
    /// [`ErrorKind::AlreadyExists`] for a trust domain that is among the bundles already, one's own for
    /// example; [`ErrorKind::InvalidInput`] for a root certificate or proxy that can't be used, or a policy
    /// whose times for requests are out of range; [`ErrorKind::Internal`] outside of a runtime of tokio.
    pub fn add(&self, domain: FederatedDomain) -> Result<()> {
        let runtime = Handle::try_current().map_err(|error| {
            Error::new(ErrorKind::Internal, "bundles are fetched by tasks of tokio")
                .with_source(error)
        })?;
        let trust_domain = domain.trust_domain().clone();
        let watch = Arc::new(Watch::new(domain, self.policy, self.bundles.clone())?);
        let mut domains = self.lock();
        if !self.bundles.announce(&trust_domain) {
            return Err(Error::new(
                ErrorKind::AlreadyExists,
                format!("there is a bundle of the trust domain {trust_domain} already"),
            ));
        }
        watch.begin();
        let (ask, asked) = mpsc::channel(MAX_WAITERS);
        let task = runtime.spawn(Arc::clone(&watch).run(asked)).abort_handle();
        domains.insert(trust_domain, Watched { watch, ask, task });
        Ok(())
    }

    /// Takes a trust domain out: from now on its SVIDs are not valid, also if its bundle is just being
    /// fetched. Whether it was there.
    pub fn remove(&self, trust_domain: &TrustDomain) -> bool {
        let mut domains = self.lock();
        let Some(watched) = domains.remove(trust_domain) else { return false };
        watched.watch.remove();
        watched.task.abort();
        true
    }

    /// Looks now, and waits for it. Those who wait for the same look share it.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] for a trust domain that is not federated with, or is taken out meanwhile;
    /// otherwise why its bundle could not be fetched. The one at hand stays.
    pub async fn refresh(&self, trust_domain: &TrustDomain) -> Result<()> {
        let (ask, watch) = {
            let domains = self.lock();
            let watched = domains.get(trust_domain).ok_or_else(|| {
                let message = format!("the trust domain {trust_domain} is not federated with");
                Error::new(ErrorKind::NotFound, message)
            })?;
            (watched.ask.clone(), Arc::clone(&watched.watch))
        };
        let (waiter, looked) = oneshot::channel();
        let gone = || watch::gone(watch.domain());
        ask.send(waiter).await.map_err(|_| gone())?;
        looked.await.map_err(|_| gone())?
    }

    /// What is known of each trust domain, in the order of their names.
    #[must_use]
    pub fn status(&self) -> Vec<FederationStatus> {
        let domains = self.lock();
        let mut all: Vec<_> = domains
            .values()
            .map(|Watched { watch, .. }| {
                let state = watch.state();
                FederationStatus {
                    trust_domain: watch.domain().trust_domain().clone(),
                    address: watch.domain().address.as_str().to_owned(),
                    sequence: state.known.bundle.as_ref().and_then(|bundle| bundle.sequence()),
                    age: watch::age(state.known.checked),
                    usable: watch.is_usable(&state),
                    failures: state.known.failures,
                    error: state.known.error.clone(),
                }
            })
            .collect();
        all.sort_unstable_by(|a, b| a.trust_domain.cmp(&b.trust_domain));
        all
    }

    /// The bundles that it fetches into.
    #[must_use]
    pub const fn bundles(&self) -> &BundleSet {
        &self.bundles
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<TrustDomain, Watched>> {
        self.domains.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Federation {
    fn drop(&mut self) {
        for watched in self.lock().values() {
            watched.task.abort();
        }
    }
}

impl fmt::Debug for Federation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Federation")
            .field("policy", &self.policy)
            .field("domains", &self.lock().keys().map(TrustDomain::as_str).collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}
