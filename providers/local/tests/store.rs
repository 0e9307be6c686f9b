//! The store: what it makes, what it refuses, and what it survives.
#![cfg(any(feature = "aws-lc-rs", feature = "rustcrypto"))]
#![allow(clippy::unwrap_used, reason = "helpers of tests are tests too")]

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{
        Arc, Barrier, Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    thread,
    time::Duration,
};

use bulla::{ErrorKind, key::KeyState};
use bulla_local::{KeyType, Local, Passphrase, Protection, Store};
use tempfile::TempDir;

fn new_store() -> (TempDir, Store) {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::at(dir.path().join("bulla"));
    (dir, store)
}

fn aes(store: &Store, name: &str) -> String {
    store.create_key(name, KeyType::Aes256, &Protection::None).unwrap().id
}

fn key_file(store: &Store, id: &str, file: &str) -> PathBuf {
    store.path().join("keys").join(id).join(file)
}

/// Every file and directory under `path`, itself included.
fn walk(path: &Path) -> Vec<PathBuf> {
    let mut found = vec![path.to_owned()];
    if path.is_dir() {
        found.extend(fs::read_dir(path).unwrap().flat_map(|e| walk(&e.unwrap().path())));
    }
    found
}

#[test]
fn keys_are_made_listed_and_found() {
    let (_dir, store) = new_store();
    assert!(!store.exists());
    assert_eq!(store.keys().unwrap(), []);
    assert_eq!(store.key("orders").unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(store.rotate("orders", &Protection::None).unwrap_err().kind(), ErrorKind::NotFound);
    assert!(!store.path().exists(), "looking makes nothing");

    let id = aes(&store, "orders");
    aes(&store, "accounts");
    let names: Vec<_> = store.keys().unwrap().into_iter().map(|k| k.name.unwrap()).collect();
    assert_eq!(names, ["accounts", "orders"]);
    let record = store.key("orders").unwrap();
    assert_eq!(record, store.key(&id).unwrap());
    assert_eq!((record.key_type, record.current), (KeyType::Aes256, 1));
    assert_eq!(record.versions.len(), 1);
    assert!(!record.versions[0].protected);
    assert_eq!(record.state(), KeyState::Active);

    let error = store.key("order").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.message().contains("\"order\""), "{error}");
    for name in ["../keys", "", ".", "a/b", "\u{1b}[2J"] {
        assert_eq!(store.key(name).unwrap_err().kind(), ErrorKind::NotFound);
        let made = store.create_key(name, KeyType::Aes256, &Protection::None);
        assert_eq!(made.unwrap_err().kind(), ErrorKind::InvalidInput);
    }
}

#[test]
fn a_taken_name_stays_and_nothing_is_left_behind() {
    let (_dir, store) = new_store();
    let id = aes(&store, "orders");
    let before = walk(store.path()).len();
    let error = store.create_key("orders", KeyType::Aes256, &Protection::None).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AlreadyExists);
    assert_eq!(walk(store.path()).len(), before);
    assert_eq!(store.key("orders").unwrap().id, id);
}

#[test]
fn of_many_who_want_one_name_one_gets_it() {
    let (_dir, store) = new_store();
    let start = Barrier::new(16);
    let won = thread::scope(|scope| {
        let one = || {
            start.wait();
            store.create_key("orders", KeyType::Aes256, &Protection::None)
        };
        let threads: Vec<_> = (0..16).map(|_| scope.spawn(one)).collect();
        let results = threads.into_iter().map(|t| t.join().unwrap());
        let is_won = |r: &Result<_, bulla::Error>| match r {
            Ok(_) => true,
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::AlreadyExists, "{error}");
                false
            }
        };
        results.filter(is_won).count()
    });
    assert_eq!(won, 1);
    assert_eq!(store.keys().unwrap().len(), 1);
}

#[test]
fn rotations_of_many_threads_all_count() {
    let (_dir, store) = new_store();
    aes(&store, "orders");
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| store.rotate("orders", &Protection::None).unwrap());
        }
    });
    let record = store.key("orders").unwrap();
    assert_eq!(record.current, 9);
    assert_eq!(record.versions.len(), 9);
}

