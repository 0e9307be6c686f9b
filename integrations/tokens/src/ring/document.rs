//! A ring as it is kept: which keys there are, and what each is in.

use std::{fmt, time::SystemTime};

use bulla::{Error, ErrorKind, KeyUri, KeyVersion, Result, SigningAlgorithm};

use super::RotationPolicy;

/// Keys that are published, sign or still verify, at once.
pub(super) const MAX_LIVE: usize = 32;

/// Keys that were removed and are remembered, so that no other key gets their name.
pub(super) const MAX_REMOVED: usize = 64;

/// What a key of a ring is in. Keys go through the phases in this order and never back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Phase {
    /// In the key set, so that verifiers learn of it before it signs.
    Published,
    /// New tokens are signed with it. One key of a ring is.
    Signing,
    /// Signs no more, and stays in the key set for as long as a token of it can be valid.
    Retired,
    /// No longer in the key set. Its name is kept, and is not given again.
    Removed,
}

impl Phase {
    /// A stable lower-case name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Published => "published",
            Self::Signing => "signing",
            Self::Retired => "retired",
            Self::Removed => "removed",
        }
    }

    pub(super) fn parse(text: &str) -> Option<Self> {
        let all = [Self::Published, Self::Signing, Self::Retired, Self::Removed];
        all.into_iter().find(|phase| phase.as_str() == text)
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Where the private half of a key is.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeyPlace {
    /// In the ring itself, sealed: as [`SealedKeys`](bulla_local::SealedKeys) makes it.
    Sealed(Vec<u8>),
    /// With a provider, which signs: a KMS, an HSM or a local key store.
    Provider(Box<KeyUri>),
}

impl fmt::Debug for KeyPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sealed(sealed) => write!(f, "Sealed({} bytes)", sealed.len()),
            Self::Provider(uri) => write!(f, "Provider({uri})"),
        }
    }
}

/// A key that a ring is to take up.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct NewKey {
    /// What tokens and sets call it.
    pub kid: KeyVersion,
    /// The one algorithm that it signs with.
    pub algorithm: SigningAlgorithm,
    /// The public half, as SubjectPublicKeyInfo in DER (RFC 5280, section 4.1.2.7).
    pub spki: Vec<u8>,
    /// Where the private half is.
    pub place: KeyPlace,
}

impl NewKey {
    /// A key by all that a ring has to know of it.
    #[must_use]
    pub const fn new(
        kid: KeyVersion,
        algorithm: SigningAlgorithm,
        spki: Vec<u8>,
        place: KeyPlace,
    ) -> Self {
        Self { kid, algorithm, spki, place }
    }
}

/// One key of a ring.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RingKey {
    /// What tokens and sets call it.
    pub kid: KeyVersion,
    /// What it is in.
    pub phase: Phase,
    /// The one algorithm that it signs with.
    pub algorithm: SigningAlgorithm,
    /// The public half and where the private one is; `None` for a key that was removed.
    pub(super) halves: Option<Halves>,
    /// Since when it has been in the set.
    pub published: SystemTime,
    /// Since when it has signed, or when it began to.
    pub signing: Option<SystemTime>,
    /// When it ceased to sign.
    pub retired: Option<SystemTime>,
    /// When it was taken out of the set.
    pub removed: Option<SystemTime>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Halves {
    pub(super) spki: Vec<u8>,
    pub(super) place: KeyPlace,
}

impl RingKey {
    pub(super) fn published(new: NewKey, now: SystemTime) -> Self {
        let NewKey { kid, algorithm, spki, place } = new;
        Self {
            kid,
            phase: Phase::Published,
            algorithm,
            halves: Some(Halves { spki, place }),
            published: now,
            signing: None,
            retired: None,
            removed: None,
        }
    }

    /// The public half, as SubjectPublicKeyInfo in DER, until it is removed.
    #[must_use]
    pub fn spki(&self) -> Option<&[u8]> {
        self.halves.as_ref().map(|halves| &*halves.spki)
    }

    /// Where the private half is, until it is removed.
    #[must_use]
    pub fn place(&self) -> Option<&KeyPlace> {
        self.halves.as_ref().map(|halves| &halves.place)
    }

