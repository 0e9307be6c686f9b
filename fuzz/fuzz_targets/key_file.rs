//! The files of the local key store, and keys to import.
#![no_main]

use std::sync::OnceLock;

use bulla_local::{
    KeyType, Protection, Store,
    fuzzing::{Files, import},
};
use libfuzzer_sys::fuzz_target;
use tempfile::TempDir;

/// A store with a key of each kind that is quick to make.
fn files() -> &'static Files {
    static FILES: OnceLock<(TempDir, Files)> = OnceLock::new();
    let (_, files) = FILES.get_or_init(|| {
        let dir = tempfile::tempdir().expect("a directory");
        let store = Store::at(dir.path().join("store"));
        for key_type in [KeyType::Aes256, KeyType::P256, KeyType::Ed25519] {
            let name = key_type.to_string();
            store.create_key(&name, key_type, &Protection::None).expect("a key");
        }
        let files = Files::of(&store);
        (dir, files)
    });
    files
}

fuzz_target!(|data: &[u8]| {
    files().read(data);
    import(data);
});