/// Takes the lock of a store, as another program would.
fn held(store: &Store) -> fs::File {
    let lock = fs::File::open(store.path().join("lock")).unwrap();
    lock.lock().unwrap();
    lock
}

#[test]
fn a_lock_that_is_kept_is_not_waited_for_without_end() {
    let (_dir, store) = new_store();
    let id = aes(&store, "orders");
    let lock = held(&store);
    let waits = Arc::new(AtomicUsize::new(0));
    let impatient = store.clone().lock_timeout(Duration::from_millis(50)).on_wait({
        let (waits, path) = (Arc::clone(&waits), store.path().join("lock"));
        move |told| {
            assert_eq!(told, path);
            waits.fetch_add(1, SeqCst);
        }
    });
    let none = Protection::None;
    for result in [
        impatient.create_key("other", KeyType::Aes256, &none),
        impatient.rotate("orders", &none),
        impatient.set_current("orders", 1),
        impatient.set_state("orders", None, KeyState::Disabled),
        impatient.destroy("orders", None),
    ] {
        let error = result.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Timeout);
        let path = store.path().join("lock");
        assert!(error.message().contains(path.to_str().unwrap()), "{error}");
        assert!(error.message().contains("nothing was changed; try again"), "{error}");
    }
    assert_eq!(waits.load(SeqCst), 5, "once for each change");
    // Who doesn't want to wait at all doesn't hear of waiting.
    let hasty = impatient.clone().lock_timeout(Duration::ZERO);
    assert_eq!(hasty.rotate("orders", &none).unwrap_err().kind(), ErrorKind::Timeout);
    assert_eq!(waits.load(SeqCst), 5);
    // Reading needs no lock.
    assert_eq!(store.key("orders").unwrap().id, id);
    assert_eq!(store.keys().unwrap().len(), 1);
    drop(lock);
    assert_eq!(hasty.rotate("orders", &none).unwrap().current, 2);
    assert_eq!(waits.load(SeqCst), 5);
}

#[test]
fn a_change_goes_on_when_the_lock_is_free() {
    let (_dir, store) = new_store();
    aes(&store, "orders");
    let lock = Mutex::new(Some(held(&store)));
    let patient = store.on_wait(move |_| drop(lock.lock().unwrap().take()));
    assert_eq!(patient.rotate("orders", &Protection::None).unwrap().current, 2);
}

#[cfg(unix)]
mod permissions {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, symlink};

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o7777
    }

    #[test]
    fn everything_is_the_users_alone() {
        let (_dir, store) = new_store();
        aes(&store, "orders");
        store.rotate("orders", &Protection::None).unwrap();
        for path in walk(store.path()) {
            let right = if path.is_dir() { 0o700 } else { 0o600 };
            assert_eq!(mode(&path), right, "{}", path.display());
        }
    }

    #[test]
    fn what_others_may_touch_is_refused_with_the_remedy() {
        let (_dir, store) = new_store();
        let id = aes(&store, "orders");
        let checked = [
            store.path().to_owned(),
            store.path().join("keys"),
            store.path().join("names"),
            store.path().join("names/orders"),
            store.path().join("keys").join(&id),
            key_file(&store, &id, "key.json"),
            key_file(&store, &id, "state.json"),
            key_file(&store, &id, "v1.json"),
        ];
        for path in checked {
            let right = mode(&path);
            for bit in [0o040, 0o020, 0o010, 0o004, 0o002, 0o001] {
                fs::set_permissions(&path, PermissionsExt::from_mode(right | bit)).unwrap();
                let error =
                    Local::builder(store.clone()).sealing_key("orders").build().unwrap_err();
                assert_eq!(error.kind(), ErrorKind::Denied, "{}", path.display());
                let remedy = format!("chmod {:o} '{}'", right, path.display());
                assert!(error.message().contains(&remedy), "{error}");
                assert!(error.message().contains(&format!("{:04o}", right | bit)), "{error}");
            }
            fs::set_permissions(&path, PermissionsExt::from_mode(right)).unwrap();
        }
        assert!(Local::builder(store).sealing_key("orders").build().is_ok());
    }

    #[test]
    fn symbolic_links_inside_the_store_are_refused() {
        let (dir, store) = new_store();
        let id = aes(&store, "orders");
        for path in ["names/orders", &format!("keys/{id}/v1.json"), &format!("keys/{id}"), "keys"] {
            let (path, aside) = (store.path().join(path), dir.path().join("aside"));
            fs::rename(&path, &aside).unwrap();
            symlink(&aside, &path).unwrap();
            let error = Local::builder(store.clone()).sealing_key("orders").build().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Denied, "{error}");
            fs::remove_file(&path).unwrap();
            fs::rename(&aside, &path).unwrap();
        }
        let link = dir.path().join("link");
        symlink(store.path(), &link).unwrap();
        assert!(Store::at(link).key("orders").is_ok(), "the root itself may be reached by a link");
    }
}

