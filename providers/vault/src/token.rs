//! A token, and for how long it is good.

use std::{fmt, time::Duration};

use bulla::{Error, ErrorKind, Result};
use bytes::Bytes;
use http::HeaderValue;
use subtle::ConstantTimeEq as _;
use tokio::time::Instant;
use zeroize::Zeroizing;

/// A hundred years, in seconds: clocks go no further everywhere.
const LONGEST: u64 = 100 * 365 * 24 * 3600;

/// What requests are sent with.
#[derive(Clone)]
pub(crate) struct Token {
    /// In memory that is wiped, and not shown by what logs headers.
    pub(crate) header: HeaderValue,
    /// Goes up with each token that takes the place of another.
    pub(crate) number: u64,
    /// Whether this provider logged in for it, and so may end it.
    pub(crate) own: bool,
    pub(crate) lease: Lease,
}

/// For how long. By the monotonic clock: what the wall clock says may jump, and another host's may differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Lease {
    /// What it was good for when it was new.
    pub(crate) first: Duration,
    /// For good, if there is no end.
    pub(crate) until: Option<Instant>,
    /// When to renew it, or to replace it.
    pub(crate) due: Option<Instant>,
    pub(crate) renewable: bool,
}

impl Lease {
    /// One of so many seconds from now; zero has no end. `replaceable` says if there is a way to another
    /// token.
    pub(crate) fn new(seconds: u64, renewable: bool, replaceable: bool) -> Self {
        let first = Duration::from_secs(seconds.min(LONGEST));
        let now = Instant::now();
        let until = now.checked_add(first).filter(|_| seconds > 0);
        // Not at once with everybody who has logged in at the same time.
        let share = 0.6 + 0.15 * fastrand::f64();
        let wait = first.mul_f64(share).max(Duration::from_secs(1));
        let due = until.map(|_| now + wait).filter(|_| renewable || replaceable);
        Self { first, until, due, renewable }
    }

    /// One of which nothing is known.
    pub(crate) const UNKNOWN: Self =
        Self { first: Duration::ZERO, until: None, due: None, renewable: false };

    pub(crate) fn has_ended(&self) -> bool {
        self.until.is_some_and(|until| until <= Instant::now())
    }

    pub(crate) fn is_due(&self) -> bool {
        self.due.is_some_and(|due| due <= Instant::now())
    }
}

impl Token {
    pub(crate) fn is(&self, header: &HeaderValue) -> bool {
        self.header.as_bytes().ct_eq(header.as_bytes()).into()
    }
}

/// The header of a token, in memory that is wiped.
///
/// # Errors
/// [`ErrorKind::InvalidInput`] for what can't be one.
pub(crate) fn header(token: &str) -> Result<HeaderValue> {
    let bytes = Bytes::from_owner(Zeroizing::new(token.as_bytes().to_vec()));
    let graphic = !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic());
    let header = HeaderValue::from_maybe_shared(bytes).ok().filter(|_| graphic);
    let mut header = header.ok_or_else(|| {
        Error::new(ErrorKind::InvalidInput, "the token has bytes that no token has")
    })?;
    header.set_sensitive(true);
    Ok(header)
}

/// Without the token.
impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token")
            .field("number", &self.number)
            .field("lease", &self.lease)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_lease_is_due_before_it_ends() {
        for _ in 0..100 {
            let lease = Lease::new(100, true, false);
            let due = lease.due.unwrap() - Instant::now();
            assert!((60..=75).contains(&due.as_secs()), "{due:?}");
        }
        let lease = Lease::new(100, true, false);
        tokio::time::advance(Duration::from_secs(76)).await;
        assert!(lease.is_due() && !lease.has_ended());
        tokio::time::advance(Duration::from_secs(24)).await;
        assert!(lease.has_ended());
        let for_good = Lease::new(0, false, true);
        assert!(!for_good.is_due() && !for_good.has_ended());
        // Nothing can be done about this one.
        assert_eq!(Lease::new(100, false, false).due, None);
        // Longer than clocks go.
        assert!(!Lease::new(u64::MAX, true, true).has_ended());
        assert!(Lease::new(1, true, true).due.unwrap() >= Instant::now() + Duration::from_secs(1));
    }

    #[test]
    fn a_token_is_not_shown() {
        let header = header("s.hunter2").unwrap();
        let token = Token { header, number: 1, own: true, lease: Lease::UNKNOWN };
        assert!(!format!("{token:?} {:?}", token.header).contains("hunter2"));
        for bad in ["", "a b", "a\n", "\u{e9}"] {
            assert_eq!(super::header(bad).unwrap_err().kind(), ErrorKind::InvalidInput);
        }
    }
}
