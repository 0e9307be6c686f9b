//! What a released version sealed, this one opens.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    reason = "helpers of tests are tests too"
)]

use std::{
    fs,
    path::{Path, PathBuf},
};

use bulla::{
    Context, CryptoProviderExt, Error, ErrorKind, Opener,
    format::{Transform, from_text},
};
use bulla_local::{Local, Store};
use bulla_tests::{Frozen, pattern};
use tokio::io::AsyncReadExt;

/// Copies a frozen store to where its files can be the user's alone: version control keeps no modes.
fn thaw(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    private(to, 0o700);
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            thaw(&path, &target);
        } else {
            fs::copy(&path, &target).unwrap();
            private(&target, 0o600);
        }
    }
}

fn private(path: &Path, mode: u32) {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }
    let _ = (path, mode);
}

async fn open(vault: &Local, frozen: &Frozen, bytes: &[u8], context: &Context) -> Vec<u8> {
    match frozen.form.as_str() {
        "direct" => vault.decrypt_direct(bytes, context).await.unwrap().into_vec(),
        "text" => {
            let sealed = from_text(std::str::from_utf8(bytes).unwrap()).unwrap();
            vault.open(&sealed, context).await.unwrap().into_vec()
        }
        // What opens is compressed; the tests of bulla-pipeline turn it back.
        "zstd" => {
            let error = vault.open(bytes, context).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::ContextMismatch, "{}", frozen.file);
            let named = context.clone().with_transform(Transform::Zstd).unwrap();
            let frame = vault.open(bytes, &named).await.unwrap();
            assert!(frame.starts_with(&0xFD2F_B528_u32.to_le_bytes()));
            pattern(frozen.len)
        }
        "sealed" => {
            let mut reader = vault.decrypt_reader(bytes, context).await.unwrap();
            let mut out = Vec::new();
            reader.read_to_end(&mut out).await.map_err(Error::from_io).unwrap();
            assert!(*vault.open(bytes, context).await.unwrap() == out);
            out
        }
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn every_frozen_message_opens() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("frozen");
    let mut versions: Vec<PathBuf> =
        fs::read_dir(root).unwrap().map(|entry| entry.unwrap().path()).collect();
    versions.sort();
    assert!(!versions.is_empty());
    for version in versions {
        let dir = tempfile::tempdir().unwrap();
        let store = dir.path().join("store");
        thaw(&version.join("store"), &store);
        let vault = Local::builder(Store::at(&store)).open_all().build().unwrap();
        let index = fs::read_to_string(version.join("index.tsv")).unwrap();
        let mut opened = 0;
        for frozen in index.lines().map(Frozen::parse) {
            let bytes = fs::read(version.join(&frozen.file)).unwrap();
            let context = frozen.context().unwrap();
            let plain = open(&vault, &frozen, &bytes, &context).await;
            assert!(plain == pattern(frozen.len), "{}", frozen.file);
            opened += 1;
        }
        // Nothing lies there that the index does not name.
        assert_eq!(fs::read_dir(&version).unwrap().count(), opened + 2, "{}", version.display());
        assert!(opened > 20);
    }
}

#[tokio::test]
async fn either_recipient_opens_what_was_frozen_for_two() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("frozen/0.1.0");
    let dir = tempfile::tempdir().unwrap();
    let store = dir.path().join("store");
    thaw(&root.join("store"), &store);
    let bytes = fs::read(root.join("stream-1-v1.bulla")).unwrap();
    let context = Context::new().with_key("object", "a/b").unwrap().with_item("n", "1").unwrap();
    for name in ["app", "spare"] {
        let vault = Local::builder(Store::at(&store)).also_open(name).build().unwrap();
        let opened = Opener::new([&vault]).open(&bytes, &context).await.unwrap();
        assert!(*opened == pattern(65_536 + 9), "{name}");
    }
}