    /// Whether it is in the key set.
    #[must_use]
    pub fn is_live(&self) -> bool {
        self.phase != Phase::Removed
    }
}

/// A ring of signing keys at one time: what [`KeyRing`](super::KeyRing) reads and writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ring {
    pub(super) name: String,
    pub(super) policy: RotationPolicy,
    /// The oldest first.
    pub(super) keys: Vec<RingKey>,
}

impl Ring {
    /// A ring of one key, which signs from the start: no verifier knows another.
    pub(super) fn begin(
        name: &str,
        policy: RotationPolicy,
        first: NewKey,
        now: SystemTime,
    ) -> Result<Self> {
        let mut key = RingKey::published(first, now);
        (key.phase, key.signing) = (Phase::Signing, Some(now));
        let ring = Self { name: name.to_owned(), policy, keys: vec![key] };
        ring.checked()
    }

    /// What its keys are called together.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How long its keys wait.
    #[must_use]
    pub const fn policy(&self) -> &RotationPolicy {
        &self.policy
    }

    /// All keys, the oldest first, those that were removed among them.
    pub fn keys(&self) -> impl DoubleEndedIterator<Item = &RingKey> {
        self.keys.iter()
    }

    /// Those that are in the key set.
    pub fn live(&self) -> impl DoubleEndedIterator<Item = &RingKey> {
        self.keys.iter().filter(|key| key.is_live())
    }

    /// The key of this name.
    #[must_use]
    pub fn key(&self, kid: &str) -> Option<&RingKey> {
        self.keys.iter().find(|key| key.kid.as_str() == kid)
    }

    /// The key that signs.
    ///
    /// # Errors
    /// None for a ring that was read: one key of it signs.
    pub fn signing(&self) -> Result<&RingKey> {
        self.in_phase(Phase::Signing).ok_or_else(|| damaged("no key of it signs"))
    }

    /// The key that will sign next, if it is published already.
    #[must_use]
    pub fn next(&self) -> Option<&RingKey> {
        self.in_phase(Phase::Published)
    }

    fn in_phase(&self, phase: Phase) -> Option<&RingKey> {
        self.keys.iter().find(|key| key.phase == phase)
    }

    /// Whatever wrote it, only such a ring is used.
    pub(super) fn checked(self) -> Result<Self> {
        let count = |phase| self.keys.iter().filter(|key| key.phase == phase).count();
        let twice = self.keys.iter().enumerate().any(|(at, key)| {
            self.keys.iter().skip(at + 1).any(|other| {
                other.kid == key.kid || (other.spki().is_some() && other.spki() == key.spki())
            })
        });
        let incomplete =
            self.keys.iter().any(|key| key.halves.is_some() != key.is_live() || !key.has_times());
        let wrong = match () {
            () if !is_name(&self.name) => "its name is not 1 to 64 of A-Z, a-z, 0-9, _ and -",
            () if count(Phase::Signing) != 1 => "not one key of it signs, but none or several",
            () if count(Phase::Published) > 1 => "several keys of it are to sign next",
            () if self.live().count() > MAX_LIVE => "it has over 32 keys that were not removed",
            () if count(Phase::Removed) > MAX_REMOVED => "it has over 64 keys that were removed",
            () if twice => "a key or the name of a key is in it twice",
            () if incomplete => "a key of it does not have what its phase takes",
            () => return Ok(self),
        };
        Err(damaged(wrong))
    }
}

impl RingKey {
    fn has_times(&self) -> bool {
        let (signed, retired, removed) =
            (self.signing.is_some(), self.retired.is_some(), self.removed.is_some());
        match self.phase {
            Phase::Published => !signed && !retired && !removed,
            Phase::Signing => signed && !retired && !removed,
            Phase::Retired => signed && retired && !removed,
            // One that was withdrawn never signed.
            Phase::Removed => removed,
        }
    }
}

pub(super) fn is_name(name: &str) -> bool {
    KeyVersion::parse(name).is_ok()
}

pub(super) fn damaged(what: &str) -> Error {
    Error::new(
        ErrorKind::Damaged,
        format!("the ring can't be used: {what}; restore it from a copy, or begin another"),
    )
}
