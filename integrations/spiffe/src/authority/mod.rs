//! X.509-SVIDs from a key that a KMS or an HSM holds.
//!
//! [`X509Authority`] takes a certification request, or a public key, and the SPIFFE ID that its caller has
//! decided on, and has the provider's key sign a certificate for it: one call to [`Sign`].
//! Its own certificate is a root that the same key has signed, or one that another authority has signed
//! ([`X509AuthorityBuilder::delegated_by`]): then one call to a KMS makes an authority whose key is in this
//! process, and each certificate after that costs no call.
//!
//! ```
//! use std::sync::Arc;
//!
//! use bulla::Sign;
//! use bulla_spiffe::authority::{CaPolicy, X509Authority};
//! use spiffe::{SpiffeId, TrustDomain};
//!
//! # async fn example(kms: Arc<dyn Sign>, request: &[u8]) -> Result<(), Box<dyn std::error::Error>> {
//! let domain = TrustDomain::new("example.org")?;
//! // Once: keep the root, which is what others trust.
//! let authority = X509Authority::builder(domain.clone(), Arc::clone(&kms));
//! let root = authority.self_signed(CaPolicy::root()).await?.certificates().concat();
//!
//! // From then on.
//! let authority = X509Authority::builder(domain, kms).with_certificates([root]).await?;
//! let id = SpiffeId::new("spiffe://example.org/orders")?;
//! let issued = authority.issue(request, &id, None).await?;
//! assert_eq!(issued.id(), &id);
//! # Ok(())
//! # }
//! ```
//!
//! # What is in a certificate
//!
//! | field | leaf | authority |
//! |---|---|---|
//! | subject | empty, so that the URI is critical | `CN=` the key's id, `O=SPIFFE` |
//! | URI SAN | the SPIFFE ID, and no other name | the trust domain |
//! | basic constraints | no authority | authority, with a length of path |
//! | key usage | digitalSignature | keyCertSign, cRLSign |
//! | extended key usage | serverAuth, clientAuth | none |
//! | name constraints | none | [`NameConstraints`] |
//! | valid | from [a minute ago](X509AuthorityBuilder::backdate), for [an hour](X509AuthorityBuilder::life), and never longer than its issuer | as [`CaPolicy`] says |
//! | serial number | 158 random bits | the same |
//! | key ids | SHA-256, cut to 160 bits (RFC 7093) | the same; that of another's certificate as it says |
//!
//! Sources: SPIFFE's X.509-SVID (sections 2 to 4 and appendix A), RFC 5280.

mod algorithm;
mod builder;
mod certificate;
mod issued;
mod parsed;
mod request;

use std::{
    fmt,
    sync::Arc,
    time::{Duration, SystemTime},
};

use bulla::{Error, ErrorKind, PublicKey, Result, Sign, SigningAlgorithm};
use der::Decode as _;
use spiffe::{SpiffeId, TrustDomain};
use spki::SubjectPublicKeyInfoOwned;
use x509_cert::name::Name;

pub use self::{
    builder::{CaPolicy, NameConstraints, X509AuthorityBuilder},
    issued::IssuedX509Svid,
};
use self::{certificate::Draft, parsed::Parsed};

/// Bytes in the longest SPIFFE ID (SPIFFE-ID, section 2.3).
const MAX_ID_LEN: usize = 2048;

type Clock = Arc<dyn Fn() -> SystemTime + Send + Sync>;

/// Issues X.509-SVIDs of one trust domain, with one version of a provider's key. Cheap to share in an `Arc`.
///
/// When the key changes, make another authority: the old one's certificates are good as long as its root is
/// among what is trusted ([`X509AuthorityBuilder::also_trust`]).
pub struct X509Authority {
    signer: Arc<dyn Sign>,
    key: PublicKey,
    algorithm: SigningAlgorithm,
    domain: TrustDomain,
    own: Parsed,
    /// What has signed its own certificate, to the root: nothing if it is the root.
    above: Vec<Parsed>,
    trusted: Vec<Vec<u8>>,
    life: Duration,
    max_life: Duration,
    backdate: Duration,
    clock: Clock,
}

impl X509Authority {
    /// An authority over the signing key of a provider, in its current version.
    pub fn builder(domain: TrustDomain, signer: Arc<dyn Sign>) -> X509AuthorityBuilder {
        X509AuthorityBuilder::new(domain, signer)
    }

    /// A certificate for the key of a request (PKCS#10 in DER), for an id that the caller has decided on. Of the
    /// request, its key and its signature alone are looked at: a workload does not choose who it is.
    ///
    /// `life` is the default if there is none, at most what the authority was built with, and never beyond
    /// the authority's own.
    ///
    /// # Errors
    /// [`InvalidInput`](ErrorKind::InvalidInput) for a request that is none, for an id of another trust
    /// domain or without a path, and for a life that is too long;
    /// [`NotAuthentic`](ErrorKind::NotAuthentic) if the request is not signed by its key;
    /// [`Unsupported`](ErrorKind::Unsupported) for a key that is too weak or unknown;
    /// [`Disabled`](ErrorKind::Disabled) if the authority's own certificate has expired: renew it; otherwise
    /// what the provider says.
    pub async fn issue(
        &self,
        request: &[u8],
        id: &SpiffeId,
        life: Option<Duration>,
    ) -> Result<IssuedX509Svid> {
        self.certify(request::public_key(request)?, id, life).await
    }

