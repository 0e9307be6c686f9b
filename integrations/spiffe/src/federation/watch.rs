//! One trust domain, looked at again and again.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use bulla::{Error, ErrorKind, Result};
use bulla_oidc::documents::{Documents, Fetched, Tag};
use tokio::sync::{mpsc, oneshot};

use super::{
    FederationPolicy,
    domain::{FederatedDomain, Profile},
    known::{Known, News},
    trust::EndpointVerifier,
};
use crate::{
    bundle::{Bundle, MAX_BUNDLE_LEN},
    set::BundleSet,
};

/// Who waits for a look.
pub(super) type Waiter = oneshot::Sender<Result<()>>;

pub(super) struct Watch {
    domain: FederatedDomain,
    documents: Documents,
    /// For `https_spiffe`.
    endpoint: Option<Arc<EndpointVerifier>>,
    policy: FederationPolicy,
    bundles: BundleSet,
    state: Mutex<State>,
}

pub(super) struct State {
    pub(super) known: Known,
    /// Of the bundle at hand.
    tag: Option<Tag>,
    /// The owner has taken the domain out: what comes now comes too late.
    removed: bool,
}

impl Watch {
    pub(super) fn new(
        domain: FederatedDomain,
        policy: FederationPolicy,
        bundles: BundleSet,
    ) -> Result<Self> {
        let mut documents = Documents::builder()
            .addresses(domain.addresses)
            .connect_timeout(policy.connect_timeout)
            .timeout(policy.timeout)
            .max_len(MAX_BUNDLE_LEN);
        if let Some(proxy) = &domain.proxy {
            documents = documents.proxy(proxy);
        }
        let mut endpoint = None;
        match &domain.profile {
            Profile::Web { roots } => {
                for root in roots {
                    documents = documents.root_certificate(root.clone());
                }
            }
            Profile::Spiffe { endpoint: id, .. } => {
                let verifier = Arc::new(EndpointVerifier::new(id.clone()));
                documents = documents.server_verifier(Arc::clone(&verifier) as Arc<_>);
                endpoint = Some(verifier);
            }
        }
        let known = match domain.first_of_its_own() {
            Some(first) => Known::begin(Arc::new(first.clone()), Instant::now()),
            None => Known::default(),
        };
        let state = Mutex::new(State { known, tag: None, removed: false });
        let documents = documents.build()?;
        Ok(Self { domain, documents, endpoint, policy, bundles, state })
    }

    pub(super) const fn domain(&self) -> &FederatedDomain {
        &self.domain
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts the bundle to begin with where verifiers look.
    pub(super) fn begin(&self) {
        self.publish(&self.state());
    }

    /// Takes the trust domain out. What is under way comes to nothing.
    pub(super) fn remove(&self) {
        let mut state = self.state();
        state.removed = true;
        self.bundles.remove(&self.domain.trust_domain);
    }

    /// Looks now and then, until it is aborted or nobody can ask any more.
    pub(super) async fn run(self: Arc<Self>, mut asked: mpsc::Receiver<Waiter>) {
        let mut waiting: Vec<Waiter> = Vec::new();
        loop {
            while let Ok(waiter) = asked.try_recv() {
                waiting.push(waiter);
            }
            let looked = self.look().await;
            for waiter in waiting.drain(..) {
                // Who gave up is not told.
                let _ = waiter.send(looked.clone());
            }
            let wait = self.state().known.wait(&self.policy);
            // Spread, so that hosts that began together don't ask together.
            let wait = wait.mul_f64(0.9 + 0.1 * fastrand::f64());
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                waiter = asked.recv() => match waiter {
                    Some(waiter) => waiting.push(waiter),
                    None => return,
                },
            }
        }
    }

    async fn look(&self) -> Result<()> {
        // Before it is asked: the answer is as old as the question.
        let asked = Instant::now();
        let fetched = self.fetch().await;
        self.land(asked, fetched)
            .map_err(|error| error.with_provider(self.domain.trust_domain.as_str()))
    }

