//! What opening under a passphrase costs, whoever asks how often.
#![cfg(any(feature = "aws-lc-rs", feature = "rustcrypto"))]
#![allow(clippy::unwrap_used, reason = "helpers of tests are tests too")]

use std::{
    fs,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    thread,
    time::Duration,
};

use bulla::{DataKeys, EncryptionContext, ErrorKind, Wrapped};
use bulla_conformance::alloc_counter::{self, AllocCounter, allocated, in_use};
use bulla_local::{KeyType, Local, Passphrase, Protection, Store};

#[global_allocator]
static ALLOCATOR: AllocCounter = alloc_counter::COUNTER;

/// The working memory of one Argon2id.
const ONE: usize = 64 << 20;

fn passphrase(text: &str) -> Passphrase {
    Passphrase::new(text.to_owned())
}

fn context() -> EncryptionContext {
    EncryptionContext::from_pairs([("a", "b")]).unwrap()
}

/// A new key under the passphrase `right`, and something sealed to it.
async fn sealed(store: &Store, name: &str) -> Wrapped {
    let right = passphrase("right");
    store.create_key(name, KeyType::Aes256, &Protection::Passphrase(right.clone())).unwrap();
    let local = Local::builder(store.clone()).sealing_key(name).passphrase(right).build().unwrap();
    local.generate_data_key(&context()).await.unwrap().1
}

/// The bytes that `work` allocates, and the most that are in use at once.
async fn cost<T>(work: impl Future<Output = T>) -> (T, usize, usize) {
    let (before, done) = (allocated(), Arc::new(AtomicBool::new(false)));
    let watch = {
        let done = Arc::clone(&done);
        thread::spawn(move || {
            let mut most = 0;
            while !done.load(SeqCst) {
                most = most.max(in_use());
                thread::sleep(Duration::from_millis(1));
            }
            most
        })
    };
    let result = work.await;
    done.store(true, SeqCst);
    (result, allocated() - before, watch.join().unwrap())
}

async fn open_all(local: &Arc<Local>, wrapped: impl IntoIterator<Item = &Wrapped>) {
    let tasks: Vec<_> = wrapped
        .into_iter()
        .map(|wrapped| {
            let (local, wrapped) = (Arc::clone(local), wrapped.clone());
            tokio::spawn(async move { local.unwrap_data_key(&wrapped, &context()).await })
        })
        .collect();
    for task in tasks {
        task.await.unwrap().unwrap();
    }
}

// One test: the counters are those of the process.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn argon2_runs_once_at_a_time_and_not_in_vain() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::at(dir.path().join("bulla"));
    let (one, two, three) =
        (sealed(&store, "a").await, sealed(&store, "b").await, sealed(&store, "c").await);
    let build = |text: &str| {
        let builder = Local::builder(store.clone()).open_all().passphrase(passphrase(text));
        Arc::new(builder.build().unwrap())
    };

    // Many who need one version load it once.
    let (_, all, most) = cost(open_all(&build("right"), [&one; 24])).await;
    assert!(all < 2 * ONE && most < 2 * ONE, "{all} in all, {most} at once");
    // Several versions are loaded one after the other.
    let (_, all, most) = cost(open_all(&build("right"), [&one, &two, &three])).await;
    assert!(all < 4 * ONE && most < 2 * ONE, "{all} in all, {most} at once");

    // What does not open is not tried again,
    let local = build("wrong");
    let fail = async || local.unwrap_data_key(&one, &context()).await.unwrap_err().kind();
    let (_, all, _) = cost(async {
        for _ in 0..5 {
            assert_eq!(fail().await, ErrorKind::NotAuthentic);
        }
    })
    .await;
    assert!(all < 2 * ONE, "{all}");
    // unless that is asked for,
    local.reload().unwrap();
    let (_, all, _) = cost(async { assert_eq!(fail().await, ErrorKind::NotAuthentic) }).await;
    assert!(all > ONE, "{all}");
    // or the file changes.
    let path = store.path().join("keys").join(one.key.id()).join("v1.json");
    let content = fs::read_to_string(&path).unwrap();
    fs::write(&path, content.replace("\"m\": 65536", "\"m\": 32768")).unwrap();
    let (_, all, _) = cost(async { assert_eq!(fail().await, ErrorKind::NotAuthentic) }).await;
    assert!(all > ONE / 2 && all < ONE, "{all}");
}
