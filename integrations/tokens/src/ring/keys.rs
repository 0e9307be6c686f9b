//! The keys of a ring, to sign with and to publish.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use async_trait::async_trait;
use bulla::{
    Error, ErrorKind, KeyName, KeyVersion, Operation, PublicKey, Result, Sign, Signature,
    SigningInput, jwt::ProviderKeys, key::KeyState,
};
use tokio::sync::OnceCell;

use super::{KeyRing, OpenKey, Phase, Ring, RingKey, RotationPolicy, SignWithKey};

/// What rings are called as keys: `ring:NAME`.
const SCHEME: &str = "ring";

/// The keys of a ring as one signing key: a [`Sign`] like any other, whose versions are the ring's keys.
///
/// It looks at the ring every [`refresh`](super::RotationPolicy::refresh), when it is used. What it knows
/// is used for [`staleness`](super::RotationPolicy::staleness) if the store can't be read; after that,
/// signing and publishing fail, since a key that has leaked may have been taken out in the meantime.
///
/// Private halves are opened when they first sign, and that of the next key in advance: with sealed keys,
/// one call to the KMS for each key and process. Publishing opens nothing.
pub struct RingKeys {
    ring: KeyRing,
    open: Arc<dyn OpenKey>,
    known: Mutex<Option<Arc<Known>>>,
    /// Held by whoever looks at the ring.
    looking: tokio::sync::Mutex<()>,
}

struct Known {
    ring: Arc<Ring>,
    name: KeyName,
    seen: SystemTime,
    members: HashMap<KeyVersion, Arc<Cell>>,
}

type Cell = OnceCell<Arc<dyn SignWithKey>>;

impl RingKeys {
    /// The keys of a ring, whose private halves are opened by `open`: by an
    /// [`Opener`](bulla::Opener), if all are sealed, or [`OpenByRegistry`](super::OpenByRegistry).
    pub fn new(ring: KeyRing, open: impl OpenKey + 'static) -> Self {
        let looking = tokio::sync::Mutex::default();
        Self { ring, open: Arc::new(open), known: Mutex::default(), looking }
    }

    /// For a [`Signer`](bulla::jwt::Signer), for verifiers in this process, and for publishing: each key
    /// under the name that it has in the ring.
    #[must_use]
    pub fn provider_keys(self) -> Arc<ProviderKeys<Arc<Self>>> {
        // What is kept is looked at anew as often as the ring is at its quickest.
        Arc::new(Self::keys_of(Arc::new(self)))
    }

    /// The same for keys that are shared.
    #[must_use]
    pub fn keys_of(shared: Arc<Self>) -> ProviderKeys<Arc<Self>> {
        ProviderKeys::builder(shared)
            .kid(|key| key.version.as_str().to_owned())
            .ttl(Duration::from_secs(1))
            .cooldown(Duration::from_secs(1))
            .build()
    }

    /// The ring as it is known here, at most [`staleness`](super::RotationPolicy::staleness) old.
    ///
    /// # Errors
    /// What the store says, when what is known is too old.
    pub async fn ring(&self) -> Result<Ring> {
        Ok(Ring::clone(&*self.shared_ring().await?))
    }

    /// The same without a copy: another object only after another look at the store.
    ///
    /// # Errors
    /// As for [`ring`](Self::ring).
    pub async fn shared_ring(&self) -> Result<Arc<Ring>> {
        Ok(Arc::clone(&self.known().await?.ring))
    }

    /// Its policy, as known here.
    ///
    /// # Errors
    /// As for [`ring`](Self::ring).
    pub async fn policy(&self) -> Result<RotationPolicy> {
        Ok(*self.known().await?.ring.policy())
    }

    /// Forgets what is known of the ring: the next call looks at it.
    pub fn invalidate(&self) {
        self.set(None);
    }

    async fn known(&self) -> Result<Arc<Known>> {
        if let Some(fresh) = self.younger_than(|known| known.ring.policy.refresh()) {
            return Ok(fresh);
        }
        // One looks; the others go on with what is known, if it may still be used.
        let _looking = match self.looking.try_lock() {
            Ok(looking) => looking,
            Err(_) => match self.usable() {
                Some(usable) => return Ok(usable),
                None => self.looking.lock().await,
            },
        };
        if let Some(fresh) = self.younger_than(|known| known.ring.policy.refresh()) {
            return Ok(fresh);
        }
        // Before it is read: what is read is as old as the question.
        let seen = self.ring.now();
        match self.ring.load().await {
            Ok(ring) => self.learn(ring, seen),
            Err(error) => match self.usable() {
                Some(usable) if error.kind() != ErrorKind::NotFound => {
                    tracing::warn!(%error, "the ring can't be read; going on with what is known");
                    Ok(usable)
                }
                _ => Err(error),
            },
        }
    }