    /// The same for a public key, as SubjectPublicKeyInfo in DER, whose private half the caller knows to be the
    /// workload's: for keys that the caller makes.
    ///
    /// # Errors
    /// As for [`issue`](Self::issue).
    pub async fn issue_for_key(
        &self,
        spki: &[u8],
        id: &SpiffeId,
        life: Option<Duration>,
    ) -> Result<IssuedX509Svid> {
        let key = SubjectPublicKeyInfoOwned::from_der(spki)
            .map_err(|_| invalid("the public key is no SubjectPublicKeyInfo in DER"))?;
        self.certify(key, id, life).await
    }

    /// The trust domain.
    #[must_use]
    pub fn trust_domain(&self) -> &TrustDomain {
        &self.domain
    }

    /// The authority's own certificate, and those behind it to the root, in DER: what
    /// [`with_certificates`](X509AuthorityBuilder::with_certificates) takes.
    #[must_use]
    pub fn certificates(&self) -> Vec<Vec<u8>> {
        self.all().map(|certificate| certificate.der.clone()).collect()
    }

    /// What peers are to trust, in DER: the root, and what was given besides.
    #[must_use]
    pub fn roots(&self) -> Vec<Vec<u8>> {
        let mut roots = vec![self.above.last().unwrap_or(&self.own).der.clone()];
        for other in &self.trusted {
            if !roots.contains(other) {
                roots.push(other.clone());
            }
        }
        roots
    }

    /// Until when it can issue: the earliest end in its certificates.
    #[must_use]
    pub fn not_after(&self) -> SystemTime {
        self.all()
            .map(|certificate| certificate.not_after)
            .fold(self.own.not_after, SystemTime::min)
    }

    async fn certify(
        &self,
        key: SubjectPublicKeyInfoOwned,
        id: &SpiffeId,
        life: Option<Duration>,
    ) -> Result<IssuedX509Svid> {
        self.may_issue(id)?;
        // A key that is weak, damaged or unknown is refused by the same rules as one to verify with.
        parsed::check_key(&key)?;
        let life = life.unwrap_or(self.life);
        if life > self.max_life || life.is_zero() {
            let max = self.max_life.as_secs();
            return Err(Error::new(
                ErrorKind::InvalidInput,
                format!("a certificate's life is over zero and at most {max} s here"),
            ));
        }
        let (not_before, not_after) = self.window(life)?;
        let own = certificate::key_id(&key);
        let text = id.to_string();
        let draft = Draft {
            issuer: self.own.subject.clone(),
            subject: Name::default(),
            key,
            not_before,
            not_after,
            extensions: certificate::of_leaf(&text, &own, &self.own.key_id)?,
        };
        let signed = self.sign(draft).await?;
        let mut chain = vec![signed.der];
        // The root is what peers have already.
        chain.extend(self.all().take(self.above.len()).map(|ca| ca.der.clone()));
        Ok(IssuedX509Svid { id: id.clone(), chain, not_before, not_after, serial: signed.serial })
    }

    /// A certificate for another authority's key.
    async fn certify_authority(
        &self,
        key: SubjectPublicKeyInfoOwned,
        policy: &CaPolicy,
    ) -> Result<Parsed> {
        if self.own.path_len == Some(0) {
            return Err(invalid("this authority's certificate lets it certify no other authority"));
        }
        let (not_before, not_after) = self.window(policy.life)?;
        let own = certificate::key_id(&key);
        let draft = Draft {
            issuer: self.own.subject.clone(),
            subject: builder::subject(&own)?,
            key,
            not_before,
            not_after,
            extensions: certificate::of_authority(
                &self.domain.id_string(),
                &own,
                &self.own.key_id,
                policy.path_len,
                policy.constraints(&self.domain)?,
            )?,
        };
        Parsed::authority(&self.sign(draft).await?.der, &self.domain)
    }

    async fn sign(&self, draft: Draft) -> Result<certificate::Signed> {
        certificate::sign(&*self.signer, &self.key, self.algorithm, draft).await
    }

    fn may_issue(&self, id: &SpiffeId) -> Result<()> {
        if !id.is_member_of(&self.domain) {
            return Err(Error::new(
                ErrorKind::InvalidInput,
                format!("{id} is not of the trust domain {}", self.domain),
            ));
        }
        if id.path().is_empty() {
            return Err(invalid(
                "the SPIFFE ID of a workload has a path (X.509-SVID, section 3.1)",
            ));
        }
        if id.to_string().len() > MAX_ID_LEN {
            return Err(invalid("the SPIFFE ID is over 2,048 bytes"));
        }
        Ok(())
    }

    /// From a little ago, for clocks that are behind, to the end of `life` or of this authority.
    fn window(&self, life: Duration) -> Result<(SystemTime, SystemTime)> {
        let now = whole_seconds((self.clock)());
        let (starts, ends) = (self.own.not_before, self.not_after());
        if ends <= now {
            let message = "the authority's own certificate has expired: it needs another one";
            return Err(Error::new(ErrorKind::Disabled, message));
        }
        let wanted = now.checked_add(life).ok_or_else(|| invalid("that life has no end"))?;
        let since = now.checked_sub(self.backdate).unwrap_or(SystemTime::UNIX_EPOCH);
        Ok((since.max(starts), wanted.min(ends)))
    }

    fn all(&self) -> impl Iterator<Item = &Parsed> {
        std::iter::once(&self.own).chain(&self.above)
    }
}

impl fmt::Debug for X509Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("X509Authority")
            .field("trust_domain", &self.domain)
            .field("key", &self.key.key)
            .field("version", &self.key.version)
            .field("algorithm", &self.algorithm)
            .field("not_after", &self.not_after())
            .finish_non_exhaustive()
    }
}

fn whole_seconds(at: SystemTime) -> SystemTime {
    let since = at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    SystemTime::UNIX_EPOCH + Duration::from_secs(since.as_secs())
}

fn invalid(message: &'static str) -> Error {
    Error::new(ErrorKind::InvalidInput, message)
}
