//! What a server serves, and what it has issued.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    fmt,
    num::NonZeroUsize,
    sync::Arc,
    time::{Duration, SystemTime},
};

use aws_lc_rs::{
    encoding::{AsDer as _, PublicKeyX509Der},
    signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _},
};
use bulla::{Error, ErrorKind, Result};
use prost::bytes::Bytes;
use spiffe::{SpiffeId, TrustDomain};
use tokio::{sync::watch, time::timeout};
use zeroize::Zeroizing;

use super::{Entry, Peer};
use crate::{
    Bundle, BundleSet, IssuedJwtSvid, JwtSvidIssuer,
    authority::X509Authority,
    renewed::{Clock, Ends, Kept, Renewal, Renewed},
};

/// Tokens that are kept, whoever asked for them: the least recently used go first.
const MAX_JWT_SVIDS: NonZeroUsize = NonZeroUsize::new(4096).unwrap();

/// Until when another trust domain's bundle has to be there, so that it holds up no SVID.
const BUNDLE_WITHIN: Duration = Duration::from_secs(5);

/// What is served, at one time.
#[derive(Clone)]
pub(super) struct Served {
    pub(super) authority: Arc<X509Authority>,
    /// How many authorities there were before this one.
    pub(super) generation: u64,
    pub(super) entries: Arc<[Arc<Entry>]>,
}

pub(super) struct State {
    pub(super) served: watch::Sender<Served>,
    pub(super) jwt: Option<Arc<JwtSvidIssuer>>,
    pub(super) bundles: BundleSet,
    x509_svids: Renewed<X509Key, X509Material>,
    jwt_svids: Renewed<JwtKey, IssuedJwtSvid>,
    pub(super) clock: Clock,
}

/// By id and life, and by the authority: what an older one has issued is not given out once there is a new one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct X509Key {
    id: SpiffeId,
    life: Option<Duration>,
    generation: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct JwtKey {
    id: SpiffeId,
    life: Option<Duration>,
    audience: Vec<String>,
    claims: String,
}

/// An X.509-SVID with its private key.
pub(super) struct X509Material {
    pub(super) chain: Bytes,
    /// PKCS#8, wiped when it is dropped.
    pub(super) key: Bytes,
    expires: SystemTime,
}

impl State {
    pub(super) fn new(
        served: Served,
        jwt: Option<Arc<JwtSvidIssuer>>,
        bundles: BundleSet,
        max_entries: NonZeroUsize,
        clock: Clock,
    ) -> Self {
        Self {
            served: watch::Sender::new(served),
            jwt,
            bundles,
            x509_svids: Renewed::new(max_entries, Arc::clone(&clock)),
            jwt_svids: Renewed::new(MAX_JWT_SVIDS, Arc::clone(&clock)),
            clock,
        }
    }

    /// The entries that fit whoever asks, in their order.
    pub(super) async fn entries_of(&self, served: &Served, peer: &Peer) -> Vec<Arc<Entry>> {
        let process = match peer {
            Peer::Process(process) => process.clone(),
            Peer::Ourselves(entry) => return vec![Arc::clone(entry)],
        };
        let entries = Arc::clone(&served.entries);
        let all = move || -> Vec<Arc<Entry>> {
            entries.iter().filter(|entry| process.fits(entry)).map(Arc::clone).collect()
        };
        let Peer::Process(process) = peer else { return Vec::new() };
        if !served.entries.iter().any(|entry| process.is_looked_up_for(entry)) {
            return all();
        }
        // Files may be anywhere, and slow.
        tokio::task::spawn_blocking(all).await.unwrap_or_default()
    }

    /// The X.509-SVID of an entry: issued once for all of its processes, with a key of its own.
    pub(super) async fn x509_svid(
        &self,
        served: &Served,
        entry: &Entry,
    ) -> Result<Kept<X509Material>> {
        let authority = Arc::clone(&served.authority);
        let (id, life) = (entry.id.clone(), entry.x509_life);
        let key = X509Key { id: id.clone(), life, generation: served.generation };
        let fetch = || async move { X509Material::issue(&authority, &id, life).await };
        self.x509_svids.get(&key, Renewal::Awaited, fetch).await
    }

