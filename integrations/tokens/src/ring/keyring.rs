//! A ring where it is kept, and the steps that are written there.

use std::{
    fmt,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use bulla::{Error, ErrorKind, Result};

use super::{
    Change, Due, MakeKey, NewKey, Ring, RingStore, RotationPolicy, Waits, document::is_name,
};

/// How often a step is decided anew because somebody else has written in between.
const MAX_RACES: usize = 16;

type Clock = Arc<dyn Fn() -> SystemTime + Send + Sync>;

/// A ring of signing keys in its store, for whoever rotates them. Cheap to clone.
///
/// Each step reads the ring, decides, and replaces what it has read. If somebody else was faster, it
/// decides anew: so of two processes that rotate at once, one does and the other finds nothing to do.
///
/// ```
/// use bulla::{Opener, Sealer};
/// use bulla_local::KeyType;
/// use bulla_tokens::ring::{FileRing, KeyRing, RingKeys, RotationPolicy, SealedMaker};
///
/// # async fn example(kms: bulla::SharedProvider) -> bulla::Result<()> {
/// let ring = KeyRing::new(FileRing::new("keyring.json"));
/// let maker = SealedMaker::new(Sealer::new(kms.clone())?, KeyType::P256)?;
/// ring.init("tokens", RotationPolicy::default(), &maker).await?; // once
/// ring.rotate(&maker).await?; // whatever is due, as often as you like
///
/// // In each process that signs or publishes.
/// let keys = RingKeys::new(ring, Opener::new([kms])).provider_keys();
/// let signer = bulla::jwt::Signer::new(keys);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct KeyRing {
    store: Arc<dyn RingStore>,
    clock: Clock,
}

impl KeyRing {
    /// The ring in this store.
    pub fn new(store: impl RingStore + 'static) -> Self {
        Self { store: Arc::new(store), clock: Arc::new(SystemTime::now) }
    }

    /// The same by another clock than the system's.
    #[must_use]
    pub fn with_clock(mut self, clock: impl Fn() -> SystemTime + Send + Sync + 'static) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// What the clock says, to the millisecond.
    #[must_use]
    pub fn now(&self) -> SystemTime {
        let now = (self.clock)();
        let since = now.duration_since(UNIX_EPOCH).unwrap_or_default();
        let millis = Duration::new(since.as_secs(), since.subsec_millis() * 1_000_000);
        UNIX_EPOCH + millis
    }

    /// Begins a ring with one key, which signs at once.
    ///
    /// # Errors
    /// [`ErrorKind::AlreadyExists`] if there is a ring; [`ErrorKind::InvalidInput`] for a name that is not
    /// 1 to 64 of `[A-Za-z0-9_-]`, and for a policy whose waits are longer than a key signs; otherwise
    /// what the store or the maker says.
    pub async fn init(
        &self,
        name: &str,
        policy: RotationPolicy,
        maker: &(impl MakeKey + ?Sized),
    ) -> Result<Ring> {
        if !is_name(name) {
            let message = "the name of a ring is 1 to 64 of A-Z, a-z, 0-9, _ and -";
            return Err(Error::new(ErrorKind::InvalidInput, message));
        }
        let policy = policy.checked()?;
        // Before a key is made for nothing.
        if self.store.load().await?.is_some() {
            return Err(exists());
        }
        let now = self.now();
        let first = maker.make(name, None, now).await?;
        let ring = Ring::begin(name, policy, first, now)?;
        match self.store.replace(None, &ring.to_text()?).await? {
            true => Ok(ring),
            false => Err(exists()),
        }
    }

    /// The ring as it is now.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] if there is none; [`ErrorKind::Damaged`] for what is no ring; otherwise what
    /// the store says.
    pub async fn load(&self) -> Result<Ring> {
        Ok(self.read().await?.1)
    }

    /// Does all that is due: publishes a key in time, has it sign, removes those that are retired. The
    /// changes, in order; none is the usual answer.
    ///
    /// # Errors
    /// What the store or the maker says. Steps before that are done, and are in the store.
    pub async fn rotate(&self, maker: &(impl MakeKey + ?Sized)) -> Result<Vec<Change>> {
        let mut changes = Vec::new();
        loop {
            let now = self.now();
            let done = match self.load().await?.due(now) {
                None => return Ok(changes),
                Some(Due::Publish) => self.publish_if(maker, is_due_to_publish).await?,
                Some(Due::Promote) => {
                    self.step(|ring, now| match ring.due(now) {
                        Some(Due::Promote) => ring.promote(Waits::Keep, now),
                        _ => Ok(Vec::new()),
                    })
                    .await?
                }
                Some(Due::Remove(kid)) => {
                    self.step(|ring, now| match ring.due(now) {
                        Some(Due::Remove(due)) if due == kid => {
                            ring.remove(kid.as_str(), Waits::Keep, now)
                        }
                        _ => Ok(Vec::new()),
                    })
                    .await?
                }
            };
            changes.extend(done);
        }
    }

    /// Publishes a new key now, whether one is due or not; it signs when
    /// [`promote`](Self::promote) says so, or [`rotate`](Self::rotate) when the key that signs has done its
    /// time.
    ///
    /// # Errors
    /// [`ErrorKind::AlreadyExists`] if one is published already; otherwise as for [`rotate`](Self::rotate).
    pub async fn publish(&self, maker: &(impl MakeKey + ?Sized)) -> Result<Vec<Change>> {
        self.publish_if(maker, |_, _| true).await
    }

    /// Publishes a key that was made elsewhere.
    ///
    /// # Errors
    /// As for [`publish`](Self::publish).
    pub async fn publish_key(&self, new: NewKey) -> Result<Vec<Change>> {
        self.step(|ring, now| ring.publish(new.clone(), now)).await
    }

    /// Has the published key sign, once it was published for
    /// [`publish_wait`](RotationPolicy::publish_wait).
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] if none is published; [`ErrorKind::InvalidInput`] if it is too early, with
    /// the time that is left; otherwise what the store says.
    pub async fn promote(&self, waits: Waits) -> Result<Vec<Change>> {
        self.step(|ring, now| ring.promote(waits, now)).await
    }