mod crashes {
    use super::*;

    #[test]
    fn an_unfinished_key_is_ignored_and_then_removed() {
        let (_dir, store) = new_store();
        aes(&store, "orders");
        let unfinished = store.path().join("keys/.new-abc");
        fs::create_dir(&unfinished).unwrap();
        fs::write(unfinished.join("key.json"), b"{").unwrap();
        fs::write(store.path().join("names/.new-abc"), b"").unwrap();
        assert_eq!(store.keys().unwrap().len(), 1);
        aes(&store, "accounts");
        assert!(!unfinished.exists());
        assert_eq!(store.keys().unwrap().len(), 2);
    }

    #[test]
    fn a_key_without_a_name_is_found_by_its_id() {
        let (_dir, store) = new_store();
        let id = aes(&store, "orders");
        fs::remove_file(store.path().join("names/orders")).unwrap();
        assert_eq!(store.key("orders").unwrap_err().kind(), ErrorKind::NotFound);
        assert_eq!(store.key(&id).unwrap().name, None);
        aes(&store, "accounts");
        let names: Vec<_> = store.keys().unwrap().into_iter().map(|k| k.name).collect();
        assert_eq!(names, [Some("accounts".to_owned()), None]);
    }

    #[test]
    fn an_unlisted_version_is_never_overwritten() {
        let (_dir, store) = new_store();
        let id = aes(&store, "orders");
        let state = fs::read(key_file(&store, &id, "state.json")).unwrap();
        store.rotate("orders", &Protection::None).unwrap();
        let lost = fs::read(key_file(&store, &id, "v2.json")).unwrap();
        // As after a crash between the two files, or an old state.json from a backup.
        fs::write(key_file(&store, &id, "state.json"), state).unwrap();
        assert_eq!(store.key("orders").unwrap().current, 1);
        assert_eq!(store.rotate("orders", &Protection::None).unwrap().current, 3);
        assert_eq!(fs::read(key_file(&store, &id, "v2.json")).unwrap(), lost);
    }

    #[test]
    fn a_half_destroyed_version_is_finished_off() {
        let (_dir, store) = new_store();
        let id = aes(&store, "orders");
        let file = fs::read(key_file(&store, &id, "v1.json")).unwrap();
        store.rotate("orders", &Protection::None).unwrap();
        store.destroy("orders", Some(1)).unwrap();
        assert!(!key_file(&store, &id, "v1.json").exists());
        fs::write(key_file(&store, &id, "v1.json"), file).unwrap();
        store.destroy("orders", Some(1)).unwrap();
        assert!(!key_file(&store, &id, "v1.json").exists());
    }

