//! The bundle of one's own trust domain.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use bulla::{
    Error, ErrorKind, Result,
    jwt::{JwkSet, KeySource},
};
#[cfg(feature = "ring")]
use bulla_tokens::ring::{Ring, RingKeys};
use rustls_pki_types::CertificateDer;

#[cfg(feature = "ring")]
use crate::numbered;
use crate::{bundle::Bundle, id::TrustDomain, set::BundleSource};

/// As often as the standard recommends (SPIFFE Federation, section 4.1).
const DEFAULT_HINT: Duration = Duration::from_secs(300);

/// The longest hint that is given.
const MAX_HINT: Duration = Duration::from_secs(30 * 24 * 3600);

/// The bundle of one's own trust domain, as it is now: the keys that sign its JWT-SVIDs and the
/// certificates that sign its X.509-SVIDs, to be served, and to verify with.
///
/// With a [ring](Self::of_ring), number and hint follow from the ring, so that every process that serves it
/// says the same. With a provider alone there is no number unless one [is given](LocalBundleBuilder::sequence):
/// processes that count for themselves would disagree, and who watches them would see it go back.
pub struct LocalBundle {
    trust_domain: TrustDomain,
    keys: Keys,
    hint: Option<Duration>,
    sequence: Option<u64>,
    x509: Mutex<X509>,
    last: Mutex<Option<Last>>,
}

enum Keys {
    None,
    Source(Arc<dyn KeySource>),
    #[cfg(feature = "ring")]
    Ring(Arc<RingKeys>),
}

/// Certificates, and what they add to the number.
#[derive(Clone)]
struct X509 {
    certificates: Arc<[CertificateDer<'static>]>,
    sequence: u64,
}

/// What a bundle was made of, and the bundle.
struct Last {
    from: From,
    x509: X509,
    bundle: Arc<Bundle>,
}

/// Where keys, number and hint were found, in one look.
enum From {
    Nothing,
    Set(Arc<JwkSet>),
    #[cfg(feature = "ring")]
    Ring(Arc<Ring>),
}

impl From {
    /// Whether it is the same object, and so the same: this is asked for each verification.
    fn is(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Nothing, Self::Nothing) => true,
            (Self::Set(one), Self::Set(other)) => Arc::ptr_eq(one, other),
            #[cfg(feature = "ring")]
            (Self::Ring(one), Self::Ring(other)) => Arc::ptr_eq(one, other),
            _ => false,
        }
    }
}

/// Says what a [`LocalBundle`] is made of.
#[must_use]
pub struct LocalBundleBuilder {
    trust_domain: TrustDomain,
    keys: Keys,
    hint: Option<Duration>,
    sequence: Option<u64>,
    x509: X509,
}

impl LocalBundle {
    /// A bundle of this trust domain, without keys yet.
    pub fn builder(trust_domain: TrustDomain) -> LocalBundleBuilder {
        LocalBundleBuilder {
            trust_domain,
            keys: Keys::None,
            hint: None,
            sequence: None,
            x509: X509 { certificates: Arc::from([]), sequence: 0 },
        }
    }

    /// The bundle whose keys of JWT-SVIDs are those of a ring, with its number and its hint.
    #[cfg(feature = "ring")]
    pub fn of_ring(trust_domain: TrustDomain, ring: Arc<RingKeys>) -> LocalBundleBuilder {
        LocalBundleBuilder { keys: Keys::Ring(ring), ..Self::builder(trust_domain) }
    }

    /// Replaces the certificates of X.509 authorities. `sequence` is a number of theirs that rises with each
    /// change, and is the same in every process that serves them; it is added to the bundle's.
    pub fn set_x509_authorities(
        &self,
        certificates: impl IntoIterator<Item = CertificateDer<'static>>,
        sequence: u64,
    ) {
        let new = X509 { certificates: certificates.into_iter().collect(), sequence };
        *self.x509.lock().unwrap_or_else(PoisonError::into_inner) = new;
    }

    /// Whose it is.
    #[must_use]
    pub const fn trust_domain(&self) -> &TrustDomain {
        &self.trust_domain
    }

    async fn look(&self) -> Result<From> {
        Ok(match &self.keys {
            Keys::None => From::Nothing,
            Keys::Source(keys) => From::Set(keys.keys(None).await?),
            #[cfg(feature = "ring")]
            Keys::Ring(ring) => From::Ring(ring.shared_ring().await?),
        })
    }

