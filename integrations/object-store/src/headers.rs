//! Headers of objects that were read before, and the keys that they led to.

use std::{
    collections::{HashMap, hash_map::RandomState},
    fmt,
    num::NonZeroUsize,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use bulla::{format::Preamble, stream::RandomAccess};
use lru::LruCache;
use object_store::{GetOptions, ObjectMeta, path::Path};
use tokio::{runtime::Handle, sync::OnceCell, time::Instant};

/// How many headers a store keeps, and for how long: for range reads, each of which would read and unwrap
/// the header anew.
///
/// # Security
/// What is kept opens an object without its KMS, so a permission that is taken away there, or a disabled
/// key, takes effect on objects that were read after `max_age` at most. While the KMS is down, objects
/// that were read go on being read for that long, and no longer. What expires is dropped, and its keys
/// wiped, at once and not with the next use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeaderCache {
    pub(crate) entries: usize,
    pub(crate) max_age: Duration,
}

impl Default for HeaderCache {
    /// 1,000 headers, 5 minutes: the limits of a [`CachePolicy`](bulla::envelope::CachePolicy) unless set.
    fn default() -> Self {
        Self { entries: 1000, max_age: Duration::from_secs(300) }
    }
}

impl HeaderCache {
    /// The longest that any store keeps a header: a day.
    pub const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

    /// The most that any store keeps: 100,000.
    pub const MOST: usize = 100_000;

    /// So many headers, each for so long.
    #[must_use]
    pub fn new(entries: usize, max_age: Duration) -> Self {
        Self { entries, max_age }
    }

    /// None: every range read reads and unwraps the header.
    #[must_use]
    pub fn off() -> Self {
        Self { entries: 0, max_age: Duration::ZERO }
    }
}

/// What identifies an object as it was when its header was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pin {
    /// A strong ETag: a weak one matches nothing (RFC 9110, section 13.1.1).
    e_tag: Option<String>,
    version: Option<String>,
}

impl Pin {
    pub(crate) fn of(meta: &ObjectMeta) -> Self {
        let e_tag = meta.e_tag.clone().filter(|tag| !tag.starts_with("W/"));
        Self { e_tag, version: meta.version.clone() }
    }

    /// Whether later reads can be held to it.
    pub(crate) fn holds(&self) -> bool {
        self.e_tag.is_some() || self.version.is_some()
    }

    /// Holds a read to it.
    pub(crate) fn apply(&self, mut options: GetOptions) -> GetOptions {
        if self.e_tag.is_some() {
            options.if_match.clone_from(&self.e_tag);
        } else if options.version.is_none() {
            options.version.clone_from(&self.version);
        }
        options
    }

    /// Whether a condition of the caller's lets an object pass that has this ETag.
    pub(crate) fn passes(&self, if_match: &str) -> bool {
        let tag = self.e_tag.as_deref();
        if_match == "*" || if_match.split(',').map(str::trim).any(|wanted| Some(wanted) == tag)
    }
}

/// A header that was read, and what it led to.
#[derive(Debug)]
pub(crate) struct Known {
    pub(crate) pin: Pin,
    /// As the store has it: with the size of the sealed object.
    pub(crate) meta: ObjectMeta,
    pub(crate) form: Form,
    expires: Option<Instant>,
}

#[derive(Debug)]
pub(crate) enum Form {
    /// The keys are there once somebody has asked for plaintext, and not because of a `head`.
    Sealed { preamble: Preamble, opened: OnceCell<RandomAccess> },
    /// Not sealed, which only a store that is being migrated reads.
    Plain,
}

impl Known {
    /// Whether this is the object that the store now tells of.
    pub(crate) fn is(&self, meta: &ObjectMeta) -> bool {
        self.pin == Pin::of(meta)
            && self.meta.size == meta.size
            && (self.pin.holds() || self.meta.last_modified == meta.last_modified)
    }

    fn is_opened(&self) -> bool {
        match &self.form {
            Form::Sealed { opened, .. } => opened.initialized(),
            Form::Plain => true,
        }
    }

    /// Headers that nobody has authenticated are only kept if they are short: whoever writes to the store
    /// could fill the memory otherwise.
    fn may_be_kept(&self) -> bool {
        const SHORT: usize = 4096;
        let long = match &self.form {
            Form::Sealed { preamble, .. } => preamble.len() > SHORT,
            Form::Plain => false,
        };
        self.pin.holds() && (!long || self.is_opened())
    }
}

/// An object: its location, and the version if one was asked for.
pub(crate) type Key = (Path, Option<String>);

/// Headers by object, the least recently used of which makes room for the next.
pub(crate) struct Headers {
    policy: HeaderCache,
    state: Mutex<State>,
}