    #[test]
    fn what_cannot_be_swept_fails_the_destruction_and_nothing_else() {
        let (_dir, store) = new_store();
        let id = aes(&store, "orders");
        store.rotate("orders", &Protection::None).unwrap();
        store.destroy("orders", Some(1)).unwrap();
        fs::create_dir(key_file(&store, &id, "v1.json")).unwrap();
        assert_eq!(store.rotate("orders", &Protection::None).unwrap().current, 3);
        store.set_state("orders", Some(2), KeyState::Deprecated).unwrap();
        assert!(store.destroy("orders", Some(1)).is_err(), "its file is still there");
        fs::remove_dir(key_file(&store, &id, "v1.json")).unwrap();
        store.destroy("orders", Some(1)).unwrap();
    }

    #[test]
    fn a_store_cut_off_while_being_made_can_be_finished() {
        let (_dir, store) = new_store();
        let mut builder = fs::DirBuilder::new();
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(store.path()).unwrap();
        assert_eq!(store.keys().unwrap(), []);
        aes(&store, "orders");
        assert_eq!(store.keys().unwrap().len(), 1);
    }
}

#[test]
fn states_follow_the_rules() {
    use KeyState::*;
    let (_dir, store) = new_store();
    aes(&store, "orders");
    let second = store.rotate("orders", &Protection::None).unwrap();
    assert_eq!(second.current, 2);
    assert_eq!(store.set_current("orders", 1).unwrap().current, 1);
    assert_eq!(store.set_current("orders", 3).unwrap_err().kind(), ErrorKind::NotFound);

    for state in [Deprecated, Disabled] {
        let record = store.set_state("orders", Some(2), state).unwrap();
        assert_eq!(record.version(2).unwrap().state, state);
        assert_eq!(store.set_current("orders", 2).unwrap_err().kind(), ErrorKind::Disabled);
    }
    for state in [PendingDeletion, Destroyed] {
        let error = store.set_state("orders", None, state).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
    }
    store.set_state("orders", Some(2), Active).unwrap();
    assert_eq!(store.set_current("orders", 2).unwrap().current, 2);

    let record = store.destroy("orders", Some(1)).unwrap();
    assert_eq!(record.version(1).unwrap().state, Destroyed);
    assert_eq!(store.set_current("orders", 1).unwrap_err().kind(), ErrorKind::Destroyed);
    let error = store.set_state("orders", Some(1), Active).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Destroyed);
    let record = store.set_state("orders", None, Disabled).unwrap();
    assert_eq!(record.version(1).unwrap().state, Destroyed, "destroyed stays destroyed");
    assert_eq!(record.state(), Disabled);

    store.destroy("orders", None).unwrap();
    assert_eq!(store.destroy("orders", None).unwrap().state(), Destroyed);
    assert_eq!(store.destroy("orders", Some(9)).unwrap_err().kind(), ErrorKind::NotFound);
    let error = store.set_state("orders", None, Active).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Destroyed);
    assert_eq!(store.rotate("orders", &Protection::None).unwrap().current, 3);
}

#[test]
fn a_protected_key_needs_its_passphrase() {
    let (_dir, store) = new_store();
    let right = Passphrase::new("correct horse".to_owned());
    let protection = Protection::Passphrase(right.clone());
    let record = store.create_key("orders", KeyType::Aes256, &protection).unwrap();
    assert!(record.versions[0].protected);

    let build = |passphrases: &[&Passphrase]| {
        let builder = Local::builder(store.clone()).sealing_key("orders");
        passphrases.iter().fold(builder, |b, p| b.passphrase((*p).clone())).build()
    };
    let wrong = Passphrase::new("wrong".to_owned());
    assert_eq!(build(&[]).unwrap_err().kind(), ErrorKind::InvalidInput);
    let error = build(&[&wrong]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotAuthentic);
    assert!(error.message().contains("wrong passphrase"), "{error}");
    assert!(build(&[&right]).is_ok());
    assert!(build(&[&wrong, &right]).is_ok());

    let empty = Protection::Passphrase(Passphrase::new(String::new()));
    let error = store.create_key("other", KeyType::Aes256, &empty).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert_eq!(store.keys().unwrap().len(), 1);
}

