//! What is known of a trust domain's bundle, and whether another one may take its place. Without I/O.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use bulla::{Error, ErrorKind, Result};

use super::FederationPolicy;
use crate::bundle::Bundle;

/// The last bundle that was taken in, and how the last attempts ended.
#[derive(Default)]
pub(super) struct Known {
    pub(super) bundle: Option<Arc<Bundle>>,
    /// The highest number that was seen.
    highest: Option<u64>,
    /// When a bundle was last known to be current.
    pub(super) checked: Option<Instant>,
    pub(super) failures: u32,
    pub(super) error: Option<Error>,
}

/// What a bundle that was fetched is beside the one at hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum News {
    /// Other keys.
    Changed,
    /// Other keys under the same number, which the standard does not allow (section 4.1.1).
    ChangedUnnumbered,
    Same,
}

impl Known {
    /// Begins with a bundle that the owner gave.
    pub(super) fn begin(bundle: Arc<Bundle>, now: Instant) -> Self {
        Self {
            highest: bundle.sequence(),
            bundle: Some(bundle),
            checked: Some(now),
            ..Self::default()
        }
    }

    /// Takes a bundle in, unless it goes back.
    pub(super) fn learn(&mut self, fetched: Arc<Bundle>, asked: Instant) -> Result<News> {
        match (self.highest, fetched.sequence()) {
            (Some(highest), Some(number)) if number < highest => {
                return Err(back(format!("its number went back from {highest} to {number}")));
            }
            (Some(highest), None) => {
                return Err(back(format!("it has no number any more, where there was {highest}")));
            }
            _ => {}
        }
        let same_number = self.highest.is_some() && self.highest == fetched.sequence();
        let news = match &self.bundle {
            Some(known) if known.same_keys(&fetched) => News::Same,
            Some(_) if same_number => News::ChangedUnnumbered,
            _ => News::Changed,
        };
        self.highest = fetched.sequence().or(self.highest);
        self.bundle = Some(fetched);
        self.succeeded(asked);
        Ok(news)
    }

    /// The bundle at hand is still the one that is published.
    pub(super) fn confirm(&mut self, asked: Instant) {
        self.succeeded(asked);
    }

    fn succeeded(&mut self, asked: Instant) {
        self.checked = Some(asked);
        (self.failures, self.error) = (0, None);
    }

    pub(super) fn fail(&mut self, error: Error) {
        self.failures = self.failures.saturating_add(1);
        self.error = Some(error);
    }

    /// How long until the next look.
    pub(super) fn wait(&self, policy: &FederationPolicy) -> Duration {
        let hint = self.bundle.as_ref().and_then(|bundle| bundle.refresh_hint());
        match &self.error {
            Some(error) => policy.pause(self.failures, error, hint),
            None => policy.interval(hint),
        }
    }
}

fn back(what: String) -> Error {
    let message = format!(
        "the bundle is not taken in: {what}; if that is meant, take the trust domain out and in again"
    );
    Error::new(ErrorKind::Damaged, message)
}

#[cfg(test)]
mod tests {
    use bulla::jwt::{Jwk, JwkSet};

    use super::*;
    use crate::id::trust_domain;

    /// RFC 7517, appendix A.1.
    const P256: &str = r#"{"kty":"EC","crv":"P-256","kid":"1","x":"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4","y":"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM"}"#;

    fn bundle(kid: &str, sequence: Option<u64>) -> Arc<Bundle> {
        let set = JwkSet::new([Jwk::from_json(P256).unwrap().with_kid(kid)]).unwrap();
        let bundle = Bundle::new(trust_domain("example.org").unwrap());
        let bundle = bundle.with_jwt_authorities(&set).unwrap();
        Arc::new(match sequence {
            Some(sequence) => bundle.with_sequence(sequence),
            None => bundle,
        })
    }

    #[test]
    fn numbers_never_go_back() {
        let now = Instant::now();
        let mut known = Known::default();
        let mut learn = |kid, sequence| {
            let learnt = known.learn(bundle(kid, sequence), now);
            learnt.map_err(|error| error.kind())
        };
        let back = Err(ErrorKind::Damaged);
        assert_eq!(learn("a", None), Ok(News::Changed));
        assert_eq!(learn("b", None), Ok(News::Changed));
        assert_eq!(learn("b", Some(7)), Ok(News::Same));
        assert_eq!(learn("c", Some(8)), Ok(News::Changed));
        assert_eq!(learn("b", Some(7)), back);
        assert_eq!(learn("c", Some(7)), back);
        assert_eq!(learn("c", None), back);
        assert_eq!(learn("d", Some(0)), back);
        assert_eq!(learn("c", Some(8)), Ok(News::Same));
        assert_eq!(learn("d", Some(8)), Ok(News::ChangedUnnumbered));
        assert_eq!(learn("d", Some(u64::MAX)), Ok(News::Same));
        assert_eq!(learn("d", Some(9)), back);
        assert_eq!(known.bundle.unwrap().sequence(), Some(u64::MAX));
    }

    #[test]
    fn what_went_back_is_not_taken_for_a_look() {
        let now = Instant::now();
        let mut known = Known::begin(bundle("a", Some(5)), now);
        let later = now + Duration::from_secs(60);
        let error = known.learn(bundle("b", Some(4)), later).unwrap_err();
        known.fail(error);
        assert_eq!((known.checked, known.failures), (Some(now), 1));
        assert_eq!(known.wait(&FederationPolicy::default()), Duration::from_secs(5));
        known.confirm(later);
        assert_eq!((known.checked, known.failures), (Some(later), 0));
        assert_eq!(known.wait(&FederationPolicy::default()), Duration::from_secs(300));
    }
}
