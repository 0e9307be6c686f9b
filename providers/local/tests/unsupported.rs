//! Without AWS-LC there are no asymmetric keys, and that is said.
#![cfg(all(feature = "rustcrypto", not(feature = "aws-lc-rs")))]

use bulla::ErrorKind;
use bulla_local::{ExportFormat, KeyType, Protection, Store};

#[test]
fn asymmetric_keys_are_unsupported() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::at(dir.path().join("bulla"));
    for key_type in KeyType::ALL.into_iter().filter(|t| !t.seals()) {
        let error = store.create_key("k", key_type, &Protection::None).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert!(error.message().contains("aws-lc-rs"), "{error}");
    }
    let pem = b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
    let error = store.import("k", pem, &Protection::None).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(!store.exists());
}

#[test]
fn aes_keys_are_imported_and_exported() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::at(dir.path().join("bulla"));
    store.create_key("k", KeyType::Aes256, &Protection::None).unwrap();
    let jwk = store.export("k", None, ExportFormat::Jwk, None).unwrap();
    let again = store.import("again", jwk.as_bytes(), &Protection::None).unwrap();
    assert_eq!(again.key_type, KeyType::Aes256);
    assert_eq!(store.export("again", None, ExportFormat::Jwk, None).unwrap(), jwk);
}
