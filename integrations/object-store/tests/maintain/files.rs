//! Rotations of objects in local files.

use std::{
    collections::HashMap,
    fs,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    path::PathBuf,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    thread,
    time::Duration,
};

use bulla_object_store::maintain::{AnyHead, LocalHead, Outcome, Reason, Report, RotationBuilder};
use futures_util::StreamExt as _;
use object_store::{ObjectStore as _, ObjectStoreExt as _, local::LocalFileSystem, path::Path};
use tempfile::TempDir;

use crate::{
    keys::Provider,
    world::{World, open, run, seal},
};

struct Files {
    world: World,
    store: Arc<LocalFileSystem>,
    dir: TempDir,
}

impl Files {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = Arc::new(LocalFileSystem::new_with_prefix(dir.path()).unwrap());
        Self { world: World::over(Arc::clone(&store) as _), store, dir }
    }

    fn rotation(&self) -> RotationBuilder<Provider> {
        self.world.rotation().exchange(Arc::new(LocalHead::new(Arc::clone(&self.store))))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().canonicalize().unwrap().join(name)
    }

    async fn what_fails(&self, name: &str) -> Option<String> {
        let mut failed = None;
        let rotation = self.rotation().build().unwrap();
        let ran = rotation.run(std::future::pending(), |path, outcome| {
            if let (true, Outcome::Failed(failure)) = (path.as_ref() == name, outcome) {
                failed = Some(failure.to_string());
            }
        });
        let _ = ran.await;
        failed
    }

    /// All files, those that are no objects included.
    fn names(&self) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(self.dir.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }
}

#[tokio::test]
async fn heads_are_exchanged_in_files() {
    let files = Files::new();
    let large = vec![5; 300_000];
    files.world.put("small", &files.world.old, b"text").await;
    files.world.put("large", &files.world.old, &large).await;
    fs::set_permissions(files.path("small"), fs::Permissions::from_mode(0o640)).unwrap();
    let before = fs::metadata(files.path("small")).unwrap();
    let report = run(files.rotation()).await;
    assert_eq!((report.rewrapped, report.failed), (2, 0));
    assert_eq!(files.names(), ["large", "small"]);
    let after = fs::metadata(files.path("small")).unwrap();
    assert_eq!(after.mode(), before.mode());
    assert_eq!(after.len(), before.len());
    assert_ne!(after.ino(), before.ino());
    let sealed = files.world.read("large").await;
    assert_eq!(open(&files.world.new, &sealed).await.unwrap(), large);
    assert!(open(&files.world.old, &sealed).await.is_err());
    assert_eq!(run(files.rotation()).await.current, 2);
}

/// The ETag that it tells is the store's, so that a checkpoint knows what was rewrapped.
#[tokio::test]
async fn a_checkpoint_knows_rewrapped_files() {
    let files = Files::new();
    let state = tempfile::tempdir().unwrap();
    for n in 0..5 {
        files.world.put(&format!("{n}"), &files.world.old, b"text").await;
    }
    let with = || files.rotation().checkpoint(state.path().join("state"));
    assert_eq!(run(with()).await.rewrapped, 5);
    files.world.store.forget();
    assert_eq!(run(with()).await.known, 5);
    assert_eq!(files.world.store.get_count(), 0);
}

/// A store of files knows no conditions: without one that exchanges, nothing is written.
#[tokio::test]
async fn without_a_condition_nothing_is_replaced_unasked() {
    let files = Files::new();
    for n in 0..40 {
        files.world.put(&format!("{n}"), &files.world.old, b"text").await;
    }
    files.world.store.forget();
    let rotation = files.world.rotation().build().unwrap();
    let ended = rotation.run(std::future::pending(), |_, _| {}).await.unwrap_err();
    assert!(matches!(ended.reason, Reason::Unconditional), "{ended:?}");
    assert_eq!(files.world.store.put_count(), 0);
    let any = Arc::new(AnyHead::new(Arc::clone(&files.store) as _).unconditional());
    assert_eq!(run(files.world.rotation().exchange(any)).await.rewrapped, 40);
}

