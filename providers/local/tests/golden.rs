//! A store that was written once and must open forever.
//!
//! Never regenerate the files: if this test fails, the format has changed.
#![cfg(any(feature = "aws-lc-rs", feature = "rustcrypto"))]
#![allow(clippy::unwrap_used, reason = "helpers of tests are tests too")]

use std::{fs, path::Path};

use base64ct::{Base64, Encoding};
use bulla::{
    Encrypt, EncryptionContext, KeyName, KeyVersion, Wrapped,
    key::{KeyState, WrapAlgorithm},
};
use bulla_local::{ExportFormat, KeyType, Local, Passphrase, Store};
use tempfile::TempDir;

const PASSPHRASE: &str = "correct horse battery staple";

const ORDERS_ID: &str = "fa6aa876588007984bf6de8487210f51";

/// `golden`, encrypted in direct mode under version 2 of `orders` and `tenant = acme`.
const DIRECT: &str = "Ws+MS7txUMKrlM2H7WxMHmbAW4wghZ5/Qf3CeIDGMV9yAxds8HAR+VFLt7B6HPExHbQI06WxV/PI54\
                      rIgUpt0zAzEnj07pmpREtmi5J/";

/// A copy of the store that is the user's alone: version control keeps no such permissions.
fn golden() -> (TempDir, Store) {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("bulla");
    copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden"), &root);
    (dir, Store::at(root))
}

fn copy(from: &Path, to: &Path) {
    let mode = if from.is_dir() {
        fs::create_dir(to).unwrap();
        for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
            copy(&entry.path(), &to.join(entry.file_name()));
        }
        0o700
    } else {
        fs::copy(from, to).unwrap();
        0o600
    };
    #[cfg(unix)]
    fs::set_permissions(to, std::os::unix::fs::PermissionsExt::from_mode(mode)).unwrap();
    #[cfg(not(unix))]
    let _ = mode;
}

fn export(store: &Store, key: &str, version: u32) -> String {
    let passphrase = Passphrase::new(PASSPHRASE.to_owned());
    let exported = store.export(key, Some(version), ExportFormat::Jwk, Some(&passphrase));
    exported.unwrap().to_string()
}

#[test]
fn the_records_are_as_written() {
    let (_dir, store) = golden();
    let keys = store.keys().unwrap();
    let names: Vec<_> = keys.iter().map(|k| k.name.as_deref().unwrap()).collect();
    assert_eq!(names, ["orders", "session", "tokens"]);
    let orders = store.key("orders").unwrap();
    assert_eq!((orders.id.as_str(), orders.key_type), (ORDERS_ID, KeyType::Aes256));
    assert_eq!((orders.current, orders.created.to_string().as_str()), (2, "2026-11-21T04:25:53Z"));
    let states = |key: &str| {
        let versions = store.key(key).unwrap().versions;
        versions.iter().map(|v| (v.state, v.protected)).collect::<Vec<_>>()
    };
    assert_eq!(states("orders"), [(KeyState::Deprecated, false), (KeyState::Active, true)]);
    assert_eq!(states("tokens"), [(KeyState::Destroyed, false), (KeyState::Active, true)]);
    assert_eq!(states("session"), [(KeyState::Active, false)]);
}

#[test]
fn the_secret_keys_are_as_written() {
    let (_dir, store) = golden();
    assert_eq!(
        export(&store, "orders", 1),
        r#"{"kty":"oct","k":"AqNw6K9Jm1UA8AKqbXV9TFlCBOqQgBN5zly2sFgvcl8"}"#
    );
    assert_eq!(
        export(&store, "orders", 2),
        r#"{"kty":"oct","k":"qHlavmhxJq1wEq_LKLS2eFr-_5PBMlhyglO8ZqRBv9E"}"#
    );
}

#[cfg(feature = "aws-lc-rs")]
#[test]
fn the_private_keys_are_as_written() {
    let (_dir, store) = golden();
    assert_eq!(
        export(&store, "tokens", 2),
        r#"{"kty":"EC","crv":"P-256","x":"WKy0jF3PT7ksEY0QYD24AFCqsOUNJA-E_0m3logGIT8","y":"-WVeqTVRI9OrhGNYUa0ah8EASXVelyh1UxJdn-tP9Cs","d":"1b-Rgy5wkTY3fvYlJoySL3Wg284MZrVzpmpUZQdqf_o"}"#
    );
    assert_eq!(
        export(&store, "session", 1),
        r#"{"kty":"OKP","crv":"Ed25519","x":"J5OX7wF2wYQyzPa5x817mpzXLgVf6rxxUr0c6Xt7yi0","d":"yAQOtQ6AfpK37_gH-QIfmyzZ4Dr4ySV7ycdn-KQc6pA"}"#
    );
}

#[tokio::test]
async fn what_was_encrypted_decrypts() {
    let (_dir, store) = golden();
    let passphrase = Passphrase::new(PASSPHRASE.to_owned());
    let local = Local::builder(store).also_open("orders").passphrase(passphrase).build().unwrap();
    let sealed = Wrapped {
        key: KeyName::new("local", ORDERS_ID).unwrap(),
        version: Some(KeyVersion::parse("2").unwrap()),
        algorithm: WrapAlgorithm::Native,
        blob: Base64::decode_vec(DIRECT).unwrap(),
    };
    let context = EncryptionContext::from_pairs([("tenant", "acme")]).unwrap();
    assert_eq!(&*local.decrypt(&sealed, &context).await.unwrap(), b"golden");
}
