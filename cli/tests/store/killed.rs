//! Rotations that are killed, and writers beside them.

use std::{
    collections::HashMap,
    fs,
    io::Read as _,
    os::unix::fs::MetadataExt as _,
    path::PathBuf,
    process::Stdio,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    thread,
    time::Duration,
};

use bulla::{Context, Opener, Sealer, stream::EncryptReader};
use bulla_local::{Local, Store};
use object_store::{ObjectStoreExt as _, local::LocalFileSystem, path::Path};

use crate::files::Objects;

/// 2,000, or 10,000 where there is time.
fn count() -> usize {
    if std::env::var_os("BULLA_LONG_TESTS").is_some() { 10_000 } else { 2_000 }
}

struct Many {
    objects: Objects,
    old: Arc<Local>,
    new: Arc<Local>,
    runtime: tokio::runtime::Runtime,
}

impl Many {
    fn new() -> Self {
        let objects = Objects::new();
        let keys = Store::at(objects.sandbox.home());
        let local =
            |key: &str| Arc::new(Local::builder(keys.clone()).sealing_key(key).build().unwrap());
        let (old, new) = (local("old"), local("new"));
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let many = Self { objects, old, new, runtime };
        for dir in 0..7 {
            fs::create_dir(many.objects.sandbox.path(&format!("objects/{dir}"))).unwrap();
        }
        for n in 0..count() {
            fs::write(many.path(n), many.seal(&many.old, &format!("object {n}"))).unwrap();
        }
        many
    }

    fn path(&self, n: usize) -> PathBuf {
        self.objects.sandbox.path(&format!("objects/{}/{n}", n % 7))
    }

    fn seal(&self, key: &Arc<Local>, text: &str) -> Vec<u8> {
        let sealer = Sealer::new(Arc::clone(key)).unwrap();
        let sealing = self.runtime.block_on(sealer.begin(&Context::new())).unwrap();
        let mut sealed = Vec::new();
        EncryptReader::new(sealing, text.as_bytes()).read_to_end(&mut sealed).unwrap();
        sealed
    }

    /// What an object holds, if it opens with this key alone.
    fn open(&self, key: &Arc<Local>, n: usize) -> Option<String> {
        let sealed = fs::read(self.path(n)).unwrap();
        let opener = Opener::new([Arc::clone(key)]);
        let opened = self.runtime.block_on(opener.open(&sealed, &Context::new())).ok()?;
        Some(String::from_utf8(opened.to_vec()).unwrap())
    }
}

#[test]
fn killed_five_times_it_ends_complete_and_rewraps_nothing_twice() {
    let many = Many::new();
    let state = many.objects.sandbox.path("state");
    let args = format!(
        "store rewrap --from local:old --to local:new --concurrency 4 --resume {} {}",
        state.display(),
        many.objects.url
    );
    let mut random = fastrand::Rng::with_seed(17);
    // The inode of each object since it was rewrapped: nothing replaces it again.
    let mut done: HashMap<usize, u64> = HashMap::new();
    let look = |done: &mut HashMap<usize, u64>| {
        for n in 0..count() {
            let inode = fs::metadata(many.path(n)).unwrap().ino();
            let text = Some(format!("object {n}"));
            match many.open(&many.new, n) {
                Some(_) if done.contains_key(&n) => assert_eq!(done[&n], inode, "{n}"),
                opened @ Some(_) => {
                    assert_eq!(opened, text);
                    done.insert(n, inode);
                }
                None => {
                    assert_eq!(many.open(&many.old, n), text, "{n} is neither old nor new");
                    assert!(!done.contains_key(&n));
                }
            }
        }
    };
    for turn in 0..5 {
        let before = done.len();
        let mut command = many.objects.sandbox.bulla();
        command.args(args.split_whitespace()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        // Not before it has begun to write, and long before it ends.
        let share = count() / 8;
        let goal = random.usize(1..share);
        while rewritten(&many, &done) < goal {
            assert!(child.try_wait().unwrap().is_none(), "it ended too soon");
            thread::sleep(Duration::from_millis(1));
        }
        child.kill().unwrap();
        child.wait().unwrap();
        look(&mut done);
        assert!(done.len() > before && done.len() < count(), "{turn}: {}", done.len());
    }
    let ended = many.objects.sandbox.run(&args);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    look(&mut done);
    assert_eq!(done.len(), count());
    let ended = many.objects.sandbox.run(&format!("{args} --json"));
    let report: serde_json::Value = serde_json::from_slice(&ended.stdout).unwrap();
    assert_eq!(report["known"], count());
    // Drafts of killed runs are of objects that were done later, or were ready to be.
    let left: Vec<_> = (0..7)
        .flat_map(|dir| fs::read_dir(many.objects.sandbox.path(&format!("objects/{dir}"))).unwrap())
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.contains('#'))
        .collect();
    assert!(left.len() <= 5 * 4, "{left:?}");
}

/// How many objects a run has replaced, as far as the directory tells: a sample is enough.
fn rewritten(many: &Many, done: &HashMap<usize, u64>) -> usize {
    let todo = (0..count()).filter(|n| !done.contains_key(n));
    let new = |n: &usize| {
        let sealed = fs::read(many.path(*n)).unwrap();
        let (preamble, _) = bulla::format::Preamble::split(&sealed).unwrap();
        let key = bulla::CryptoProvider::sealing_key(&*many.new).unwrap();
        preamble.header().recipients().iter().any(|recipient| recipient.key == *key)
    };
    todo.filter(new).count()
}

#[test]
fn writers_beside_it_are_never_overwritten() {
    let many = Arc::new(Many::new());
    let stop = Arc::new(AtomicBool::new(false));
    let written: Arc<Mutex<HashMap<usize, String>>> = Arc::default();
    let share = count() / 20;
    let writer = {
        let (many, stop, written) = (Arc::clone(&many), Arc::clone(&stop), Arc::clone(&written));
        thread::spawn(move || {
            let root = many.objects.sandbox.path("objects").canonicalize().unwrap();
            let store = LocalFileSystem::new_with_prefix(root).unwrap();
            let mut random = fastrand::Rng::with_seed(23);
            let mut turn = 0;
            while !stop.load(SeqCst) {
                let (n, text) = (random.usize(..share), format!("turn {turn}"));
                let sealed = many.seal(&many.old, &text);
                let path = Path::from(format!("{}/{n}", n % 7));
                many.runtime.block_on(store.put(&path, sealed.into())).unwrap();
                written.lock().unwrap().insert(n, text);
                turn += 1;
            }
        })
    };
    let run = || {
        let args = format!("store rewrap --from local:old --to local:new {}", many.objects.url);
        many.objects.sandbox.run(&args)
    };
    for _ in 0..3 {
        let ended = run();
        assert!([Some(0), Some(1)].contains(&ended.code), "{ended:?}");
    }
    stop.store(true, SeqCst);
    writer.join().unwrap();
    assert_eq!(run().code, Some(0));
    let written = written.lock().unwrap();
    assert!(written.len() > share / 2);
    for n in 0..count() {
        let expected = written.get(&n).cloned().unwrap_or(format!("object {n}"));
        assert_eq!(many.open(&many.new, n), Some(expected), "{n}");
    }
}
