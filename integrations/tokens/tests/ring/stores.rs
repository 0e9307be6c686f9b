//! A ring in a file, and who else is there.

use std::{
    io::Read as _,
    process::{Command, Stdio},
    sync::Arc,
    time::Duration,
};

use bulla::ErrorKind;
use bulla_tokens::ring::{FileRing, KeyRing, RingStore, RotationPolicy, Waits};

use crate::world::Kms;

/// What every store does.
pub(crate) async fn is_a_store(store: Arc<dyn RingStore>) {
    assert_eq!(store.load().await.unwrap(), None);
    assert!(!store.replace(Some(b"none"), b"one").await.unwrap());
    assert_eq!(store.load().await.unwrap(), None);
    assert!(store.replace(None, b"one").await.unwrap());
    assert!(!store.replace(None, b"two").await.unwrap());
    assert_eq!(store.load().await.unwrap().as_deref(), Some(&b"one"[..]));
    assert!(!store.replace(Some(b"other"), b"two").await.unwrap());
    assert!(store.replace(Some(b"one"), b"two").await.unwrap());
    assert!(!store.replace(Some(b"one"), b"three").await.unwrap());
    assert_eq!(store.load().await.unwrap().as_deref(), Some(&b"two"[..]));

    // Of many who replace the same document, one does.
    let racers: Vec<_> = (0..16)
        .map(|racer| {
            let store = Arc::clone(&store);
            let new = format!("by {racer}");
            tokio::spawn(async move { store.replace(Some(b"two"), new.as_bytes()).await.unwrap() })
        })
        .collect();
    let mut winners = Vec::new();
    for (racer, won) in racers.into_iter().enumerate() {
        if won.await.unwrap() {
            winners.push(format!("by {racer}"));
        }
    }
    assert_eq!(winners.len(), 1);
    assert_eq!(store.load().await.unwrap().unwrap(), winners[0].as_bytes());
}

