//! A document: fetched, parsed, and renewed with what is known of it.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use bulla::{Error, ErrorKind, Result};
use http::{
    HeaderMap, HeaderValue,
    header::{CACHE_CONTROL, ETAG},
};
use url::Url;

use crate::{
    freshness,
    http::{Answer, Http, Request},
    network::{Network, Word},
    observe::{Document, Telemetry},
    policy::{Clock, Policy},
};

/// Bytes in an entity tag that is kept.
const MAX_ETAG_LEN: usize = 1024;

/// What an answer held, and for how long it holds.
#[derive(Clone)]
pub(crate) struct Fetched<T> {
    pub(crate) value: Arc<T>,
    url: Url,
    /// Where it came from.
    pub(crate) network: Network,
    etag: Option<HeaderValue>,
    max_age: Option<Duration>,
    /// When it was asked for, which is before it was true.
    pub(crate) fetched: Instant,
    ttl: Duration,
    /// From here on, a use begins a renewal.
    renew_after: Duration,
    /// Something speaks against it, so it is not fresh, whatever its age.
    must_ask: bool,
}

impl<T> Fetched<T> {
    pub(crate) fn age(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.fetched)
    }

    pub(crate) fn is_fresh(&self, now: Instant) -> bool {
        !self.must_ask && self.age(now) < self.ttl
    }

    /// Whether it may be used if it can't be renewed.
    pub(crate) fn is_usable(&self, now: Instant, stale: Duration) -> bool {
        self.age(now) < self.ttl.saturating_add(stale)
    }

    /// Ends its freshness, and not how long it may be used.
    pub(crate) fn expire(&mut self) {
        self.must_ask = true;
    }

    pub(crate) fn is_due(&self, now: Instant) -> bool {
        self.age(now) >= self.renew_after
    }
}

/// Asks, with what every question has in common.
pub(crate) struct Fetcher {
    pub(crate) http: Http,
    pub(crate) policy: Policy,
    pub(crate) clock: Clock,
    pub(crate) telemetry: Telemetry,
}

/// What to ask for.
pub(crate) struct Wanted<'a> {
    pub(crate) document: Document,
    pub(crate) url: &'a Url,
    /// Who says so.
    pub(crate) word: Word,
    pub(crate) accept: &'static str,
    pub(crate) limit: usize,
    /// Something is known to be missing from what was there.
    pub(crate) search: bool,
}

impl Fetcher {
    /// Fetches a document, or finds that the one at hand is still the right one.
    pub(crate) async fn fetch<T: Send + Sync>(
        &self,
        wanted: &Wanted<'_>,
        known: Option<&Fetched<T>>,
        parse: impl Fn(&[u8]) -> Result<T> + Send,
    ) -> Result<Fetched<T>> {
        let known = known.filter(|known| known.url == *wanted.url);
        let result = self.ask(wanted, known, parse).await;
        self.telemetry.fetched(wanted.document, &result);
        result.map(|(fetched, _)| fetched).map_err(|error| self.telemetry.name(error))
    }

    async fn ask<T: Send + Sync>(
        &self,
        wanted: &Wanted<'_>,
        known: Option<&Fetched<T>>,
        parse: impl Fn(&[u8]) -> Result<T> + Send,
    ) -> Result<(Fetched<T>, Changed)> {
        let fetched = (self.clock)();
        let request = Request {
            url: wanted.url,
            word: wanted.word,
            accept: wanted.accept,
            limit: wanted.limit,
            etag: known.and_then(|known| known.etag.as_ref()),
            past_caches: wanted.search,
            form: None,
        };
        let Answer { headers, body, network, .. } = self.http.send(&request).await?;
        let stated = headers.contains_key(CACHE_CONTROL);
        let (value, changed, before) = match (body, known) {
            (Some(body), _) => (Arc::new(parse(&body)?), Changed::Yes, None),
            (None, Some(known)) => (Arc::clone(&known.value), Changed::No, Some(known)),
            (None, None) => {
                let message = "an answer without a document to a question without a condition";
                return Err(Error::new(ErrorKind::Internal, message));
            }
        };
        // What is not said anew still holds (RFC 9111, section 3.2).
        let max_age = match before.filter(|_| !stated) {
            Some(before) => before.max_age,
            None => freshness::max_age(&headers),
        };
        let ttl = self.policy.ttl(max_age, freshness::age(&headers));
        let kept = Fetched {
            value,
            url: wanted.url.clone(),
            network,
            etag: etag(&headers).or_else(|| before.and_then(|before| before.etag.clone())),
            max_age,
            fetched,
            ttl,
            // Spread, so that hosts that began together don't ask together.
            renew_after: ttl.mul_f64(0.8 + 0.1 * fastrand::f64()),
            must_ask: false,
        };
        Ok((kept, changed))
    }
}

/// Whether a document is another one than before.
#[derive(Clone, Copy)]
pub(crate) enum Changed {
    Yes,
    No,
}

fn etag(headers: &HeaderMap) -> Option<HeaderValue> {
    headers.get(ETAG).filter(|tag| tag.len() <= MAX_ETAG_LEN).cloned()
}
