//! Other keys for all objects: what is to be done.

use std::{fmt, ops::Deref, path::PathBuf, sync::Arc};

use bulla::{CryptoProvider, Error, ErrorKind, KeyName, Opener, Result};
use object_store::{ObjectStore, path::Path};

use super::{
    AnyHead, Exchange,
    audit::check_concurrency,
    change::Changes,
    pace::Pace,
    plan::{From, Plan},
};

/// How many objects are worked on at a time if nobody says.
const CONCURRENCY: usize = 16;

/// Exchanges the recipients of all objects of a store, without opening any body.
///
/// Which objects are done is told by their own headers, so a run that was interrupted, in whatever way, is
/// simply run again: an object that is as it shall be is not written. Each object is replaced only if it is
/// still the one that was read. See [the module](super) for what a removal is worth.
pub struct Rotation<P> {
    pub(super) changes: Changes<P>,
    pub(super) prefix: Option<Path>,
    pub(super) concurrency: usize,
    pub(super) checkpoint: Option<PathBuf>,
}

/// Builds a [`Rotation`].
pub struct RotationBuilder<P> {
    store: Arc<dyn ObjectStore>,
    opener: Opener<P>,
    plan: Plan<P>,
    prefix: Option<Path>,
    concurrency: usize,
    objects_per_second: Option<f64>,
    bytes_per_second: Option<f64>,
    dry_run: bool,
    resize: bool,
    exchange: Option<Arc<dyn Exchange>>,
    checkpoint: Option<PathBuf>,
}

impl<P> Rotation<P>
where
    P: Deref<Target: CryptoProvider> + Clone + Send + Sync,
{
    /// A rotation of all objects of a store. `opener` must be able to unwrap the data keys, so it has the
    /// old keys or others that the objects are sealed to.
    #[must_use]
    pub fn builder(store: Arc<dyn ObjectStore>, opener: Opener<P>) -> RotationBuilder<P> {
        RotationBuilder {
            store,
            opener,
            plan: Plan { from: Vec::new(), to: Vec::new(), accept_cohort: false },
            prefix: None,
            concurrency: CONCURRENCY,
            objects_per_second: None,
            bytes_per_second: None,
            dry_run: false,
            resize: false,
            exchange: None,
            checkpoint: None,
        }
    }
}

impl<P> RotationBuilder<P>
where
    P: Deref<Target: CryptoProvider> + Clone + Send + Sync,
{
    /// Takes objects that are sealed to this key, and removes it from them. Once there is one such key,
    /// objects that are sealed to none of them are left alone.
    #[must_use]
    pub fn from_key(self, key: &KeyName) -> Self {
        self.from_shown(key.to_string())
    }

    /// The same by the name as an audit shows it, of keys that may be gone.
    #[must_use]
    pub fn from_shown(mut self, name: impl Into<String>) -> Self {
        self.plan.from.push(From::Shown(name.into()));
        self
    }

    /// The same by the sealing key of a provider, whichever of its names an object has.
    #[must_use]
    pub fn from_provider(mut self, provider: P) -> Self {
        self.plan.from.push(From::Provider(provider));
        self
    }

    /// Adds the sealing key of this provider, under its current version. A key that is removed and added is
    /// renewed: objects that are sealed to it are, and others are left alone.
    #[must_use]
    pub fn to(mut self, provider: P) -> Self {
        self.plan.to.push(provider);
        self
    }

    /// Only objects below this path.
    #[must_use]
    pub fn prefix(mut self, prefix: Path) -> Self {
        self.prefix = Some(prefix).filter(|prefix| !prefix.is_root());
        self
    }

    /// How many objects are worked on at a time; otherwise 16.
    #[must_use]
    pub fn concurrency(mut self, objects: usize) -> Self {
        self.concurrency = objects;
        self
    }

    /// How many objects are looked at a second, at most.
    #[must_use]
    pub fn objects_per_second(mut self, objects: f64) -> Self {
        self.objects_per_second = Some(objects);
        self
    }

    /// How many bytes of objects are replaced a second, at most, whoever copies them.
    #[must_use]
    pub fn bytes_per_second(mut self, bytes: f64) -> Self {
        self.bytes_per_second = Some(bytes);
        self
    }

    /// Looks and writes nothing. No key is asked, so what would fail for want of one, or because the new
    /// header is longer, does not show.
    #[must_use]
    pub fn dry_run(mut self) -> Self {
        self.dry_run = true;
        self
    }

    /// Adds recipients to objects whose data key serves other objects too: they can open **all of those**.
    #[must_use]
    pub fn accept_whole_cohort(mut self) -> Self {
        self.plan.accept_cohort = true;
        self
    }

    /// Allows objects to get a header of another length. A store that counts on one length for all its
    /// objects can't tell their sizes any more.
    #[must_use]
    pub fn allow_resize(mut self) -> Self {
        self.resize = true;
        self
    }

    /// How heads are exchanged; otherwise as [`AnyHead`] does.
    #[must_use]
    pub fn exchange(mut self, exchange: Arc<dyn Exchange>) -> Self {
        self.exchange = Some(exchange);
        self
    }

    /// Keeps in this file which objects are done, under which ETag, so that another run does not read their
    /// headers again. It is made if need be, and is its owner's alone: whoever can write to it can have
    /// objects skipped.
    #[must_use]
    pub fn checkpoint(mut self, file: impl Into<PathBuf>) -> Self {
        self.checkpoint = Some(file.into());
        self
    }

    /// The rotation.
    ///
    /// # Errors
    /// [`InvalidInput`](ErrorKind::InvalidInput) if no key is to be added or removed, a provider does not
    /// seal, a rate is not above zero, or not 1 to 1,024 objects are worked on at a time.
    pub fn build(self) -> Result<Rotation<P>> {
        let Self { store, opener, plan, prefix, concurrency, dry_run, resize, checkpoint, .. } =
            self;
        let invalid = |message: &'static str| Err(Error::new(ErrorKind::InvalidInput, message));
        check_concurrency(concurrency)?;
        if plan.from.is_empty() && plan.to.is_empty() {
            return invalid("no key is to be added and none to be removed");
        }
        let providers = plan.to.iter().chain(plan.from.iter().filter_map(|from| match from {
            From::Provider(provider) => Some(provider),
            From::Shown(_) => None,
        }));
        if providers.into_iter().any(|provider| provider.sealing_key().is_none()) {
            return invalid("a provider has no key that seals");
        }
        let rates = [self.objects_per_second, self.bytes_per_second];
        if rates.iter().flatten().any(|rate| !(rate.is_finite() && *rate > 0.0)) {
            return invalid("a rate is not above zero");
        }
        let [objects_pace, bytes_pace] = rates.map(|rate| rate.map(Pace::new));
        let exchange = self.exchange.unwrap_or_else(|| Arc::new(AnyHead::new(Arc::clone(&store))));
        let changes =
            Changes { store, opener, plan, exchange, objects_pace, bytes_pace, dry_run, resize };
        Ok(Rotation { changes, prefix, concurrency, checkpoint })
    }
}

impl<P: fmt::Debug> fmt::Debug for Rotation<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rotation")
            .field("store", &self.changes.store)
            .field("plan", &self.changes.plan)
            .field("prefix", &self.prefix)
            .field("dry_run", &self.changes.dry_run)
            .finish_non_exhaustive()
    }
}

impl<P: fmt::Debug> fmt::Debug for RotationBuilder<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RotationBuilder")
            .field("store", &self.store)
            .field("plan", &self.plan)
            .field("prefix", &self.prefix)
            .field("dry_run", &self.dry_run)
            .finish_non_exhaustive()
    }
}