#[tokio::test(flavor = "multi_thread")]
async fn memory() {
    is_a_store(Arc::new(bulla_tokens::ring::MemoryRing::new())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file() {
    let dir = tempfile::tempdir().unwrap();
    is_a_store(Arc::new(FileRing::new(dir.path().join("keyring.json")))).await;
    let left: Vec<_> =
        std::fs::read_dir(dir.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(left.len(), 2, "the file and its lock: {left:?}");
}

#[tokio::test]
async fn a_file_that_can_t_be_had_is_told_of() {
    let dir = tempfile::tempdir().unwrap();
    let nowhere = FileRing::new(dir.path().join("none/keyring.json"));
    assert_eq!(nowhere.load().await.unwrap(), None);
    assert_eq!(nowhere.replace(None, b"x").await.unwrap_err().kind(), ErrorKind::Io);
    let directory = FileRing::new(dir.path());
    assert_eq!(directory.load().await.unwrap_err().kind(), ErrorKind::Io);
}

#[cfg(unix)]
#[tokio::test]
async fn a_file_keeps_its_mode_and_a_new_one_is_its_owners() {
    use std::os::unix::fs::PermissionsExt as _;

    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("keyring.json");
    let store = FileRing::new(&path);
    let mode = || std::fs::metadata(&path).unwrap().permissions().mode() & 0o777;
    store.replace(None, b"one").await.unwrap();
    assert_eq!(mode(), 0o600);
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
    store.replace(Some(b"one"), b"two").await.unwrap();
    assert_eq!(mode(), 0o640);
}

/// Two ways to one file are one ring, and the link is still one afterwards.
#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn a_link_leads_to_the_one_file() {
    let dir = tempfile::tempdir().unwrap();
    let (file, link) = (dir.path().join("keyring.json"), dir.path().join("link.json"));
    std::os::unix::fs::symlink(&file, &link).unwrap();
    let (direct, linked) = (FileRing::new(&file), FileRing::new(&link));
    // It leads nowhere yet: nothing is put in its place.
    assert!(linked.replace(None, b"one").await.is_err());
    assert!(link.is_symlink());
    assert!(direct.replace(None, b"one").await.unwrap());
    assert!(linked.replace(Some(b"one"), b"two").await.unwrap());
    assert!(link.is_symlink());
    assert_eq!(std::fs::read(&file).unwrap(), b"two");
    assert!(!dir.path().join("link.json.lock").exists(), "one lock for both");
}

/// A user who can't hand the file on to its owner leaves it as it is.
#[cfg(unix)]
#[test]
fn a_file_of_another_user_is_not_taken_from_whoever_reads_it() {
    use std::os::unix::{fs::PermissionsExt as _, process::CommandExt as _};

    // Only root can be two users.
    if !rustix::process::geteuid().is_root() {
        eprintln!("SKIPPED: it takes root to be another user");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let open = |path: &std::path::Path, mode| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    open(dir.path(), 0o777);
    let path = dir.path().join("keyring.json");
    std::fs::write(&path, "one").unwrap();
    open(&path, 0o644);
    let nobody = 65_534;
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args(["--exact", "stores::a_child_replaces", "--nocapture"]).env(REPLACES, &path);
    let ended = child.uid(nobody).gid(nobody).current_dir("/").output().unwrap();
    let said = String::from_utf8_lossy(&ended.stdout);
    assert!(ended.status.success() && said.contains("Denied"), "{said}");
    assert_eq!(std::fs::read(&path).unwrap(), b"one");
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o644);
}

const REPLACES: &str = "BULLA_RING_THAT_A_CHILD_REPLACES";

/// What the user does of the test before.
#[tokio::test]
async fn a_child_replaces() {
    let Ok(path) = std::env::var(REPLACES) else { return };
    let error = FileRing::new(path).replace(Some(b"one"), b"two").await.unwrap_err();
    println!("{:?}: {error}", error.kind());
}

/// A caller who gives up leaves the old document or the new one.
#[tokio::test]
async fn a_future_that_is_dropped_leaves_a_whole_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("keyring.json");
    let store = FileRing::new(&path);
    store.replace(None, b"0").await.unwrap();
    let long = vec![b'x'; 500_000];
    for round in 0..20 {
        let now = store.load().await.unwrap().unwrap();
        let new = [round.to_string().as_bytes(), &long].concat();
        let give_up = tokio::time::timeout(
            Duration::from_micros(50 * round),
            store.replace(Some(&now), &new),
        );
        let _ = give_up.await;
        // The lock is free when whoever holds it is done.
        let now = store.load().await.unwrap().unwrap();
        assert!(now.len() == 1 || now.len() >= long.len());
    }
}

const CHILD: &str = "BULLA_RING_OF_A_CHILD";

/// What a process does that is started by the next tests.
#[tokio::test]
async fn a_child_rotates() {
    let Ok(path) = std::env::var(CHILD) else { return };
    let (kms, ring) = (Kms::new(), KeyRing::new(FileRing::new(path)));
    loop {
        let published = ring.publish(&kms.maker()).await.map(|changes| changes.len());
        let promoted = ring.promote(Waits::Skip).await.map(|changes| changes.len());
        let current = ring.load().await.unwrap();
        for key in current.live().filter(|key| key.retired.is_some()) {
            ring.remove(key.kid.as_str(), Waits::Skip).await.map(drop).unwrap_or_default();
        }
        for error in [published, promoted].into_iter().filter_map(Result::err) {
            let kind = error.kind();
            assert!(
                matches!(
                    kind,
                    ErrorKind::AlreadyExists | ErrorKind::NotFound | ErrorKind::Unavailable
                ),
                "{error}"
            );
        }
    }
}

fn child(path: &std::path::Path) -> std::process::Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "stores::a_child_rotates", "--nocapture"])
        .env(CHILD, path)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Processes that rotate one ring at once are killed at any moment: what is left is a ring, every time.
#[tokio::test]
async fn processes_that_are_killed_leave_a_ring() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("keyring.json");
    let ring = KeyRing::new(FileRing::new(&path));
    let kms = Kms::new();
    ring.init("tokens", RotationPolicy::default(), &kms.maker()).await.unwrap();
    let mut last = None;
    for _ in 0..10 {
        let mut children = [child(&path), child(&path)];
        // Until they have rotated, however busy the machine is, and then for some time.
        loop {
            let now = ring.load().await.unwrap().signing().unwrap().kid.clone();
            if last.as_ref() != Some(&now) {
                last = Some(now);
                break;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        tokio::time::sleep(Duration::from_millis(fastrand::u64(..60))).await;
        for child in &mut children {
            child.kill().unwrap();
            child.wait().unwrap();
            let mut said = String::new();
            child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
            assert!(!said.contains("panicked"), "{said}");
        }
        let after = ring.load().await.unwrap();
        assert!(after.live().count() <= 3, "{after:?}");
    }
    // And whoever comes next is kept from nothing.
    let next = ring.load().await.unwrap();
    if next.next().is_none() {
        ring.publish(&kms.maker()).await.unwrap();
    }
    ring.promote(Waits::Skip).await.unwrap();
}