    fn learn(&self, ring: Ring, seen: SystemTime) -> Result<Arc<Known>> {
        let name = KeyName::new(SCHEME, ring.name())?;
        let before = self.peek();
        let member = |key: &RingKey| {
            // A name is never given again, so the same name is the same key.
            let known = before.as_ref().and_then(|known| known.members.get(&key.kid));
            (key.kid.clone(), known.cloned().unwrap_or_default())
        };
        let members = ring.live().map(member).collect();
        let known = Arc::new(Known { ring: Arc::new(ring), name, seen, members });
        self.set(Some(Arc::clone(&known)));
        self.open_the_next(&known);
        Ok(known)
    }

    /// Opens the key that will sign next, so that a KMS that is out when it is its turn stops nothing.
    /// Only where this process signs.
    fn open_the_next(&self, known: &Known) {
        let opened =
            |key: &RingKey| known.members.get(&key.kid).is_some_and(|member| member.initialized());
        let signs_here = known.ring.live().any(opened);
        let Some(next) = known.ring.next().filter(|next| signs_here && !opened(next)) else {
            return;
        };
        let Some(cell) = known.members.get(&next.kid).cloned() else { return };
        let (open, ring, next) =
            (Arc::clone(&self.open), known.ring.name().to_owned(), next.clone());
        tokio::spawn(async move {
            let opened = cell.get_or_try_init(|| open.open_key(&ring, &next)).await;
            if let Err(error) = opened {
                tracing::warn!(%error, kid = %next.kid, "the next signing key can't be opened yet");
            }
        });
    }

    fn younger_than(&self, age: impl FnOnce(&Known) -> Duration) -> Option<Arc<Known>> {
        let now = self.ring.now();
        self.peek().filter(|known| {
            // A clock that was set back says nothing of the age.
            now.duration_since(known.seen).is_ok_and(|is| is < age(known))
        })
    }

    fn usable(&self) -> Option<Arc<Known>> {
        self.younger_than(|known| known.ring.policy.staleness)
    }

    fn peek(&self) -> Option<Arc<Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set(&self, known: Option<Arc<Known>>) {
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = known;
    }

    async fn make(&self, key: &PublicKey, input: &SigningInput<'_>) -> Result<Signature> {
        let known = self.known().await?;
        let signing = known.ring.signing()?;
        if key.key != known.name || key.version != signing.kid {
            // A signer that knew another one asks for the keys anew.
            let message = format!("key {} of the ring does not sign", key.version);
            return Err(Error::new(ErrorKind::Disabled, message));
        }
        if input.algorithm() != signing.algorithm {
            let message = format!("key {} signs {} alone", signing.kid, signing.algorithm);
            return Err(Error::new(ErrorKind::InvalidInput, message));
        }
        let cell = known.members.get(&signing.kid).ok_or_else(|| {
            Error::new(ErrorKind::Internal, "the key that signs is not among those of the ring")
        })?;
        let member =
            cell.get_or_try_init(|| self.open.open_key(known.ring.name(), signing)).await?;
        member.sign(input).await
    }

    async fn published(&self) -> Result<Vec<PublicKey>> {
        let known = self.known().await?;
        Ok(known.ring.live().filter_map(|key| known.public(key)).collect())
    }
}

impl Known {
    fn public(&self, key: &RingKey) -> Option<PublicKey> {
        let mut public = PublicKey::new(self.name.clone(), key.kid.clone(), key.spki()?.to_owned());
        public.state = match key.phase {
            Phase::Published | Phase::Signing => KeyState::Active,
            Phase::Retired | Phase::Removed => KeyState::Deprecated,
        };
        public.current = key.phase == Phase::Signing;
        public.algorithms = vec![key.algorithm];
        Some(public)
    }
}

#[async_trait]
impl Sign for RingKeys {
    async fn public_keys(&self) -> Result<Vec<PublicKey>> {
        self.published().await.map_err(|error| error.with_operation(Operation::PublicKeys))
    }

    async fn sign(&self, key: &PublicKey, input: &SigningInput<'_>) -> Result<Signature> {
        self.make(key, input).await.map_err(|error| error.with_operation(Operation::Sign))
    }
}

impl fmt::Debug for RingKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known = self.peek();
        f.debug_struct("RingKeys")
            .field("ring", &known.as_ref().map(|known| known.ring.name()))
            .finish_non_exhaustive()
    }
}
