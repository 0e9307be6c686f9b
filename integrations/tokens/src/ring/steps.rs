//! How keys go from phase to phase.

use std::time::{Duration, SystemTime};

use bulla::{Error, ErrorKind, KeyVersion, Result};

use super::{
    NewKey, Phase, Ring, RingKey,
    document::{MAX_LIVE, MAX_REMOVED},
};

/// Whether the waits of the policy are kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Waits {
    /// They are, and a step that comes too early is refused.
    #[default]
    Keep,
    /// They are not: for a key that has leaked. Verifiers that have cached the set refuse good tokens
    /// until they fetch it again.
    Skip,
}

/// What was done to a ring.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Change {
    /// A key is in the set, and will sign.
    Published(KeyVersion),
    /// A key signs.
    Signing(KeyVersion),
    /// A key signs no more.
    Retired(KeyVersion),
    /// A key was taken out of the set.
    Removed(KeyVersion),
}

impl Change {
    /// The key.
    #[must_use]
    pub const fn kid(&self) -> &KeyVersion {
        match self {
            Self::Published(kid) | Self::Signing(kid) | Self::Retired(kid) | Self::Removed(kid) => {
                kid
            }
        }
    }

    /// What it is in from now on.
    #[must_use]
    pub const fn phase(&self) -> Phase {
        match self {
            Self::Published(_) => Phase::Published,
            Self::Signing(_) => Phase::Signing,
            Self::Retired(_) => Phase::Retired,
            Self::Removed(_) => Phase::Removed,
        }
    }
}

/// What a ring is due for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Due {
    /// A new key is to be published, so that it can sign when the one that signs has done its time.
    Publish,
    /// The key that is published is to sign.
    Promote,
    /// A key that is retired is to be removed.
    Remove(KeyVersion),
}

impl Ring {
    /// What is due now: the first of what is.
    #[must_use]
    pub fn due(&self, now: SystemTime) -> Option<Due> {
        self.next_due().filter(|(when, _)| *when <= now).map(|(_, due)| due)
    }

    /// What will be due next, and when.
    #[must_use]
    pub fn next_due(&self) -> Option<(SystemTime, Due)> {
        let removals = self
            .keys()
            .filter(|key| key.phase == Phase::Retired)
            .filter_map(|key| Some((self.removable(key)?, Due::Remove(key.kid.clone()))));
        removals.chain(self.next_switch()).min_by_key(|(when, _)| *when)
    }

    fn next_switch(&self) -> Option<(SystemTime, Due)> {
        let until = self.signs_until()?;
        Some(match self.next() {
            Some(next) => (self.may_sign(next)?.max(until), Due::Promote),
            None => {
                // Published in time to sign when its turn comes.
                let wait = self.policy.publish_wait();
                (until.checked_sub(wait).unwrap_or(SystemTime::UNIX_EPOCH), Due::Publish)
            }
        })
    }

    /// Until when the key that signs does so, by the schedule.
    #[must_use]
    pub fn signs_until(&self) -> Option<SystemTime> {
        self.signing().ok()?.signing?.checked_add(self.policy.rotate_every)
    }

    /// From when a published key may sign.
    #[must_use]
    pub fn may_sign(&self, key: &RingKey) -> Option<SystemTime> {
        key.published.checked_add(self.policy.publish_wait())
    }

    /// From when a retired key may be removed.
    #[must_use]
    pub fn removable(&self, key: &RingKey) -> Option<SystemTime> {
        key.retired?.checked_add(self.policy.retire_wait())
    }

