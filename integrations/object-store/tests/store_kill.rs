//! A process that is killed while it writes, again and again: what it said was written is there, and nothing
//! else that looks like an object. 20 times, or 200 where `BULLA_LONG_TESTS` is set.

#![cfg(unix)]
#![allow(clippy::single_range_in_vec_init, clippy::clone_on_ref_ptr, reason = "shorter in tests")]
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    reason = "tests"
)]

mod world;

use std::{
    collections::BTreeMap,
    env, fs,
    io::Write,
    path::{Path as FsPath, PathBuf},
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use bulla_object_store::{EncryptedStore, EncryptedStoreBuilder};
use futures_util::TryStreamExt;
use object_store::{
    MultipartUpload, ObjectStore, ObjectStoreExt, local::LocalFileSystem, path::Path,
};

use world::{Kms, builder_with, cut};

const DIR: &str = "BULLA_STORE_KILL_DIR";
const MARKER: &str = "THIS-IS-PLAINTEXT";
const WRITERS: u64 = 4;
const MIB: usize = 1 << 20;

/// The object of a name and a generation: any part of it has the marker.
fn content(name: &str, generation: u64) -> bytes::Bytes {
    let mut random = fastrand::Rng::with_seed(generation);
    let len = match random.u8(..10) {
        0 => 0,
        1..7 => random.usize(..200_000),
        _ => random.usize(..13 * MIB),
    };
    let line = format!("{MARKER} {name} {generation}\n");
    line.bytes().cycle().take(len).collect()
}

fn store(dir: &FsPath) -> EncryptedStore<LocalFileSystem> {
    let inner = LocalFileSystem::new_with_prefix(dir.join("objects")).unwrap();
    let builder: EncryptedStoreBuilder<_> = builder_with(inner, &Kms::with_key(&[9; 32]));
    builder.part_len(5 * MIB).build().unwrap()
}

/// What the child does until it is killed.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
#[ignore = "the process that the test below starts and kills"]
async fn writer() {
    let Some(dir) = env::var_os(DIR).map(PathBuf::from) else { return };
    let first: u64 = env::var("BULLA_STORE_KILL_FIRST").unwrap().parse().unwrap();
    let store = store(&dir);
    fs::write(dir.join("ready"), "").unwrap();
    let write = |writer: u64| {
        let (store, dir) = (store.clone(), dir.clone());
        tokio::spawn(async move {
            let acks = dir.join(format!("acks-{writer}"));
            let mut acks = fs::File::options().append(true).create(true).open(acks).unwrap();
            for number in first.. {
                let generation = number * WRITERS + writer;
                // Names of their own, and one that is replaced all the time.
                let name = match number % 2 {
                    0 => format!("w{writer}/{generation}"),
                    _ => format!("hot-{writer}"),
                };
                let bytes = content(&name, generation);
                let at = Path::from(name.as_str());
                if generation.is_multiple_of(3) {
                    store.put(&at, bytes.into()).await.unwrap();
                } else {
                    let mut upload = store.put_multipart(&at).await.unwrap();
                    let parts: Vec<_> = cut(&bytes, 3 * MIB)
                        .into_iter()
                        .map(|part| upload.put_part(part.into()))
                        .collect();
                    futures_util::future::try_join_all(parts).await.unwrap();
                    upload.complete().await.unwrap();
                }
                acks.write_all(format!("{name} {generation}\n").as_bytes()).unwrap();
            }
        })
    };
    let writers: Vec<_> = (0..WRITERS).map(write).collect();
    futures_util::future::join_all(writers).await;
}

#[derive(Default, Debug)]
struct Tally {
    kills: usize,
    acknowledged: usize,
    unacknowledged: usize,
    left_over: usize,
}

#[test]
fn what_was_acknowledged_is_there_and_nothing_else() {
    let kills = if env::var_os("BULLA_LONG_TESTS").is_some() { 200 } else { 20 };
    let mut random = fastrand::Rng::new();
    let mut tally = Tally::default();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    while tally.kills < kills {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("objects")).unwrap();
        // A few lives of one directory: what an earlier one left must not harm.
        for life in 0..4 {
            kill_one(dir.path(), life, random.u64(..150));
            tally.kills += 1;
            runtime.block_on(check(dir.path(), &mut tally));
        }
    }
    println!("{tally:?}");
    assert!(tally.acknowledged > kills, "it hardly wrote: {tally:?}");
    assert!(tally.left_over > 0, "it was never killed in the middle: {tally:?}");
}

fn kill_one(dir: &FsPath, life: u64, after: u64) {
    let _ = fs::remove_file(dir.join("ready"));
    let mut child = Command::new(env::current_exe().unwrap())
        .args(["--exact", "writer", "--ignored", "--nocapture"])
        .env(DIR, dir)
        .env("BULLA_STORE_KILL_FIRST", (life * 100_000).to_string())
        .stdout(Stdio::null())
        .stderr(Stdio::inherit())
        .spawn()
        .unwrap();
    let begun = Instant::now();
    while !dir.join("ready").exists() {
        assert!(begun.elapsed() < Duration::from_secs(60), "the writer did not begin");
        assert!(child.try_wait().unwrap().is_none(), "the writer ended by itself");
        thread::sleep(Duration::from_millis(1));
    }
    thread::sleep(Duration::from_millis(after));
    assert!(child.try_wait().unwrap().is_none(), "the writer ended by itself");
    child.kill().unwrap();
    child.wait().unwrap();
}

async fn check(dir: &FsPath, tally: &mut Tally) {
    let mut acknowledged = BTreeMap::new();
    for writer in 0..WRITERS {
        let acks = fs::read_to_string(dir.join(format!("acks-{writer}"))).unwrap_or_default();
        for line in acks.lines() {
            let (name, generation) = line.split_once(' ').unwrap();
            acknowledged.insert(name.to_owned(), generation.parse::<u64>().unwrap());
        }
    }
    let store = store(dir);
    let listed: Vec<_> = store.list(None).try_collect().await.unwrap();
    for meta in &listed {
        let name = meta.location.to_string();
        let got = store.get(&meta.location).await.unwrap().bytes().await;
        let got = got.unwrap_or_else(|error| panic!("{name} is listed and does not open: {error}"));
        assert_eq!(got.len() as u64, meta.size, "{name}");
        // A name of one generation, or whichever was complete last.
        let least = acknowledged.remove(&name);
        let told = String::from_utf8_lossy(got.get(..200.min(got.len())).unwrap()).into_owned();
        let of_line = told.lines().next().and_then(|line| line.rsplit(' ').next()?.parse().ok());
        let generation = name.rsplit('/').next().and_then(|last| last.parse().ok());
        let generation = generation.or(of_line).or(least);
        let Some(generation) = generation else {
            assert!(got.is_empty(), "{name}: {told}");
            continue;
        };
        assert!(least.is_none_or(|least| generation >= least || got.is_empty()), "{name} is older");
        assert!(got.is_empty() || got == content(&name, generation), "{name} {generation}");
        match least {
            Some(_) => tally.acknowledged += 1,
            None => tally.unacknowledged += 1,
        }
    }
    assert!(acknowledged.is_empty(), "lost: {acknowledged:?}");
    // Whatever there is, whole or not, has no plaintext in it.
    for file in files(&dir.join("objects")) {
        let bytes = fs::read(&file).unwrap();
        let found = bytes.windows(MARKER.len()).any(|window| window == MARKER.as_bytes());
        assert!(!found, "plaintext in {}", file.display());
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        tally.left_over += usize::from(name.contains('#'));
    }
}

fn files(dir: &FsPath) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}
