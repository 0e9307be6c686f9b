//! A ring of signing keys as a bundle: what it publishes, under which number, and how often to look.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bulla::{
    Error, ErrorKind, Result,
    jwt::{Jwk, JwkSet},
};
use bulla_tokens::ring::{Ring, RotationPolicy};

/// For how many hints a key is published before it signs, where the policy is made for SVIDs.
const HINTS: u32 = 5;

/// For how many it has to be (SPIFFE Federation, section 4.1, recommends 3 to 5).
const LEAST_HINTS: u32 = 3;

/// The policy of a ring that signs SVIDs: a key is published for 5 refresh hints before it signs, and the
/// ages and skews of [`RotationPolicy`] on top, and stays for as long as tokens last.
///
/// ```
/// use std::time::Duration;
///
/// let minutes = |n: u64| Duration::from_secs(n * 60);
/// let policy = bulla_spiffe::ring_policy(minutes(5), minutes(5));
/// assert_eq!(policy.publish_wait(), minutes(5 * 5 + 10 + 2));
/// ```
#[must_use]
pub fn ring_policy(refresh_hint: Duration, token_life: Duration) -> RotationPolicy {
    let whole = Duration::from_secs(refresh_hint.as_secs().max(1));
    RotationPolicy::default().with_jwks_max_age(whole * HINTS).with_token_life(token_life)
}

/// How often verifiers should look at the bundle of a ring with this policy, whoever made it: as many times
/// as are in what key sets may be kept for.
#[must_use]
pub fn refresh_hint(policy: &RotationPolicy) -> Duration {
    Duration::from_secs((policy.jwks_max_age / HINTS).as_secs().max(1))
}

/// The hint that was given, if the ring's policy waits for long enough with it.
pub(crate) fn checked_hint(policy: &RotationPolicy, given: Option<Duration>) -> Result<Duration> {
    let hint = given.unwrap_or_else(|| refresh_hint(policy));
    let least = hint.saturating_mul(LEAST_HINTS);
    if policy.publish_wait() >= least {
        return Ok(hint);
    }
    Err(Error::new(
        ErrorKind::InvalidInput,
        format!(
            "keys of the ring sign {} s after they are published, and with a refresh hint of {} s it has to be \
             {} s: give a shorter hint, or the ring a longer jwks_max_age",
            policy.publish_wait().as_secs(),
            hint.as_secs(),
            least.as_secs()
        ),
    ))
}

/// The keys that are published, by their names in the ring, each with its one algorithm.
pub(crate) fn set(ring: &Ring) -> Result<JwkSet> {
    let mut keys = Vec::new();
    for key in ring.live() {
        let Some(spki) = key.spki() else { continue };
        keys.push(Jwk::from_spki(spki)?.with_kid(key.kid.as_str()).with_algorithm(key.algorithm)?);
    }
    JwkSet::new(keys)
}

/// A number that rises whenever a key comes or goes, and is the same for whoever reads the same ring: when
/// that last was, in milliseconds, times 256, and how often it was, as far as the ring remembers. Below 2^53,
/// up to which every JSON parser counts.
pub(crate) fn sequence(ring: &Ring) -> u64 {
    let changes = || ring.keys().flat_map(|key| [Some(key.published), key.removed]).flatten();
    let last = changes().max().map_or(0, millis);
    // By clocks that differ, a change can seem to be before the last one: then it is one more.
    let count = u64::try_from(changes().count()).unwrap_or(u64::MAX).min(255);
    last.saturating_mul(256).saturating_add(count)
}

fn millis(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
