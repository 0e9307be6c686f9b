//! What a released version compressed and sealed, this one opens.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of tests are tests too")]

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use bulla::{Context, Opener, format::Transform};
use bulla_local::{Local, Store};
use bulla_pipeline::Reading;
use tokio::io::AsyncReadExt as _;

/// Version control keeps no modes, and the store insists on them.
fn thaw(from: &Path, to: &Path) {
    use std::os::unix::fs::PermissionsExt as _;

    fs::create_dir_all(to).unwrap();
    fs::set_permissions(to, fs::Permissions::from_mode(0o700)).unwrap();
    for path in fs::read_dir(from).unwrap().map(|entry| entry.unwrap().path()) {
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            thaw(&path, &target);
        } else {
            fs::copy(&path, &target).unwrap();
            fs::set_permissions(&target, fs::Permissions::from_mode(0o600)).unwrap();
        }
    }
}

#[tokio::test]
async fn every_compressed_message_opens() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/frozen");
    let versions: Vec<PathBuf> =
        fs::read_dir(root).unwrap().map(|entry| entry.unwrap().path()).collect();
    let mut opened = 0;
    for version in versions {
        let dir = tempfile::tempdir().unwrap();
        thaw(&version.join("store"), &dir.path().join("store"));
        let store = Store::at(dir.path().join("store"));
        let vault = Arc::new(Local::builder(store).open_all().build().unwrap());
        let reading = Reading::builder(Opener::new([vault])).allow(Transform::Zstd).build();
        let index = fs::read_to_string(version.join("index.tsv")).unwrap();
        for line in index.lines().map(|line| line.split('\t').collect::<Vec<_>>()) {
            let [file, "zstd", len, key, item] = line[..] else { continue };
            let (key, item) = (key.split_once('=').unwrap(), item.split_once('=').unwrap());
            let context = Context::new().with_key(key.0, key.1).unwrap();
            let context = context.with_item(item.0, item.1).unwrap();
            let sealed = fs::read(version.join(file)).unwrap();
            let mut plaintext = Vec::new();
            let mut reader = reading.reader(&sealed[..], &context).await.unwrap();
            reader.read_to_end(&mut plaintext).await.unwrap();
            let pattern: Vec<u8> = (0..=250).cycle().take(len.parse().unwrap()).collect();
            assert!(plaintext == pattern, "{file}");
            opened += 1;
        }
    }
    assert!(opened > 0);
}
