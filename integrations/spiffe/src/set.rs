//! Bundles by trust domain: what a verifier looks keys up in.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use arc_swap::ArcSwap;
use async_trait::async_trait;
use bulla::{
    Error, ErrorKind, Result,
    jwt::{JwkSet, KeySource},
};

use crate::{bundle::Bundle, id::TrustDomain};

/// A bundle that changes by itself, such as the one of this process's own trust domain.
#[async_trait]
pub trait BundleSource: Send + Sync {
    /// The bundle as it is now.
    ///
    /// # Errors
    /// Why the source can't tell; never [`NotAuthentic`](ErrorKind::NotAuthentic).
    async fn bundle(&self) -> Result<Arc<Bundle>>;
}

#[async_trait]
impl BundleSource for Arc<Bundle> {
    async fn bundle(&self) -> Result<Arc<Bundle>> {
        Ok(Self::clone(self))
    }
}

/// The bundles of trust domains: one's own and those that it trusts. Cheap to clone; clones share them.
///
/// An SVID is verified with the bundle of its own trust domain and with no other (SPIFFE Federation,
/// section 7.3). Reading takes no lock; domains come and go while verifiers work.
#[derive(Clone, Default)]
pub struct BundleSet(Arc<Shared>);

#[derive(Default)]
struct Shared {
    domains: ArcSwap<HashMap<TrustDomain, Entry>>,
    /// Held by whoever changes them.
    changing: Mutex<()>,
}

#[derive(Clone)]
enum Entry {
    /// At hand, until then if that was said.
    Kept(Arc<Bundle>, Option<Instant>),
    Bundles(Arc<dyn BundleSource>),
    /// Keys of JWT-SVIDs alone.
    Keys(Arc<dyn KeySource>),
    /// A domain whose bundle is not at hand, and why.
    #[cfg_attr(not(feature = "federation"), allow(dead_code, reason = "made there alone"))]
    Missing(Error),
}

impl BundleSet {
    /// No bundle yet: no SVID is valid.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes a bundle in, in the place of another one of its trust domain.
    pub fn insert(&self, bundle: impl Into<Arc<Bundle>>) {
        let bundle = bundle.into();
        self.put(bundle.trust_domain().clone(), Entry::Kept(bundle, None));
    }

    /// Takes in a trust domain whose bundle this source has.
    pub fn insert_source(&self, trust_domain: TrustDomain, source: Arc<dyn BundleSource>) {
        self.put(trust_domain, Entry::Bundles(source));
    }

    /// Takes in a trust domain for JWT-SVIDs alone, with the keys of this source: a JWK set at an address,
    /// for example, or the keys of a provider.
    pub fn insert_keys(&self, trust_domain: TrustDomain, keys: Arc<dyn KeySource>) {
        self.put(trust_domain, Entry::Keys(keys));
    }

    /// Takes a trust domain out: its SVIDs are not valid any more. Whether it was there.
    pub fn remove(&self, trust_domain: &TrustDomain) -> bool {
        self.change(|domains| domains.remove(trust_domain).is_some())
    }

    /// Which trust domains there are, in the order of their names, also those whose bundle is not at hand.
    #[must_use]
    pub fn trust_domains(&self) -> Vec<TrustDomain> {
        let mut all: Vec<_> = self.0.domains.load().keys().cloned().collect();
        all.sort_unstable();
        all
    }

    /// The bundle of a trust domain.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] for a trust domain that is not here; [`ErrorKind::Unavailable`] for one whose
    /// bundle is not at hand: never fetched, or too old; [`ErrorKind::Unsupported`] where only keys of
    /// JWT-SVIDs are known; otherwise what its source says.
    pub async fn bundle(&self, trust_domain: &TrustDomain) -> Result<Arc<Bundle>> {
        match self.entry(trust_domain) {
            None => Err(Error::new(
                ErrorKind::NotFound,
                format!("the trust domain {trust_domain} is not among those that are trusted here"),
            )),
            Some(Entry::Kept(bundle, until)) => in_time(bundle, until),
            Some(Entry::Bundles(source)) => of_domain(source.bundle().await?, trust_domain),
            Some(Entry::Keys(_)) => Err(Error::new(
                ErrorKind::Unsupported,
                format!("of the trust domain {trust_domain} only keys of JWT-SVIDs are known"),
            )),
            Some(Entry::Missing(error)) => Err(error),
        }
    }

