//! The JWT bundles of a Workload API, where verifiers look keys up.

use std::{
    collections::HashSet,
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use bulla::{
    Result,
    jwt::{Jwk, JwkSet},
};
use spiffe::{JwtBundle, JwtSource, TrustDomain};
use tokio::task::JoinHandle;

use super::{WorkloadApi, error::jwt_error};
use crate::{Bundle, BundleSet, bundle::MAX_BUNDLE_KEYS};

/// Keeps the JWT bundles of a Workload API in a [`BundleSet`], for a [`JwtSvidVerifier`](crate::JwtSvidVerifier).
/// When it is dropped, they are taken out again.
///
/// A bundle that can't be read is taken out, with a warning, until one comes that can: tokens of its trust domain are
/// refused. While the Workload API is out of reach the last bundles stay, as its other clients have it.
#[must_use = "the bundles are taken out again when it is dropped"]
pub struct WorkloadBundles {
    kept: Arc<Kept>,
    task: JoinHandle<()>,
}

struct Kept {
    bundles: BundleSet,
    /// The trust domains that are there because of us; none any more once it has ended.
    domains: Mutex<Option<HashSet<TrustDomain>>>,
}

impl WorkloadApi {
    /// Follows the JWT bundles into `bundles`. Those of trust domains that are there already are replaced.
    ///
    /// # Errors
    /// As for [`x509_source`](Self::x509_source).
    pub async fn keep_bundles(&self, bundles: BundleSet) -> Result<WorkloadBundles> {
        let source = self.jwt_bundles().await?;
        let mut updates = source.updated();
        let domains = Mutex::new(Some(HashSet::new()));
        let kept = Arc::new(Kept { bundles, domains });
        kept.take_in(&source)?;
        let shared = Arc::clone(&kept);
        let task = tokio::spawn(async move {
            while updates.changed().await.is_ok() {
                if let Err(error) = shared.take_in(&source) {
                    tracing::warn!(%error, "bundles of the Workload API not taken in");
                }
            }
        });
        Ok(WorkloadBundles { kept, task })
    }
}

impl Kept {
    fn take_in(&self, source: &JwtSource) -> Result<()> {
        let set = source.bundle_set().map_err(jwt_error)?;
        let mut domains = self.domains.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(before) = domains.as_mut() else { return Ok(()) };
        let mut now = HashSet::new();
        for (domain, bundle) in set.iter() {
            match read(domain, bundle) {
                Ok(bundle) => {
                    self.bundles.insert(bundle);
                    now.insert(domain.clone());
                }
                Err(error) => {
                    tracing::warn!(trust_domain = %domain, %error, "bundle can't be read");
                }
            }
        }
        for gone in before.difference(&now) {
            self.bundles.remove(gone);
        }
        *before = now;
        Ok(())
    }

    fn end(&self) {
        let mut domains = self.domains.lock().unwrap_or_else(PoisonError::into_inner);
        for domain in domains.take().unwrap_or_default() {
            self.bundles.remove(&domain);
        }
    }
}

/// A bundle of that crate's as one of ours.
fn read(domain: &TrustDomain, bundle: &JwtBundle) -> Result<Bundle> {
    let keys = bundle.jwt_authorities().take(MAX_BUNDLE_KEYS + 1);
    let keys = keys.map(|key| Ok(Jwk::from_json(key.jwk_json())?.with_usage(None)));
    Bundle::new(domain.clone())
        .with_jwt_authorities(&JwkSet::new(keys.collect::<Result<Vec<_>>>()?)?)
}

impl Drop for WorkloadBundles {
    fn drop(&mut self) {
        self.task.abort();
        self.kept.end();
    }
}

impl fmt::Debug for WorkloadBundles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let domains = self.kept.domains.lock().unwrap_or_else(PoisonError::into_inner);
        f.debug_struct("WorkloadBundles").field("trust_domains", &domains).finish_non_exhaustive()
    }
}