    /// Takes a key out of the set that has been retired for [`retire_wait`](RotationPolicy::retire_wait),
    /// or that never signed. A key that is removed already stays so.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] if there is no such key; [`ErrorKind::InvalidInput`] if it signs, or if it
    /// is too early; otherwise what the store says.
    pub async fn remove(&self, kid: &str, waits: Waits) -> Result<Vec<Change>> {
        self.step(|ring, now| ring.remove(kid, waits, now)).await
    }

    /// Gives the ring another policy. Its waits hold at once, for keys that wait already too: so a longer
    /// life of tokens is to be set here before the first token has it.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] as for [`init`](Self::init); otherwise what the store says.
    pub async fn set_policy(&self, policy: RotationPolicy) -> Result<()> {
        let policy = policy.checked()?;
        self.step(|ring, _| {
            ring.policy = policy;
            Ok(Vec::new())
        })
        .await
        .map(drop)
    }

    async fn publish_if(
        &self,
        maker: &(impl MakeKey + ?Sized),
        wanted: impl Fn(&Ring, SystemTime) -> bool,
    ) -> Result<Vec<Change>> {
        for _ in 0..MAX_RACES {
            let (text, mut ring) = self.read().await?;
            if !wanted(&ring, self.now()) {
                return Ok(Vec::new());
            }
            if let Some(next) = ring.next() {
                let message = format!("key {} is published already and has not signed", next.kid);
                return Err(Error::new(ErrorKind::AlreadyExists, message));
            }
            let new = maker.make(ring.name(), Some(&ring), self.now()).await?;
            // Making it may have taken long, and it is published from now on.
            let changes = ring.publish(new, self.now())?;
            if self.store.replace(Some(&text), &ring.checked()?.to_text()?).await? {
                return Ok(changes);
            }
        }
        Err(contended())
    }

    async fn step(
        &self,
        decide: impl Fn(&mut Ring, SystemTime) -> Result<Vec<Change>>,
    ) -> Result<Vec<Change>> {
        for _ in 0..MAX_RACES {
            let (text, mut ring) = self.read().await?;
            let changes = decide(&mut ring, self.now())?;
            let new = ring.checked()?.to_text()?;
            if new == text || self.store.replace(Some(&text), &new).await? {
                return Ok(changes);
            }
        }
        Err(contended())
    }

    async fn read(&self) -> Result<(Vec<u8>, Ring)> {
        let text = self.store.load().await?.ok_or_else(|| {
            Error::new(ErrorKind::NotFound, "there is no ring of keys yet; begin one with `init`")
        })?;
        let ring = Ring::from_text(&text)?;
        Ok((text, ring))
    }
}

fn is_due_to_publish(ring: &Ring, now: SystemTime) -> bool {
    ring.due(now) == Some(Due::Publish)
}

fn exists() -> Error {
    Error::new(
        ErrorKind::AlreadyExists,
        "there is a ring already; rotate it, or begin one elsewhere",
    )
}

fn contended() -> Error {
    let message = format!("the ring was changed by others {MAX_RACES} times in between; try again");
    Error::new(ErrorKind::Unavailable, message)
}

impl fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyRing").finish_non_exhaustive()
    }
}
