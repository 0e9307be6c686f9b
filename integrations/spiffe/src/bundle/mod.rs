//! Bundles: the keys that a trust domain's SVIDs are verified with (SPIFFE Trust Domain and Bundle,
//! section 4).

mod parse;
mod write;
mod x509;

use std::{fmt, sync::Arc, time::Duration};

use bulla::{
    Error, ErrorKind, Result, SigningAlgorithm,
    jwt::{Jwk, JwkSet},
};
use rustls_pki_types::CertificateDer;

use crate::id::TrustDomain;

/// Bytes of JSON in a bundle document.
pub const MAX_BUNDLE_LEN: usize = 1024 * 1024;

/// Keys in a bundle document, those that are skipped included.
pub const MAX_BUNDLE_KEYS: usize = 1024;

/// The algorithms that a JWT-SVID may have (JWT-SVID, section 2.1). Ed25519 is none of them.
pub const SVID_ALGORITHMS: [SigningAlgorithm; 9] = [
    SigningAlgorithm::Rs256,
    SigningAlgorithm::Rs384,
    SigningAlgorithm::Rs512,
    SigningAlgorithm::Ps256,
    SigningAlgorithm::Ps384,
    SigningAlgorithm::Ps512,
    SigningAlgorithm::Es256,
    SigningAlgorithm::Es384,
    SigningAlgorithm::Es512,
];

const JWT_SVID: &str = "jwt-svid";
const X509_SVID: &str = "x509-svid";

/// What the SVIDs of one trust domain are verified with.
///
/// A document doesn't say whose it is: the trust domain is what whoever fetched it was told
/// (SPIFFE Federation, section 7.3). Bundles of several trust domains are never put into one.
#[derive(Clone, PartialEq)]
pub struct Bundle {
    trust_domain: TrustDomain,
    sequence: Option<u64>,
    refresh_hint: Option<Duration>,
    jwt: Arc<Keys>,
    x509: Arc<[CertificateDer<'static>]>,
    skipped: usize,
}

/// A set, which has no equality of its own.
#[derive(Clone)]
struct Keys(Arc<JwkSet>);

impl PartialEq for Keys {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || self.0.iter().eq(other.0.iter())
    }
}

impl Bundle {
    /// A bundle without keys, under which no SVID is valid.
    #[must_use]
    pub fn new(trust_domain: TrustDomain) -> Self {
        Self {
            trust_domain,
            sequence: None,
            refresh_hint: None,
            jwt: Arc::new(Keys(Arc::default())),
            x509: Arc::from([]),
            skipped: 0,
        }
    }

    /// The same with these keys of JWT-SVIDs. Those that can't sign one are left out and
    /// [counted](Self::skipped).
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] for a key without `kid`.
    pub fn with_jwt_authorities(mut self, keys: &JwkSet) -> Result<Self> {
        let (usable, others): (Vec<_>, Vec<_>) = keys.iter().partition(|key| signs_svids(key));
        let usable: Vec<_> = usable.into_iter().map(|key| key.clone().with_usage(None)).collect();
        if usable.iter().any(|key| key.kid().is_none_or(str::is_empty)) {
            return Err(invalid("a key of JWT-SVIDs has no kid"));
        }
        self.skipped += others.len() + keys.skipped();
        self.jwt = Arc::new(Keys(Arc::new(JwkSet::new(usable)?)));
        Ok(self)
    }

    /// The same with these certificates of X.509 authorities, each in DER and once.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] for what is no certificate; [`ErrorKind::Unsupported`] for one whose key
    /// or critical extensions are not known here.
    pub fn with_x509_authorities(
        mut self,
        certificates: impl IntoIterator<Item = CertificateDer<'static>>,
    ) -> Result<Self> {
        let mut all: Vec<CertificateDer<'static>> = Vec::new();
        for certificate in certificates {
            x509::key_of(&certificate)?;
            if !all.contains(&certificate) {
                all.push(certificate);
            }
        }
        self.x509 = all.into();
        Ok(self)
    }

    /// The same with this number, which every change of the contents has to raise (section 4.1.1).
    #[must_use]
    pub const fn with_sequence(mut self, sequence: u64) -> Self {
        self.sequence = Some(sequence);
        self
    }

    /// The same with a hint of how often to look for changes, in whole seconds (section 4.1.2).
    #[must_use]
    pub const fn with_refresh_hint(mut self, hint: Duration) -> Self {
        self.refresh_hint = Some(Duration::from_secs(hint.as_secs()));
        self
    }

    /// Whose it is.
    #[must_use]
    pub const fn trust_domain(&self) -> &TrustDomain {
        &self.trust_domain
    }

    /// `spiffe_sequence`.
    #[must_use]
    pub const fn sequence(&self) -> Option<u64> {
        self.sequence
    }

    /// `spiffe_refresh_hint`.
    #[must_use]
    pub const fn refresh_hint(&self) -> Option<Duration> {
        self.refresh_hint
    }

    /// The keys of JWT-SVIDs, ready to verify with.
    #[must_use]
    pub fn jwt_authorities(&self) -> &Arc<JwkSet> {
        &self.jwt.0
    }

    /// The certificates of X.509 authorities, in DER.
    #[must_use]
    pub fn x509_authorities(&self) -> &[CertificateDer<'static>] {
        &self.x509
    }

    /// How many keys there were that are not usable here: of an unknown `use` or kind, or too small.
    #[must_use]
    pub const fn skipped(&self) -> usize {
        self.skipped
    }

    /// Whether it has the same keys, whatever its number and hint.
    #[must_use]
    pub fn same_keys(&self, other: &Self) -> bool {
        self.trust_domain == other.trust_domain && self.jwt == other.jwt && self.x509 == other.x509
    }
}

/// Whether a key can be one of JWT-SVIDs.
fn signs_svids(key: &Jwk) -> bool {
    key.is_for_verifying() && key.algorithm().is_none_or(|own| SVID_ALGORITHMS.contains(&own))
}

fn invalid(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidInput, message.into())
}

impl fmt::Debug for Bundle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bundle")
            .field("trust_domain", &self.trust_domain.as_str())
            .field("sequence", &self.sequence)
            .field("refresh_hint", &self.refresh_hint)
            .field("jwt_authorities", &self.jwt.0)
            .field("x509_authorities", &self.x509.len())
            .field("skipped", &self.skipped)
            .finish()
    }
}