    /// Puts a key into the set.
    pub(super) fn publish(&mut self, new: NewKey, now: SystemTime) -> Result<Vec<Change>> {
        if let Some(next) = self.next() {
            let message = format!(
                "key {} is published and has not signed yet; have it sign, or remove it",
                next.kid
            );
            return Err(Error::new(ErrorKind::AlreadyExists, message));
        }
        if self.key(new.kid.as_str()).is_some() {
            let message = format!("a key {} is or was in the ring; give another name", new.kid);
            return Err(Error::new(ErrorKind::AlreadyExists, message));
        }
        if self.live().any(|key| key.spki() == Some(&*new.spki)) {
            let message = format!(
                "the key that is to be {} is in the ring already; rotate it where it is, or make another",
                new.kid
            );
            return Err(Error::new(ErrorKind::AlreadyExists, message));
        }
        if self.live().count() >= MAX_LIVE {
            let message = format!("the ring has {MAX_LIVE} keys; remove those that are retired");
            return Err(Error::new(ErrorKind::InvalidInput, message));
        }
        let kid = new.kid.clone();
        self.keys.push(RingKey::published(new, now));
        Ok(vec![Change::Published(kid)])
    }

    /// Has the published key sign.
    pub(super) fn promote(&mut self, waits: Waits, now: SystemTime) -> Result<Vec<Change>> {
        let next = self.next().ok_or_else(|| {
            Error::new(ErrorKind::NotFound, "no key is published that could sign; publish one")
        })?;
        let kid = next.kid.clone();
        let what = "verifiers may not know it yet, and would refuse its tokens";
        check(&kid, "sign", self.may_sign(next), now, waits, what)?;
        let old = self.signing()?.kid.clone();
        for key in &mut self.keys {
            if key.kid == old {
                (key.phase, key.retired) = (Phase::Retired, Some(now));
            } else if key.kid == kid {
                (key.phase, key.signing) = (Phase::Signing, Some(now));
            }
        }
        Ok(vec![Change::Signing(kid), Change::Retired(old)])
    }

    /// Takes a key out of the set: one that is retired, or one that never signed.
    pub(super) fn remove(
        &mut self,
        kid: &str,
        waits: Waits,
        now: SystemTime,
    ) -> Result<Vec<Change>> {
        let key = self
            .key(kid)
            .ok_or_else(|| Error::new(ErrorKind::NotFound, format!("the ring has no key {kid}")))?;
        match key.phase {
            Phase::Published => {}
            Phase::Retired => {
                let what = "tokens that it has signed may be valid, and would be refused";
                check(&key.kid, "be removed", self.removable(key), now, waits, what)?;
            }
            Phase::Signing => {
                return Err(Error::new(
                    ErrorKind::InvalidInput,
                    format!("key {kid} signs; have another one sign first, then remove it"),
                ));
            }
            Phase::Removed => return Ok(Vec::new()),
        }
        let kid = key.kid.clone();
        for key in self.keys.iter_mut().filter(|key| key.kid == kid) {
            (key.phase, key.removed, key.halves) = (Phase::Removed, Some(now), None);
        }
        self.forget_the_oldest();
        Ok(vec![Change::Removed(kid)])
    }

    fn forget_the_oldest(&mut self) {
        let removed = self.keys.iter().filter(|key| !key.is_live()).count();
        let mut surplus = removed.saturating_sub(MAX_REMOVED);
        self.keys.retain(|key| {
            let goes = !key.is_live() && surplus > 0;
            surplus -= usize::from(goes);
            !goes
        });
    }
}

fn check(
    kid: &KeyVersion,
    what: &str,
    when: Option<SystemTime>,
    now: SystemTime,
    waits: Waits,
    why: &str,
) -> Result<()> {
    let left = when.and_then(|when| when.duration_since(now).ok()).unwrap_or_default();
    if left.is_zero() || waits == Waits::Skip {
        return Ok(());
    }
    // Rounded up: whoever waits for so long has waited for long enough.
    let left = Duration::from_secs(left.as_secs() + u64::from(left.subsec_nanos() > 0));
    Err(Error::new(
        ErrorKind::InvalidInput,
        format!(
            "key {kid} may {what} in {}: before that, {why}; wait, or skip the wait if the key that \
             signs has leaked",
            humantime::format_duration(left)
        ),
    ))
}
