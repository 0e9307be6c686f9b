//! A ring in memory, a key store in the place of a KMS, and a clock that is set by hand.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::SeqCst},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use async_trait::async_trait;
use bulla::{Error, ErrorKind, Opener, Result, Sealer};
use bulla_local::{KeyType, Local, Protection, Store};
use bulla_tokens::ring::{
    KeyRing, MakeKey, MemoryRing, NewKey, OpenKey, Ring, RingKey, RingKeys, RingStore,
    RotationPolicy, SealedMaker, SignWithKey,
};
use tempfile::TempDir;

/// 2026-11-01 in UTC.
pub(crate) const START: u64 = 1_793_491_200;

/// In milliseconds, so that skews may be added.
#[derive(Clone)]
pub(crate) struct Clock(Arc<AtomicU64>);

impl Clock {
    pub(crate) fn new() -> Self {
        Self(Arc::new(AtomicU64::new(START * 1000)))
    }

    pub(crate) fn now(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_millis(self.0.load(SeqCst))
    }

    pub(crate) fn forward(&self, time: Duration) {
        self.0.fetch_add(u64::try_from(time.as_millis()).unwrap(), SeqCst);
    }

    /// A clock that is so many seconds ahead.
    pub(crate) fn skewed(
        &self,
        seconds: i64,
    ) -> impl Fn() -> SystemTime + Send + Sync + Clone + 'static {
        let clock = self.clone();
        move || {
            UNIX_EPOCH
                + Duration::from_millis(clock.0.load(SeqCst).saturating_add_signed(seconds * 1000))
        }
    }
}

/// A key store in the place of a KMS, which may be out and counts what it opens.
pub(crate) struct Kms {
    _dir: TempDir,
    local: Arc<Local>,
    pub(crate) opened: AtomicUsize,
    pub(crate) out: AtomicBool,
}

impl Kms {
    pub(crate) fn new() -> Arc<Self> {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::at(dir.path().join("bulla"));
        store.create_key("kek", KeyType::Aes256, &Protection::None).unwrap();
        let local = Arc::new(Local::builder(store).sealing_key("kek").build().unwrap());
        let (opened, out) = (AtomicUsize::new(0), AtomicBool::new(false));
        Arc::new(Self { _dir: dir, local, opened, out })
    }

    pub(crate) fn sealer(&self) -> Sealer<Arc<Local>> {
        Sealer::new(Arc::clone(&self.local)).unwrap()
    }

    pub(crate) fn maker(&self) -> SealedMaker<Arc<Local>> {
        SealedMaker::new(self.sealer(), KeyType::P256).unwrap()
    }

    pub(crate) fn opener(&self) -> Opener<Arc<Local>> {
        Opener::new([Arc::clone(&self.local)])
    }
}

pub(crate) struct ByKms(pub(crate) Arc<Kms>);

#[async_trait]
impl OpenKey for ByKms {
    async fn open_key(&self, ring: &str, key: &RingKey) -> Result<Arc<dyn SignWithKey>> {
        if self.0.out.load(SeqCst) {
            return Err(Error::new(ErrorKind::Unavailable, "the KMS is out"));
        }
        self.0.opened.fetch_add(1, SeqCst);
        self.0.opener().open_key(ring, key).await
    }
}

#[async_trait]
impl MakeKey for ByKms {
    async fn make(&self, name: &str, ring: Option<&Ring>, now: SystemTime) -> Result<NewKey> {
        if self.0.out.load(SeqCst) {
            return Err(Error::new(ErrorKind::Unavailable, "the KMS is out"));
        }
        self.0.maker().make(name, ring, now).await
    }
}

type Hook = Box<dyn FnOnce() + Send>;

/// A store that may be out, for one who has it.
#[derive(Clone)]
pub(crate) struct Flaky {
    pub(crate) inner: MemoryRing,
    pub(crate) out: Arc<AtomicBool>,
    pub(crate) reads: Arc<AtomicUsize>,
    /// What happens before a document is replaced.
    pub(crate) before: Arc<Mutex<Option<Hook>>>,
}

impl Flaky {
    pub(crate) fn new(inner: MemoryRing) -> Self {
        Self { inner, out: Arc::default(), reads: Arc::default(), before: Arc::default() }
    }

    fn check(&self) -> Result<()> {
        match self.out.load(SeqCst) {
            true => Err(Error::new(ErrorKind::Unavailable, "the store is out")),
            false => Ok(()),
        }
    }
}

#[async_trait]
impl RingStore for Flaky {
    async fn load(&self) -> Result<Option<Vec<u8>>> {
        self.check()?;
        self.reads.fetch_add(1, SeqCst);
        self.inner.load().await
    }

    async fn replace(&self, expected: Option<&[u8]>, document: &[u8]) -> Result<bool> {
        self.check()?;
        let before = self.before.lock().unwrap().take();
        if let Some(before) = before {
            before();
        }
        self.inner.replace(expected, document).await
    }
}

/// A ring of one key, on a store of its own.
pub(crate) struct World {
    pub(crate) clock: Clock,
    pub(crate) kms: Arc<Kms>,
    pub(crate) store: Flaky,
    pub(crate) ring: KeyRing,
}

pub(crate) fn world() -> World {
    let (clock, kms, store) = (Clock::new(), Kms::new(), Flaky::new(MemoryRing::new()));
    let ring = KeyRing::new(store.clone()).with_clock(clock.skewed(0));
    World { clock, kms, store, ring }
}

impl World {
    pub(crate) async fn begun(policy: RotationPolicy) -> Self {
        let world = world();
        world.ring.init("tokens", policy, &world.kms.maker()).await.unwrap();
        world
    }

    /// What one process has: its own clock and its own knowledge.
    pub(crate) fn process(&self, skew: i64, store: &Flaky) -> RingKeys {
        let ring = KeyRing::new(store.clone()).with_clock(self.clock.skewed(skew));
        RingKeys::new(ring, ByKms(Arc::clone(&self.kms)))
    }
}