struct State {
    known: LruCache<Key, Arc<Known>, RandomState>,
    /// Who reads a header lets others wait for it.
    gates: HashMap<Key, Weak<tokio::sync::Mutex<()>>>,
    /// Whether a task waits for the next one to expire.
    watched: bool,
}

impl Headers {
    pub(crate) fn new(policy: HeaderCache) -> Arc<Self> {
        // Bounded by `insert`: with a bound of its own it would set the memory aside now.
        let known = LruCache::unbounded_with_hasher(RandomState::new());
        let state = State { known, gates: HashMap::new(), watched: false };
        Arc::new(Self { policy, state: Mutex::new(state) })
    }

    /// What was read, with the time from which on it may not be used.
    pub(crate) fn make(&self, meta: ObjectMeta, form: Form) -> Arc<Known> {
        let expires = Instant::now().checked_add(self.policy.max_age);
        Arc::new(Known { pin: Pin::of(&meta), meta, form, expires })
    }

    pub(crate) fn find(&self, key: &Key) -> Option<Arc<Known>> {
        let mut state = self.lock();
        let known = state.known.get(key)?;
        if known.expires.is_some_and(|expires| expires > Instant::now()) {
            return Some(Arc::clone(known));
        }
        state.known.pop(key);
        None
    }

    /// Keeps what was read, unless the same is there and is opened already.
    pub(crate) fn insert(self: &Arc<Self>, key: &Key, known: &Arc<Known>) {
        let Some(capacity) = NonZeroUsize::new(self.policy.entries) else { return };
        if !known.may_be_kept() {
            return;
        }
        let mut state = self.lock();
        let held = state.known.peek(key);
        if held.is_some_and(|held| held.is(&known.meta) && held.is_opened() && !known.is_opened()) {
            return;
        }
        state.known.put(key.clone(), Arc::clone(known));
        while state.known.len() > capacity.get() {
            state.known.pop_lru();
        }
        self.watch(&mut state);
    }

    /// Drops what is there if it is still this.
    pub(crate) fn remove(&self, key: &Key, known: &Arc<Known>) {
        let mut state = self.lock();
        if state.known.peek(key).is_some_and(|held| Arc::ptr_eq(held, known)) {
            state.known.pop(key);
        }
    }

    /// Drops what is known of the object that now is, after it was written or deleted.
    pub(crate) fn forget(&self, location: &Path) {
        self.lock().known.pop(&(location.clone(), None));
    }

    pub(crate) fn clear(&self) {
        self.lock().known.clear();
    }

    pub(crate) fn len(&self) -> usize {
        self.lock().known.len()
    }

    /// Who holds it reads the header, and the others find it then.
    pub(crate) fn gate(&self, key: &Key) -> Arc<tokio::sync::Mutex<()>> {
        let gates = &mut self.lock().gates;
        if let Some(gate) = gates.get(key).and_then(Weak::upgrade) {
            return gate;
        }
        gates.retain(|_, gate| gate.strong_count() > 0);
        let gate = Arc::default();
        gates.insert(key.clone(), Arc::downgrade(&gate));
        gate
    }

    /// Sees to it that what expires goes when its time is up.
    fn watch(self: &Arc<Self>, state: &mut State) {
        let Ok(runtime) = Handle::try_current() else { return };
        if std::mem::replace(&mut state.watched, true) {
            return;
        }
        let mut watch = Watch(Arc::downgrade(self));
        runtime.spawn(async move {
            loop {
                let next = watch.0.upgrade().and_then(|headers| headers.sweep());
                let Some(next) = next else {
                    drop(std::mem::take(&mut watch.0)); // the sweep itself has said so
                    return;
                };
                tokio::time::sleep_until(next).await;
            }
        });
    }

    /// Drops what has expired, and says when the next will.
    fn sweep(&self) -> Option<Instant> {
        let now = Instant::now();
        let mut state = self.lock();
        let expired = |known: &Known| known.expires.is_none_or(|expires| expires <= now);
        let all = state.known.iter();
        let gone: Vec<Key> =
            all.filter(|(_, known)| expired(known)).map(|(key, _)| key.clone()).collect();
        for key in gone {
            state.known.pop(&key);
        }
        let next = state.known.iter().filter_map(|(_, known)| known.expires).min();
        state.watched = next.is_some();
        next
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The task that waits for headers to expire. If it goes with its runtime, the next insertion begins
/// another.
struct Watch(Weak<Headers>);

impl Drop for Watch {
    fn drop(&mut self) {
        if let Some(headers) = self.0.upgrade() {
            headers.lock().watched = false;
        }
    }
}

impl fmt::Debug for Headers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Headers")
            .field("policy", &self.policy)
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}
