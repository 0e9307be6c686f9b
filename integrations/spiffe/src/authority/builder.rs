//! What an authority is told, and where its own certificate comes from.

use std::{
    fmt,
    str::FromStr as _,
    sync::Arc,
    time::{Duration, SystemTime},
};

use bulla::{
    Error, ErrorKind, KeyVersion, Operation, PublicKey, Result, Sign, SigningAlgorithm,
    key::KeyState,
};
use der::Decode as _;
use spiffe::TrustDomain;
use spki::SubjectPublicKeyInfoOwned;
use x509_cert::{ext::pkix::NameConstraints as Constraints, name::Name};

use super::{
    Clock, X509Authority,
    certificate::{self, Draft},
    invalid,
    parsed::Parsed,
    whole_seconds,
};

/// The longest life of a leaf that an authority may be built with.
const MAX_LIFE: Duration = Duration::from_secs(7 * 24 * 3600);

/// The longest backdating: more hides a clock that is wrong.
const MAX_BACKDATE: Duration = Duration::from_secs(3600);

/// The most certificates from an authority to its root.
const MAX_CHAIN: usize = 8;

/// Builds an [`X509Authority`].
#[must_use]
pub struct X509AuthorityBuilder {
    signer: Arc<dyn Sign>,
    domain: TrustDomain,
    algorithm: Option<SigningAlgorithm>,
    version: Option<KeyVersion>,
    life: Duration,
    max_life: Duration,
    backdate: Duration,
    trusted: Vec<Vec<u8>>,
    clock: Clock,
}

/// What the certificate of an authority allows it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CaPolicy {
    /// For how long it is valid; an authority below another one never longer than that one.
    pub life: Duration,
    /// How many authorities may stand between it and a leaf.
    pub path_len: u8,
    /// For which names it may issue.
    pub names: NameConstraints,
}

/// For which names an authority's certificates are good (RFC 5280, section 4.2.1.10), so that a key that certifies
/// workloads certifies no web site: critical, and enforced by whoever verifies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NameConstraints {
    /// For all.
    None,
    /// For none with a host name, an address or a mailbox.
    NoHosts,
    /// The same, and of URIs those alone of the trust domain. OpenSSL and Go enforce it. **rustls does not know
    /// constraints on URIs and refuses every certificate below such a root** (webpki 0.103), so it is not the
    /// default.
    TrustDomain,
}

impl CaPolicy {
    /// A root: a year, one authority below it, [`NameConstraints::NoHosts`].
    #[must_use]
    pub fn root() -> Self {
        let life = Duration::from_secs(365 * 24 * 3600);
        Self { life, path_len: 1, names: NameConstraints::NoHosts }
    }

    /// An authority below another one: a week, none below it, [`NameConstraints::NoHosts`].
    #[must_use]
    pub fn intermediate() -> Self {
        let life = Duration::from_secs(7 * 24 * 3600);
        Self { life, path_len: 0, names: NameConstraints::NoHosts }
    }

    pub(super) fn constraints(&self, domain: &TrustDomain) -> Result<Option<Constraints>> {
        match self.names {
            NameConstraints::None => Ok(None),
            NameConstraints::NoHosts => certificate::constraints(None).map(Some),
            NameConstraints::TrustDomain => {
                certificate::constraints(Some(domain.as_str())).map(Some)
            }
        }
    }
}

impl X509AuthorityBuilder {
    pub(super) fn new(domain: TrustDomain, signer: Arc<dyn Sign>) -> Self {
        Self {
            signer,
            domain,
            algorithm: None,
            version: None,
            life: Duration::from_secs(3600),
            max_life: Duration::from_secs(24 * 3600),
            backdate: Duration::from_secs(60),
            trusted: Vec::new(),
            clock: Arc::new(SystemTime::now),
        }
    }

    /// Signs with this algorithm, which must be one of the key's. Without it, a key of RSA signs with RS256
    /// (SHA-256 and PKCS#1 v1.5), which all verifiers know, and other keys with the one that they have.
    pub fn algorithm(mut self, algorithm: SigningAlgorithm) -> Self {
        self.algorithm = Some(algorithm);
        self
    }

    /// Signs with this version of the key: with the current one otherwise.
    pub fn key_version(mut self, version: KeyVersion) -> Self {
        self.version = Some(version);
        self
    }

    /// The life of a certificate for which none is asked: an hour.
    pub fn life(mut self, life: Duration) -> Self {
        self.life = life;
        self
    }

    /// The longest life that may be asked for: 24 hours, and 7 days at most.
    pub fn max_life(mut self, life: Duration) -> Self {
        self.max_life = life;
        self
    }

    /// How long before it is issued a certificate becomes valid, for peers whose clocks are behind: a minute, and
    /// an hour at most.
    pub fn backdate(mut self, by: Duration) -> Self {
        self.backdate = by;
        self
    }

