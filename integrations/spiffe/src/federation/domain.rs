//! What is said of a trust domain whose bundle is fetched (SPIFFE Federation, section 5.1).

use std::fmt;

use bulla::{Error, ErrorKind, Result};
use bulla_oidc::{AddressPolicy, documents::Address};

use crate::{
    bundle::Bundle,
    id::{SpiffeId, TrustDomain},
};

/// A trust domain whose bundle is fetched: where from, and how the endpoint proves that it is the one. None
/// of these follows from another, and none is taken from what is fetched.
#[derive(Clone)]
pub struct FederatedDomain {
    pub(super) trust_domain: TrustDomain,
    pub(super) address: Address,
    pub(super) profile: Profile,
    pub(super) addresses: AddressPolicy,
    pub(super) proxy: Option<String>,
}

/// How an endpoint is authenticated (section 5.2).
#[derive(Clone)]
pub(super) enum Profile {
    Web {
        /// In PEM.
        roots: Vec<Vec<u8>>,
    },
    Spiffe {
        endpoint: SpiffeId,
        first: Option<Bundle>,
    },
}

impl FederatedDomain {
    /// The bundle of this trust domain is at an address whose server has a certificate for its name, by an
    /// authority that the platform trusts: the profile `https_web`.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] if the address is no `https` URL of at most 2,048 bytes without user,
    /// password and fragment.
    pub fn https_web(trust_domain: TrustDomain, url: &str) -> Result<Self> {
        Self::new(trust_domain, url, Profile::Web { roots: Vec::new() })
    }

    /// The bundle of this trust domain is at an address whose server has an X.509-SVID with this ID: the
    /// profile `https_spiffe`.
    ///
    /// The SVID is verified with the bundle of the ID's own trust domain. If that is the one that is fetched,
    /// it is the last that was, and at first `first`, which then has to be there. Otherwise it is the one
    /// of the [`BundleSet`](crate::BundleSet), where somebody has put or fetched it, or else `first`.
    ///
    /// # Errors
    /// As for [`https_web`](Self::https_web); [`ErrorKind::InvalidInput`] for a `first` bundle that is missing,
    /// or of another trust domain than the endpoint's.
    pub fn https_spiffe(
        trust_domain: TrustDomain,
        url: &str,
        endpoint: SpiffeId,
        first: Option<Bundle>,
    ) -> Result<Self> {
        match &first {
            Some(first) if first.trust_domain() != endpoint.trust_domain() => {
                return Err(invalid(format!(
                    "the bundle to begin with is that of {}, and the endpoint is {endpoint}",
                    first.trust_domain()
                )));
            }
            None if *endpoint.trust_domain() == trust_domain => {
                return Err(invalid(format!(
                    "{trust_domain} serves its bundle itself, so one is needed to begin with"
                )));
            }
            _ => {}
        }
        Self::new(trust_domain, url, Profile::Spiffe { endpoint, first })
    }

    fn new(trust_domain: TrustDomain, url: &str, profile: Profile) -> Result<Self> {
        let address = Address::parse(url)?;
        let addresses = AddressPolicy::default();
        Ok(Self { trust_domain, address, profile, addresses, proxy: None })
    }

    /// Trusts this certification authority as well, beside those of the platform: PEM with one certificate
    /// or several, such as a company's own. It changes nothing for `https_spiffe`.
    #[must_use]
    pub fn root_certificate(mut self, pem: impl Into<Vec<u8>>) -> Self {
        if let Profile::Web { roots } = &mut self.profile {
            roots.push(pem.into());
        }
        self
    }

    /// Which networks the bundle may be fetched from.
    #[must_use]
    pub const fn addresses(mut self, policy: AddressPolicy) -> Self {
        self.addresses = policy;
        self
    }

    /// Asks through this proxy, `http://` and its host and port, by `CONNECT`.
    #[must_use]
    pub fn proxy(mut self, url: impl Into<String>) -> Self {
        self.proxy = Some(url.into());
        self
    }

    /// Whose bundle it is.
    #[must_use]
    pub const fn trust_domain(&self) -> &TrustDomain {
        &self.trust_domain
    }

    /// The bundle to begin with, if it is the one that is fetched.
    pub(super) fn first_of_its_own(&self) -> Option<&Bundle> {
        match &self.profile {
            Profile::Spiffe { first: Some(first), .. } => {
                Some(first).filter(|first| *first.trust_domain() == self.trust_domain)
            }
            _ => None,
        }
    }
}

fn invalid(message: String) -> Error {
    Error::new(ErrorKind::InvalidInput, message)
}

impl fmt::Debug for FederatedDomain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let profile = match &self.profile {
            Profile::Web { .. } => "https_web",
            Profile::Spiffe { .. } => "https_spiffe",
        };
        f.debug_struct("FederatedDomain")
            .field("trust_domain", &self.trust_domain.as_str())
            .field("address", &self.address.as_str())
            .field("profile", &profile)
            .finish_non_exhaustive()
    }
}