#[test]
fn a_protected_key_stays_protected() {
    let (_dir, store) = new_store();
    let protection = Protection::Passphrase(Passphrase::new("p".to_owned()));
    store.create_key("orders", KeyType::Aes256, &protection).unwrap();
    let error = store.rotate("orders", &Protection::None).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(error.message().contains("passphrase"), "{error}");
    assert_eq!(store.key("orders").unwrap().versions.len(), 1);
    // Another passphrase is fine, and a key without one may get one.
    store.rotate("orders", &Protection::Passphrase(Passphrase::new("q".to_owned()))).unwrap();
    aes(&store, "accounts");
    assert!(store.rotate("accounts", &protection).unwrap().versions[1].protected);
}

#[test]
fn an_aes_jwk_for_another_use_is_refused() {
    let (_dir, store) = new_store();
    let import = |name: &str, members: &str| {
        let k = "AqNw6K9Jm1UA8AKqbXV9TFlCBOqQgBN5zly2sFgvcl8";
        let jwk = format!(r#"{{"kty":"oct","k":"{k}"{members}}}"#);
        store.import(name, jwk.as_bytes(), &Protection::None)
    };
    let good = [
        "",
        r#","alg":"A256GCM""#,
        r#","alg":"A256GCMKW","use":"enc""#,
        r#","alg":"A256KW","key_ops":["wrapKey","unwrapKey"]"#,
        r#","alg":"dir","key_ops":["decrypt","encrypt"]"#,
        r#","key_ops":["decrypt","encrypt","wrapKey","unwrapKey"],"kid":"1","ext":true"#,
    ];
    for (at, members) in good.into_iter().enumerate() {
        import(&format!("good-{at}"), members).unwrap();
    }
    for members in [
        r#","alg":"HS256""#,
        r#","alg":"A128GCM""#,
        r#","alg":"""#,
        r#","use":"sig""#,
        r#","key_ops":[]"#,
        r#","key_ops":["sign","verify"]"#,
        r#","key_ops":["decrypt"]"#,
        r#","key_ops":["encrypt","wrapKey"]"#,
        r#","key_ops":["encrypt","decrypt","deriveKey"]"#,
        r#","alg":1"#,
        r#","key_ops":"encrypt""#,
    ] {
        let error = import("bad", members).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{members}");
    }
    let error = import("bad", r#","alg":"HS256""#).unwrap_err();
    assert!(error.message().contains("\"alg\""), "{error}");
}

#[test]
fn the_default_is_bulla_home_or_the_data_directory() {
    let ask = |bulla_home: Option<&str>| {
        let mut child = std::process::Command::new(std::env::current_exe().unwrap());
        child.args(["--exact", "prints_the_default_path", "--ignored", "--nocapture"]);
        child.env_remove("XDG_DATA_HOME").env_remove("BULLA_HOME").env("HOME", "/home/somebody");
        child.envs(bulla_home.map(|home| ("BULLA_HOME", home)));
        String::from_utf8(child.output().unwrap().stdout).unwrap()
    };
    assert!(ask(Some("/srv/keys")).contains("path=/srv/keys\n"));
    if cfg!(target_os = "linux") {
        for bulla_home in [None, Some("")] {
            assert!(ask(bulla_home).contains("path=/home/somebody/.local/share/bulla\n"));
        }
    }
}

#[test]
#[ignore = "run by another test, with an environment of its own"]
fn prints_the_default_path() {
    println!("\npath={}", Store::default_path().unwrap().display());
}

#[cfg(unix)]
#[test]
fn a_store_that_cannot_be_made_or_read_is_an_error() {
    let (dir, _) = new_store();
    let file = dir.path().join("file");
    fs::write(&file, b"").unwrap();
    let store = Store::at(file.join("bulla"));
    assert_eq!(store.keys().unwrap_err().kind(), ErrorKind::Io);
    let made = store.create_key("orders", KeyType::Aes256, &Protection::None);
    assert_eq!(made.unwrap_err().kind(), ErrorKind::Io);
}