    async fn fetch(&self) -> Result<Option<(Bundle, Option<Tag>)>> {
        if let Some(endpoint) = &self.endpoint {
            endpoint.trust(self.endpoints_bundle(endpoint).await?);
        }
        let tag = self.state().tag.clone();
        let fetched = self.documents.fetch(&self.domain.address, tag.as_ref()).await?;
        let Some(Fetched { body, tag, .. }) = fetched else { return Ok(None) };
        let bundle =
            Bundle::from_json(self.domain.trust_domain.clone(), body).map_err(|error| {
                Error::new(ErrorKind::Damaged, error.to_string()).with_source(error)
            })?;
        Ok(Some((bundle, tag)))
    }

    /// What the endpoint's SVID is verified with: the latest bundle of its trust domain.
    async fn endpoints_bundle(&self, verifier: &EndpointVerifier) -> Result<Arc<Bundle>> {
        let of = verifier.endpoint().trust_domain();
        if *of == self.domain.trust_domain {
            // Also when it is too old to verify SVIDs with: it is how a newer one is come by.
            if let Some(bundle) = &self.state().known.bundle {
                return Ok(Arc::clone(bundle));
            }
        }
        match (self.bundles.bundle(of).await, &self.domain.profile) {
            (Ok(bundle), _) => Ok(bundle),
            (Err(_), Profile::Spiffe { first: Some(first), .. }) => Ok(Arc::new(first.clone())),
            (Err(error), _) => Err(Error::new(
                ErrorKind::Unavailable,
                format!("the endpoint {} can't be verified: {error}", verifier.endpoint()),
            )
            .with_source(error)),
        }
    }

    fn land(&self, asked: Instant, fetched: Result<Option<(Bundle, Option<Tag>)>>) -> Result<()> {
        let mut state = self.state();
        if state.removed {
            return Err(gone(&self.domain));
        }
        let failed_before = state.known.failures > 0;
        let (outcome, landed) = match fetched {
            Ok(None) => {
                state.known.confirm(asked);
                ("not_modified", Ok(()))
            }
            Ok(Some((bundle, tag))) => match state.known.learn(Arc::new(bundle), asked) {
                Ok(news) => {
                    state.tag = tag;
                    self.tell(&state, news);
                    ("ok", Ok(()))
                }
                Err(error) => (error.kind().as_str(), Err(error)),
            },
            Err(error) => (error.kind().as_str(), Err(error)),
        };
        let trust_domain = self.domain.trust_domain.as_str();
        metrics::counter!(
            "bulla_federation_fetches_total",
            "trust_domain" => trust_domain.to_owned(),
            "outcome" => outcome,
        )
        .increment(1);
        match &landed {
            Ok(()) => {
                if failed_before {
                    tracing::info!(trust_domain, "federated bundle renewed");
                }
                self.publish(&state);
            }
            Err(error) => {
                let age = state.known.checked.map(|checked| checked.elapsed().as_secs());
                tracing::warn!(
                    trust_domain,
                    outcome,
                    %error,
                    age_seconds = age,
                    "federated bundle not renewed"
                );
                state.known.fail(error.clone());
            }
        }
        landed
    }

    fn tell(&self, state: &State, news: News) {
        let trust_domain = self.domain.trust_domain.as_str();
        let Some(bundle) = &state.known.bundle else { return };
        let sequence = bundle.sequence();
        match news {
            News::Same => {}
            News::Changed => tracing::info!(trust_domain, sequence, "federated bundle changed"),
            News::ChangedUnnumbered => tracing::warn!(
                trust_domain,
                sequence,
                "federated bundle changed, and its number did not; its publisher is to raise it"
            ),
        }
    }

    /// Puts the bundle at hand where verifiers look, for as long as it may be used.
    fn publish(&self, state: &State) {
        let Known { bundle: Some(bundle), checked: Some(checked), .. } = &state.known else {
            return;
        };
        self.bundles.insert_until(Arc::clone(bundle), *checked + self.policy.stale);
    }

    /// Whether the bundle at hand may be used.
    pub(super) fn is_usable(&self, state: &State) -> bool {
        state.known.bundle.is_some()
            && state.known.checked.is_some_and(|checked| checked.elapsed() < self.policy.stale)
    }
}

pub(super) fn gone(domain: &FederatedDomain) -> Error {
    let message = format!("the trust domain {} was taken out", domain.trust_domain);
    Error::new(ErrorKind::NotFound, message)
}

/// How long something is past.
pub(super) fn age(when: Option<Instant>) -> Option<Duration> {
    when.map(|when| when.elapsed())
}