    /// The same without waiting: `None` also where a source would have to be asked.
    #[must_use]
    pub fn at_hand(&self, trust_domain: &TrustDomain) -> Option<Arc<Bundle>> {
        match self.entry(trust_domain)? {
            Entry::Kept(bundle, until) => in_time(bundle, until).ok(),
            _ => None,
        }
    }

    /// Keys of JWT-SVIDs; `None` for a trust domain that is not here.
    pub(crate) async fn jwt_keys(
        &self,
        trust_domain: &TrustDomain,
        kid: &str,
    ) -> Result<Option<Arc<JwkSet>>> {
        Ok(match self.entry(trust_domain) {
            None => None,
            Some(Entry::Kept(bundle, until)) => {
                Some(Arc::clone(in_time(bundle, until)?.jwt_authorities()))
            }
            Some(Entry::Bundles(source)) => {
                let bundle = of_domain(source.bundle().await?, trust_domain)?;
                Some(Arc::clone(bundle.jwt_authorities()))
            }
            Some(Entry::Keys(keys)) => Some(keys.keys(Some(kid)).await?),
            Some(Entry::Missing(error)) => return Err(error),
        })
    }

    fn entry(&self, trust_domain: &TrustDomain) -> Option<Entry> {
        self.0.domains.load().get(trust_domain).cloned()
    }

    fn put(&self, trust_domain: TrustDomain, entry: Entry) {
        self.change(|domains| drop(domains.insert(trust_domain, entry)));
    }

    fn change<T>(&self, change: impl FnOnce(&mut HashMap<TrustDomain, Entry>) -> T) -> T {
        let _changing = self.changing();
        let mut domains = HashMap::clone(&self.0.domains.load());
        let changed = change(&mut domains);
        self.0.domains.store(Arc::new(domains));
        changed
    }

    fn changing(&self) -> MutexGuard<'_, ()> {
        self.0.changing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// For whoever fetches bundles.
#[cfg(feature = "federation")]
impl BundleSet {
    /// Takes in a bundle that may be used until then.
    pub(crate) fn insert_until(&self, bundle: Arc<Bundle>, until: Instant) {
        self.put(bundle.trust_domain().clone(), Entry::Kept(bundle, Some(until)));
    }

    /// Takes in a trust domain whose bundle is not at hand, unless it is here already. Whether it did.
    pub(crate) fn announce(&self, trust_domain: &TrustDomain) -> bool {
        self.change(|domains| {
            let new = !domains.contains_key(trust_domain);
            if new {
                let message =
                    format!("the bundle of the trust domain {trust_domain} has not come yet");
                let missing = Entry::Missing(Error::new(ErrorKind::Unavailable, message));
                domains.insert(trust_domain.clone(), missing);
            }
            new
        })
    }
}

fn in_time(bundle: Arc<Bundle>, until: Option<Instant>) -> Result<Arc<Bundle>> {
    match until {
        Some(until) if Instant::now() >= until => Err(Error::new(
            ErrorKind::Unavailable,
            format!(
                "the bundle of the trust domain {} could not be renewed for too long",
                bundle.trust_domain()
            ),
        )),
        _ => Ok(bundle),
    }
}

fn of_domain(bundle: Arc<Bundle>, trust_domain: &TrustDomain) -> Result<Arc<Bundle>> {
    match bundle.trust_domain() == trust_domain {
        true => Ok(bundle),
        false => Err(Error::new(
            ErrorKind::Internal,
            format!("a source of {trust_domain} has the bundle of {}", bundle.trust_domain()),
        )),
    }
}

impl fmt::Debug for BundleSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let domains = self.trust_domains();
        f.debug_set().entries(domains.iter().map(TrustDomain::as_str)).finish()
    }
}