#[tokio::test]
async fn links_and_leftovers_of_others_are_refused() {
    let files = Files::new();
    let world = &files.world;
    world.put("a", &world.old, b"text").await;
    std::os::unix::fs::symlink(files.path("a"), files.path("link")).unwrap();
    assert!(files.what_fails("link").await.unwrap().contains("symbolic link"));
    fs::remove_file(files.path("link")).unwrap();

    // A draft, of which nothing is lost.
    world.put("a", &world.old, b"text").await;
    fs::write(files.path("a#4011800001"), "half").unwrap();
    // What was exchanged and not removed: the same message.
    fs::copy(files.path("a"), files.path("a#4011800002")).unwrap();
    assert_eq!(files.what_fails("a").await, None);
    assert_eq!(files.names(), ["a"]);

    // Another message: what somebody wrote while a run was killed.
    world.put("a", &world.old, b"text").await;
    fs::write(files.path("a#4011800002"), seal(&[&world.old], b"newer").await).unwrap();
    let refused = files.what_fails("a").await.unwrap();
    assert!(refused.contains("interrupted run left"), "{refused}");
    assert_eq!(files.names(), ["a", "a#4011800002"]);
    assert_eq!(open(&world.old, &world.read("a").await).await.unwrap(), b"text");
}

#[tokio::test]
async fn a_file_that_another_run_works_on_is_left_to_it() {
    let files = Files::new();
    files.world.put("a", &files.world.old, b"text").await;
    let held = fs::File::open(files.path("a")).unwrap();
    rustix::fs::flock(&held, rustix::fs::FlockOperation::LockExclusive).unwrap();
    assert!(files.what_fails("a").await.unwrap().contains("another run"));
    drop(held);
    assert_eq!(files.what_fails("a").await, None);
}

/// Writers replace files as `object_store` does while two rotations run, again and again. What a writer was
/// told is stored is there afterwards, unless it wrote something newer.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writers_that_race_are_never_overwritten() {
    const OBJECTS: usize = 24;
    let files = Arc::new(Files::new());
    let sealed: Vec<_> = {
        let mut all = Vec::new();
        for n in 0..40_u32 {
            all.push((n, seal(&[&files.world.old], &n.to_be_bytes()).await));
        }
        all
    };
    for n in 0..OBJECTS {
        files.world.put_bytes(&format!("{n}"), sealed[0].1.clone()).await;
    }
    let written: Arc<Mutex<HashMap<usize, u32>>> = Arc::default();
    let (stop, writes) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let writer = {
        let (files, stop, written) = (Arc::clone(&files), Arc::clone(&stop), Arc::clone(&written));
        let writes = Arc::clone(&writes);
        thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let mut random = fastrand::Rng::with_seed(7);
            while !stop.load(SeqCst) {
                let (n, (value, bytes)) =
                    (random.usize(..OBJECTS), &sealed[random.usize(..sealed.len())]);
                let path = Path::from(n.to_string());
                runtime.block_on(files.store.put(&path, bytes.clone().into())).unwrap();
                written.lock().unwrap().insert(n, *value);
                writes.fetch_add(1, SeqCst);
                thread::sleep(Duration::from_micros(random.u64(..300)));
            }
        })
    };
    let mut total = Report::default();
    let mut rounds = 0;
    while rounds < 12 || writes.load(SeqCst) < 200 {
        rounds += 1;
        let report = run(files.rotation()).await;
        total.rewrapped += report.rewrapped;
        total.failed += report.failed;
    }
    stop.store(true, SeqCst);
    writer.join().unwrap();
    assert!(total.rewrapped > 24, "{total:?}");
    let written = written.lock().unwrap().clone();
    for n in 0..OBJECTS {
        let bytes = files.world.read(&format!("{n}")).await;
        let opened = files.world.opener().open(&bytes, &crate::world::context()).await.unwrap();
        let expected = written.get(&n).copied().unwrap_or(0);
        assert_eq!(&*opened, expected.to_be_bytes(), "{n}");
    }
    assert!(files.names().iter().all(|name| !name.contains('#')), "{:?}", files.names());
}

#[tokio::test]
async fn names_of_drafts_are_no_objects() {
    let files = Files::new();
    for suffix in ["#4011800001", "#4011800002"] {
        fs::write(files.path(&format!("a{suffix}")), "x").unwrap();
    }
    let listed: Vec<_> = files.store.list(None).collect().await;
    assert!(listed.is_empty());
}