    fn make(&self, from: &From, x509: &X509) -> Result<Bundle> {
        let bundle = Bundle::new(self.trust_domain.clone());
        let hint = self.hint.unwrap_or(DEFAULT_HINT);
        let (bundle, sequence, hint) = match from {
            From::Nothing => (bundle, self.sequence, hint),
            From::Set(set) => (bundle.with_jwt_authorities(set)?, self.sequence, hint),
            #[cfg(feature = "ring")]
            From::Ring(ring) => {
                let hint = numbered::checked_hint(ring.policy(), self.hint)?;
                let number = numbered::sequence(ring);
                let sequence = Some(number.saturating_add(self.sequence.unwrap_or(0)));
                (bundle.with_jwt_authorities(&numbered::set(ring)?)?, sequence, hint)
            }
        };
        let bundle = bundle
            .with_refresh_hint(hint)
            .with_x509_authorities(x509.certificates.iter().cloned())?;
        Ok(match sequence {
            Some(sequence) => bundle.with_sequence(sequence.saturating_add(x509.sequence)),
            None => bundle,
        })
    }
}

#[async_trait]
impl BundleSource for LocalBundle {
    async fn bundle(&self) -> Result<Arc<Bundle>> {
        let from = self.look().await?;
        let x509 = self.x509.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(last) = last.as_ref().filter(|last| {
            last.from.is(&from) && Arc::ptr_eq(&last.x509.certificates, &x509.certificates)
        }) {
            return Ok(Arc::clone(&last.bundle));
        }
        let made = self.make(&from, &x509)?;
        // Looked at anew, and still the same.
        let same = last.as_ref().map(|last| &last.bundle).filter(|last| ***last == made);
        let bundle = same.map_or_else(|| Arc::new(made), Arc::clone);
        *last = Some(Last { from, x509, bundle: Arc::clone(&bundle) });
        Ok(bundle)
    }
}

impl LocalBundleBuilder {
    /// Keys of JWT-SVIDs, such as those of a [`JwtSvidIssuer`](crate::JwtSvidIssuer::keys). Of a provider
    /// that is rotated elsewhere, it is for whoever rotates it to publish a key for several hints before it
    /// signs; a ring sees to that.
    pub fn keys(mut self, keys: Arc<dyn KeySource>) -> Self {
        self.keys = Keys::Source(keys);
        self
    }

    /// Certificates of X.509 authorities, in DER. See [`LocalBundle::set_x509_authorities`].
    pub fn x509_authorities(
        mut self,
        certificates: impl IntoIterator<Item = CertificateDer<'static>>,
        sequence: u64,
    ) -> Self {
        self.x509 = X509 { certificates: certificates.into_iter().collect(), sequence };
        self
    }

    /// `spiffe_sequence`: to be raised by whoever changes the keys. With a ring it is added to the ring's.
    pub const fn sequence(mut self, sequence: u64) -> Self {
        self.sequence = Some(sequence);
        self
    }

    /// `spiffe_refresh_hint`: 5 minutes by default, and with a ring a fifth of what its policy lets key sets
    /// be kept for.
    pub const fn refresh_hint(mut self, hint: Duration) -> Self {
        self.hint = Some(hint);
        self
    }

    /// The bundle. Nothing is asked for yet.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] for a hint that is not 1 second to 30 days, in whole seconds, and for what
    /// is no certificate; [`ErrorKind::Unsupported`] for a certificate of a kind that is not known here.
    pub fn build(self) -> Result<LocalBundle> {
        let Self { trust_domain, keys, hint, sequence, x509 } = self;
        if let Some(hint) = hint {
            let fine = (Duration::from_secs(1)..=MAX_HINT).contains(&hint);
            if !fine || hint.subsec_nanos() != 0 {
                let message = "a refresh hint is 1 second to 30 days, in whole seconds";
                return Err(Error::new(ErrorKind::InvalidInput, message));
            }
        }
        Bundle::new(trust_domain.clone())
            .with_x509_authorities(x509.certificates.iter().cloned())?;
        let x509 = Mutex::new(x509);
        Ok(LocalBundle { trust_domain, keys, hint, sequence, x509, last: Mutex::default() })
    }
}

impl fmt::Debug for LocalBundle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalBundle")
            .field("trust_domain", &self.trust_domain.as_str())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for LocalBundleBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalBundleBuilder")
            .field("trust_domain", &self.trust_domain.as_str())
            .finish_non_exhaustive()
    }
}
