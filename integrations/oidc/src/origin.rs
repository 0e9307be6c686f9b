//! Where the keys are: at an address, or where the issuer's metadata says.

use std::{
    borrow::Cow,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bulla::{
    Error, ErrorKind, Result,
    jwt::{Jwk, JwkSet},
};
use url::Url;

use crate::{
    address,
    fetch::{Fetched, Fetcher, Wanted},
    metadata::{self, Metadata},
    network::{Network, Word},
    observe::Document,
};

/// Bytes in a JWK set: 500 RSA keys of 2,048 bits, or 100 with their certificates.
const MAX_SET_LEN: usize = 256 * 1024;

/// A search for a key reads metadata anew that is older: the keys may have moved.
const MOVED_AFTER: Duration = Duration::from_secs(300);

pub(crate) enum Origin {
    Address(Url),
    Issuer(Box<Issuer>),
}

pub(crate) struct Issuer {
    pub(crate) issuer: String,
    pub(crate) at: Url,
    kept: Mutex<Option<Fetched<Metadata>>>,
}

impl Origin {
    pub(crate) fn issuer(issuer: String, at: Url) -> Self {
        Self::Issuer(Box::new(Issuer { issuer, at, kept: Mutex::new(None) }))
    }

    /// The address that was configured.
    pub(crate) fn configured(&self) -> &Url {
        match self {
            Self::Address(url) => url,
            Self::Issuer(issuer) => &issuer.at,
        }
    }

    /// Fetches the keys; at `known`, only if they have changed.
    pub(crate) async fn keys(
        &self,
        fetcher: &Fetcher,
        known: Option<&Fetched<JwkSet>>,
        search: bool,
    ) -> Result<Fetched<JwkSet>> {
        let (url, word) = match self {
            Self::Address(url) => (Cow::Borrowed(url), owner(url)),
            Self::Issuer(issuer) => {
                let (url, network) = issuer.jwks_uri(fetcher, search).await?;
                (Cow::Owned(url), Word::Metadata(network))
            }
        };
        let wanted = Wanted {
            document: Document::Keys,
            url: &url,
            word,
            accept: "application/jwk-set+json, application/json",
            limit: MAX_SET_LEN,
            search,
        };
        let result = fetcher.fetch(&wanted, known, parse_set).await;
        if let (Err(error), Self::Issuer(issuer)) = (&result, self)
            && !error.is_retryable()
        {
            // Perhaps the keys have moved: the next attempt looks where to.
            issuer.expire();
        }
        result
    }

    pub(crate) fn forget(&self) {
        if let Self::Issuer(issuer) = self {
            *issuer.lock() = None;
        }
    }
}

impl Issuer {
    /// Where the keys are, and where the metadata came from that say so.
    async fn jwks_uri(&self, fetcher: &Fetcher, search: bool) -> Result<(Url, Network)> {
        let now = (fetcher.clock)();
        let kept = self.lock().clone();
        let still = |kept: &&Fetched<Metadata>| {
            kept.is_fresh(now) && !(search && kept.age(now) >= MOVED_AFTER)
        };
        if let Some(kept) = kept.as_ref().filter(still) {
            return Ok(lead(kept));
        }
        let wanted = Wanted {
            document: Document::Metadata,
            url: &self.at,
            word: owner(&self.at),
            accept: "application/json",
            limit: metadata::MAX_LEN,
            search,
        };
        let parse = |json: &[u8]| Metadata::parse(json, &self.issuer, &self.at);
        match fetcher.fetch(&wanted, kept.as_ref(), parse).await {
            Ok(fetched) => {
                let lead = lead(&fetched);
                *self.lock() = Some(fetched);
                Ok(lead)
            }
            Err(error) => {
                let stale = fetcher.policy.stale;
                let Some(kept) = kept.filter(|kept| kept.is_usable(now, stale)) else {
                    return Err(error);
                };
                fetcher.telemetry.not_renewed("metadata", &error, Some(kept.age(now)));
                Ok(lead(&kept))
            }
        }
    }

    /// What is known is asked for again before it is next used.
    fn expire(&self) {
        if let Some(kept) = &mut *self.lock() {
            kept.expire();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Fetched<Metadata>>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn lead(metadata: &Fetched<Metadata>) -> (Url, Network) {
    (metadata.value.jwks_uri.clone(), metadata.network)
}

/// What was configured is the owner's word.
fn owner(url: &Url) -> Word {
    Word::Owner { this_host: address::is_loopback(url) }
}

fn parse_set(json: &[u8]) -> Result<JwkSet> {
    let set = JwkSet::from_json(json).map_err(|error| {
        Error::new(ErrorKind::Damaged, "what the issuer publishes is no JWK set").with_source(error)
    })?;
    if !set.iter().any(Jwk::is_for_verifying) {
        let message = "the issuer's JWK set has no key that can verify here";
        return Err(Error::new(ErrorKind::Damaged, message));
    }
    Ok(set)
}
