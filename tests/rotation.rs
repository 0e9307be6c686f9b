//! Rotation does what it says: new data under the new version, old data opens, renewal converges.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "helpers of tests are tests too"
)]

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
};

use bulla::{
    Context, CryptoProvider, CryptoProviderExt, DataKeys, Encrypt, EncryptionContext, Error,
    ErrorKind, Opener, Sealer,
    envelope::{Renewal, Rewrap},
    format::Preamble,
    key::KeyState,
};
use bulla_local::{KeyType, Local, Protection, Store};

fn store() -> (tempfile::TempDir, Store) {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::at(dir.path().join("store"));
    store.create_key("app", KeyType::Aes256, &Protection::None).unwrap();
    (dir, store)
}

fn vault(store: &Store) -> Local {
    Local::builder(store.clone()).sealing_key("app").build().unwrap()
}

fn context() -> Context {
    Context::new().with_key("tenant", "acme").unwrap()
}

fn version(sealed: &[u8]) -> String {
    let (head, _) = Preamble::split(sealed).unwrap();
    head.header().recipients()[0].version.clone().unwrap().to_string()
}

#[tokio::test]
async fn a_rotation_changes_what_new_data_is_sealed_with() {
    let (_dir, store) = store();
    let vault = vault(&store);
    let mut sealed = Vec::new();
    for expected in ["1", "2", "3"] {
        let bytes = vault.seal(expected.as_bytes(), &context()).await.unwrap();
        assert_eq!(version(&bytes), expected);
        sealed.push(bytes);
        assert_eq!(vault.rotate().unwrap().to_string(), (sealed.len() + 1).to_string());
    }
    for (bytes, plain) in sealed.iter().zip(["1", "2", "3"]) {
        assert_eq!(&*vault.open(bytes, &context()).await.unwrap(), plain.as_bytes());
    }
}

#[tokio::test]
async fn renewal_converges_and_a_failed_write_costs_nothing() {
    let (_dir, store) = store();
    let vault = vault(&store);
    let sealer = Sealer::new(&vault).unwrap();
    let opener = Opener::new([&vault]);
    let mut stored = vault.seal(b"card", &context()).await.unwrap();
    vault.rotate().unwrap();

    let fails = |_| async { Err(std::io::Error::other("the database is read-only")) };
    let (plain, renewal) =
        opener.open_and_renew(&stored, &context(), &sealer, fails).await.unwrap();
    assert_eq!(&*plain, b"card");
    assert!(matches!(renewal, Renewal::Failed(e) if e.kind() == ErrorKind::Io));

    let mut written = 0;
    for _ in 0..5 {
        let mut new = None;
        let write = |bytes| {
            new = Some(bytes);
            async { Ok::<_, Error>(()) }
        };
        let (plain, renewal) =
            opener.open_and_renew(&stored, &context(), &sealer, write).await.unwrap();
        assert_eq!(&*plain, b"card");
        match (renewal, new) {
            (Renewal::Renewed, Some(bytes)) => stored = bytes,
            (Renewal::UpToDate, None) => continue,
            other => panic!("{other:?}"),
        }
        written += 1;
    }
    assert_eq!((written, version(&stored).as_str()), (1, "2"), "renewed once and no more");
}

#[tokio::test]
async fn to_and_fro() {
    let (_dir, store) = store();
    let vault = vault(&store);
    vault.rotate().unwrap();
    for current in [1, 2, 1, 2] {
        store.set_current("app", current).unwrap();
        vault.reload().unwrap();
        let sealed = vault.seal(b"x", &context()).await.unwrap();
        assert_eq!(version(&sealed), current.to_string());
        assert_eq!(&*vault.open(&sealed, &context()).await.unwrap(), b"x");
    }
}

#[tokio::test]
async fn a_rewrap_takes_up_the_new_version_and_leaves_the_body() {
    let (_dir, store) = store();
    let vault = vault(&store);
    let old = vault.seal(b"card", &context()).await.unwrap();
    vault.rotate().unwrap();
    let plan = Rewrap::new().add_recipient(&vault);
    let new = Opener::new([&vault]).rewrap_value(&old, &plan).await.unwrap();
    assert_eq!((version(&old).as_str(), version(&new).as_str()), ("1", "2"));
    assert!(Sealer::new(&vault).unwrap().is_current(Preamble::split(&new).unwrap().0.header()));
    assert_eq!(old[old.len() - 20..], new[new.len() - 20..]);
    // With the old version out of use, only the rewrapped one opens.
    store.set_state("app", Some(1), KeyState::Disabled).unwrap();
    vault.reload().unwrap();
    assert_eq!(&*vault.open(&new, &context()).await.unwrap(), b"card");
    assert_eq!(vault.open(&old, &context()).await.unwrap_err().kind(), ErrorKind::Disabled);
}

/// A hundred threads seal while the key is rotated: no call fails, and none that begins after a
/// rotation has returned uses an older version.
#[test]
fn a_hundred_threads() {
    let (_dir, store) = store();
    let vault = Arc::new(vault(&store));
    let current = Arc::new(AtomicUsize::new(1));
    let done = Arc::new(AtomicBool::new(false));
    let threads: Vec<_> = (0..100)
        .map(|_| {
            let (vault, current, done) =
                (Arc::clone(&vault), Arc::clone(&current), Arc::clone(&done));
            std::thread::spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
                let mut sealed = 0;
                while !done.load(SeqCst) || sealed == 0 {
                    let least = current.load(SeqCst);
                    let bytes = runtime.block_on(vault.seal(b"x", &context())).unwrap();
                    assert!(version(&bytes).parse::<usize>().unwrap() >= least);
                    sealed += 1;
                }
                sealed
            })
        })
        .collect();
    for rotation in 2..=10 {
        assert_eq!(vault.rotate().unwrap().to_string(), rotation.to_string());
        current.store(rotation, SeqCst);
    }
    done.store(true, SeqCst);
    let sealed: usize = threads.into_iter().map(|thread| thread.join().unwrap()).sum();
    assert!(sealed >= 100);
}

/// Closing while others are in the middle of their calls: errors, never a panic.
#[test]
fn closed_during_use_by_other_threads() {
    for _ in 0..20 {
        let (_dir, store) = store();
        let vault = Arc::new(vault(&store));
        let start = Arc::new(std::sync::Barrier::new(9));
        let threads: Vec<_> = (0..8)
            .map(|_| {
                let (vault, start) = (Arc::clone(&vault), Arc::clone(&start));
                std::thread::spawn(move || {
                    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
                    start.wait();
                    loop {
                        let none = EncryptionContext::new();
                        let made = runtime.block_on(vault.generate_data_key(&none));
                        let used = made.and_then(|(key, wrapped)| {
                            let again = runtime.block_on(vault.unwrap_data_key(&wrapped, &none))?;
                            assert!(again.ct_eq(&key));
                            runtime.block_on(vault.encrypt(b"x", &none))
                        });
                        if let Err(error) = used {
                            return error.kind();
                        }
                    }
                })
            })
            .collect();
        start.wait();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(vault.close()).unwrap();
        for thread in threads {
            assert_eq!(thread.join().unwrap(), ErrorKind::Closed);
        }
    }
}