    /// A JWT-SVID of an entry for an audience.
    pub(super) async fn jwt_svid(
        &self,
        issuer: &Arc<JwtSvidIssuer>,
        entry: &Entry,
        audience: &[String],
    ) -> Result<Kept<IssuedJwtSvid>> {
        let mut audience = audience.to_vec();
        audience.sort_unstable();
        audience.dedup();
        let request = entry.token_for(&audience)?;
        let claims = serde_json::to_string(&entry.claims).unwrap_or_default();
        let key = JwtKey { id: entry.id.clone(), life: entry.jwt_life, audience, claims };
        let issuer = Arc::clone(issuer);
        let fetch = || async move { issuer.issue(&request).await };
        self.jwt_svids.get(&key, Renewal::Awaited, fetch).await
    }

    /// What another trust domain that one of these entries federates with is verified by, where it is at hand: by the
    /// id of the domain, and as `part` takes it from the bundle.
    pub(super) async fn federated(
        &self,
        served: &Served,
        entries: &[Arc<Entry>],
        part: impl Fn(&Bundle) -> Option<Bytes> + Send,
    ) -> HashMap<String, Bytes> {
        let wanted: BTreeSet<&TrustDomain> =
            entries.iter().flat_map(|entry| &entry.federates_with).collect();
        let mut parts = HashMap::new();
        for domain in wanted.into_iter().filter(|it| *it != served.authority.trust_domain()) {
            match timeout(BUNDLE_WITHIN, self.bundles.bundle(domain)).await {
                Ok(Ok(bundle)) => {
                    parts.extend(part(&bundle).map(|part| (domain.id_string(), part)));
                }
                // Whoever keeps bundles decides for how long an old one is good.
                Ok(Err(error)) => tracing::debug!(%domain, %error, "no bundle to federate with"),
                Err(_) => tracing::debug!(%domain, "no bundle to federate with in time"),
            }
        }
        parts
    }

    /// Replaces what is served.
    ///
    /// # Errors
    /// As `change` says; then all stays as it is.
    pub(super) fn change(&self, change: impl FnOnce(&mut Served) -> Result<()>) -> Result<()> {
        let mut result = Ok(());
        self.served.send_if_modified(|served| {
            let mut next = served.clone();
            result = change(&mut next);
            if result.is_ok() {
                *served = next;
            }
            result.is_ok()
        });
        if result.is_ok() {
            self.forget();
        }
        result
    }

    /// Drops what was issued for entries, and by authorities, that there are no longer: private keys among it.
    fn forget(&self) {
        let served = self.served.borrow().clone();
        let ids: HashSet<&SpiffeId> = served.entries.iter().map(|entry| &entry.id).collect();
        let own = |id: &SpiffeId| ids.contains(id);
        self.x509_svids.retain(|key| key.generation == served.generation && own(&key.id));
        self.jwt_svids.retain(|key| own(&key.id));
    }
}

impl Served {
    pub(super) fn x509_bundle(&self) -> Bytes {
        self.authority.roots().concat().into()
    }
}

impl X509Material {
    async fn issue(
        authority: &X509Authority,
        id: &SpiffeId,
        life: Option<Duration>,
    ) -> Result<Self> {
        let failed = |_| Error::new(ErrorKind::Internal, "can't make a key on P-256");
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).map_err(failed)?;
        let spki: PublicKeyX509Der<'_> = pair.public_key().as_der().map_err(failed)?;
        let key = Zeroizing::new(pair.to_pkcs8v1().map_err(failed)?.as_ref().to_vec());
        let key = Bytes::from_owner(key);
        let issued = authority.issue_for_key(spki.as_ref(), id, life).await?;
        Ok(Self { chain: issued.chain_der().into(), key, expires: issued.not_after() })
    }
}

impl Ends for X509Material {
    fn ends(&self) -> SystemTime {
        self.expires
    }
}

impl Ends for IssuedJwtSvid {
    fn ends(&self) -> SystemTime {
        self.expires_at()
    }
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("State").finish_non_exhaustive()
    }
}