    /// Publishes this root too, in DER: of the key before, or of the one after.
    pub fn also_trust(mut self, root: impl Into<Vec<u8>>) -> Self {
        self.trusted.push(root.into());
        self
    }

    /// Tells the time by this clock.
    #[doc(hidden)]
    pub fn clock(mut self, clock: impl Fn() -> SystemTime + Send + Sync + 'static) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Has the key sign a root for itself. **Keep it** ([`X509Authority::certificates`]) and use
    /// [`with_certificates`](Self::with_certificates) from then on: each call makes another one, which nobody
    /// trusts yet.
    ///
    /// # Errors
    /// [`InvalidInput`](ErrorKind::InvalidInput) for a setting that is out of bounds or an algorithm that is not
    /// the key's; [`NotFound`](ErrorKind::NotFound) if the provider has no such key or version;
    /// [`Disabled`](ErrorKind::Disabled) if it may not sign; otherwise what the provider says.
    pub async fn self_signed(self, policy: CaPolicy) -> Result<X509Authority> {
        self.building(async |this| {
            let (key, algorithm) = this.key().await?;
            let spki = spki(&key)?;
            let own = certificate::key_id(&spki);
            let name = subject(&own)?;
            let now = whole_seconds((this.clock)());
            let end = || now.checked_add(policy.life).filter(|_| !policy.life.is_zero());
            let draft = Draft {
                issuer: name.clone(),
                subject: name,
                key: spki,
                not_before: now.checked_sub(this.backdate).unwrap_or(SystemTime::UNIX_EPOCH),
                not_after: end().ok_or_else(|| invalid("a root's life is over zero, and ends"))?,
                extensions: certificate::of_authority(
                    &this.domain.id_string(),
                    &own,
                    &own,
                    policy.path_len,
                    policy.constraints(&this.domain)?,
                )?,
            };
            let root = certificate::sign(&*this.signer, &key, algorithm, draft).await?;
            let root = Parsed::authority(&root.der, &this.domain)?;
            Ok(this.over(key, algorithm, root, Vec::new()))
        })
        .await
    }

    /// With the authority's own certificate, and those behind it to the root, in DER. Of the key's versions it is
    /// the one that the certificate is for, unless another was named.
    ///
    /// # Errors
    /// [`InvalidInput`](ErrorKind::InvalidInput) if there is none or they are over 8, not in order, not of
    /// authorities, another trust domain's, or of a path that is longer than one of them allows;
    /// [`NotFound`](ErrorKind::NotFound) if the first is for none of the provider's keys;
    /// [`NotAuthentic`](ErrorKind::NotAuthentic) if one is not signed by the next;
    /// [`Disabled`](ErrorKind::Disabled) if one has expired, or the key may not sign; otherwise what the provider
    /// says.
    pub async fn with_certificates(
        self,
        certificates: impl IntoIterator<Item = Vec<u8>>,
    ) -> Result<X509Authority> {
        let certificates: Vec<Vec<u8>> = certificates.into_iter().take(MAX_CHAIN + 1).collect();
        self.building(async |mut this| {
            if certificates.is_empty() || certificates.len() > MAX_CHAIN {
                return Err(invalid(
                    "an authority has 1 to 8 certificates, its own and the root's included",
                ));
            }
            let read = certificates.iter().map(|der| Parsed::authority(der, &this.domain));
            let chain = read.collect::<Result<Vec<Parsed>>>()?;
            this.check(&chain)?;
            if this.version.is_none() {
                let keys = this.signer.public_keys().await?;
                let own = keys.into_iter().find(|key| chain.first().is_some_and(|c| c.is_for(key)));
                this.version = Some(own.ok_or_else(other_key)?.version);
            }
            let (key, algorithm) = this.key().await?;
            let mut chain = chain.into_iter();
            let own = chain.next().filter(|own| own.is_for(&key)).ok_or_else(other_key)?;
            Ok(this.over(key, algorithm, own, chain.collect()))
        })
        .await
    }

    /// Has another authority certify the key: one signature by that one, and none for what is issued from then on.
    /// With keys that are opened in this process (`bulla_local::SealedKeys`), a whole fleet is issued for one call to
    /// a KMS.
    ///
    /// # Errors
    /// As for [`self_signed`](Self::self_signed); [`InvalidInput`](ErrorKind::InvalidInput) if that authority is of
    /// another trust domain or may certify none below it.
    pub async fn delegated_by(
        self,
        issuer: &X509Authority,
        policy: CaPolicy,
    ) -> Result<X509Authority> {
        self.building(async |mut this| {
            if issuer.domain != this.domain {
                return Err(invalid("the authority above is another trust domain's"));
            }
            let (key, algorithm) = this.key().await?;
            let own = issuer.certify_authority(spki(&key)?, &policy).await?;
            let above: Vec<Parsed> = issuer.all().cloned().collect();
            let chain = [std::slice::from_ref(&own), &above].concat();
            this.check(&chain)?;
            this.trusted.extend(issuer.trusted.iter().cloned());
            Ok(this.over(key, algorithm, own, above))
        })
        .await
    }

    async fn building(
        self,
        build: impl AsyncFnOnce(Self) -> Result<X509Authority>,
    ) -> Result<X509Authority> {
        let checked = self.settings();
        let built = match checked {
            Ok(()) => build(self).await,
            Err(error) => Err(error),
        };
        built.map_err(|error| error.with_operation(Operation::Build))
    }

    fn settings(&self) -> Result<()> {
        if self.max_life > MAX_LIFE {
            return Err(invalid("the longest life of a certificate is 7 days at most"));
        }
        if self.life.is_zero() || self.life > self.max_life {
            return Err(invalid("a certificate's life is over zero, and at most the longest one"));
        }
        if self.backdate > MAX_BACKDATE {
            return Err(invalid("certificates are backdated by an hour at most"));
        }
        for root in &self.trusted {
            Parsed::authority(root, &self.domain)?;
        }
        Ok(())
    }

    /// Each signed by the next and the root by itself, none expired, none with more below it than it allows.
    fn check(&self, chain: &[Parsed]) -> Result<()> {
        let now = (self.clock)();
        for (below, pair) in chain.windows(2).enumerate() {
            if let [lower, upper] = pair {
                lower.is_signed_by(upper)?;
                if upper.path_len.is_some_and(|len| below + 1 > usize::from(len)) {
                    return Err(invalid("a certificate allows fewer authorities below it"));
                }
            }
        }
        if let Some(root) = chain.last() {
            root.is_signed_by(root)?;
        }
        if chain.iter().any(|certificate| certificate.not_after <= now) {
            return Err(Error::new(ErrorKind::Disabled, "the authority's certificate has expired"));
        }
        Ok(())
    }

    async fn key(&self) -> Result<(PublicKey, SigningAlgorithm)> {
        let mut keys = self.signer.public_keys().await?.into_iter();
        let key = match &self.version {
            Some(version) => keys.find(|key| key.version == *version),
            None => keys.find(|key| key.current),
        };
        let key = key.ok_or_else(|| {
            Error::new(ErrorKind::NotFound, "the provider has no signing key of that version")
        })?;
        if key.state != KeyState::Active {
            let message = format!("the signing key {} is not active", key.key.id());
            return Err(Error::new(ErrorKind::Disabled, message));
        }
        let algorithm = match (self.algorithm, key.algorithms.as_slice()) {
            (Some(algorithm), known) if known.contains(&algorithm) => algorithm,
            (Some(algorithm), _) => {
                let message = format!("the key does not sign with {algorithm}");
                return Err(Error::new(ErrorKind::InvalidInput, message));
            }
            (None, [only]) => *only,
            (None, known) if known.contains(&SigningAlgorithm::Rs256) => SigningAlgorithm::Rs256,
            (None, _) => return Err(invalid("name the algorithm: the key has several")),
        };
        Ok((key, algorithm))
    }

    fn over(
        self,
        key: PublicKey,
        algorithm: SigningAlgorithm,
        own: Parsed,
        above: Vec<Parsed>,
    ) -> X509Authority {
        X509Authority {
            signer: self.signer,
            key,
            algorithm,
            domain: self.domain,
            own,
            above,
            trusted: self.trusted,
            life: self.life,
            max_life: self.max_life,
            backdate: self.backdate,
            clock: self.clock,
        }
    }
}

impl fmt::Debug for X509AuthorityBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("X509AuthorityBuilder")
            .field("trust_domain", &self.domain)
            .field("algorithm", &self.algorithm)
            .field("life", &self.life)
            .finish_non_exhaustive()
    }
}

/// An authority's name: its key's, so that roots of two keys are two names, and none is over the 64 characters that
/// RFC 5280 (appendix A.1) allows. The trust domain stands in the URI.
pub(super) fn subject(key_id: &[u8]) -> Result<Name> {
    let hex: String = key_id.iter().map(|byte| format!("{byte:02x}")).collect();
    Name::from_str(&format!("CN={hex},O=SPIFFE")).map_err(certificate::encoding)
}

fn spki(key: &PublicKey) -> Result<SubjectPublicKeyInfoOwned> {
    SubjectPublicKeyInfoOwned::from_der(&key.spki)
        .map_err(|_| Error::new(ErrorKind::Internal, "the provider's public key is none in DER"))
}

fn other_key() -> Error {
    Error::new(ErrorKind::NotFound, "the certificate is for none of the provider's signing keys")
}
