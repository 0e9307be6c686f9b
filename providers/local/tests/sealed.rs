//! Signing keys that are kept sealed.
#![cfg(feature = "aws-lc-rs")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of tests are tests too")]

use std::sync::Arc;

use bulla::{
    Context, CryptoProvider, CryptoProviderExt as _, ErrorKind, KeyVersion, Opener, Sealer,
    Sign as _, SigningInput, format::Preamble, key::KeyState,
};
use bulla_local::{KeyType, Local, Protection, SealedKeys, Store};
use tempfile::TempDir;

struct Place {
    _dir: TempDir,
    kms: Arc<Local>,
}

/// A key store in the place of a KMS.
fn place() -> Place {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::at(dir.path().join("bulla"));
    store.create_key("kek", KeyType::Aes256, &Protection::None).unwrap();
    let kms = Local::builder(store).sealing_key("kek").build().unwrap();
    Place { _dir: dir, kms: Arc::new(kms) }
}

impl Place {
    async fn create(&self, version: &str, key_type: KeyType) -> Vec<u8> {
        let sealer = Sealer::new(Arc::clone(&self.kms)).unwrap();
        SealedKeys::create(&sealer, "tokens", version, key_type).await.unwrap()
    }

    fn opener(&self) -> Opener<Arc<Local>> {
        Opener::new([Arc::clone(&self.kms)])
    }
}

#[tokio::test]
async fn every_type_signs_without_the_kms_once_it_is_open() {
    for key_type in KeyType::ALL.into_iter().filter(|key_type| !key_type.seals()) {
        let place = place();
        let sealed = place.create("1", key_type).await;
        let keys = SealedKeys::builder("tokens").version("1", sealed);
        let keys = keys.open(&place.opener()).await.unwrap();
        place.kms.close().await.unwrap();
        let key = &keys.public_keys().await.unwrap()[0];
        assert_eq!((key.key.to_string().as_str(), key.version.as_str()), ("sealed:tokens", "1"));
        assert!(key.current && key.algorithms == key_type.signing_algorithms());
        for algorithm in &key.algorithms {
            let input = SigningInput::new(*algorithm, b"message");
            let signature = keys.sign(key, &input).await.unwrap();
            bulla::signing::verify(key, &input, &signature).unwrap();
            let other = SigningInput::new(*algorithm, b"another");
            let error = bulla::signing::verify(key, &other, &signature).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::NotAuthentic);
        }
    }
}

#[tokio::test]
async fn a_sealed_key_is_one_version_of_one_name() {
    let place = place();
    let sealed = place.create("2026-11", KeyType::Ed25519).await;
    let open = async |name: &str, version: &str, sealed: &[u8]| {
        let keys = SealedKeys::builder(name).version(version, sealed);
        keys.open(&place.opener()).await.map(drop).map_err(|e| e.kind())
    };
    assert_eq!(open("tokens", "2026-11", &sealed).await, Ok(()));
    for (name, version) in [("tokens", "2026-12"), ("other", "2026-11")] {
        assert_eq!(open(name, version, &sealed).await, Err(ErrorKind::ContextMismatch));
    }
    for at in 0..sealed.len() {
        let mut altered = sealed.clone();
        altered[at] ^= 1;
        assert!(open("tokens", "2026-11", &altered).await.is_err(), "byte {at}");
        assert!(open("tokens", "2026-11", &sealed[..at]).await.is_err(), "cut at {at}");
    }
    let long = [sealed, vec![0; 80 << 10]].concat();
    assert_eq!(open("tokens", "2026-11", &long).await, Err(ErrorKind::InvalidInput));

    // What was sealed for something else is no key, even under the same context.
    let pairs = [("use", "signing-key"), ("key", "tokens"), ("version", "1")];
    let context = pairs.iter().try_fold(Context::new(), |c, (k, v)| c.with_key(*k, *v)).unwrap();
    let text = place.kms.seal(b"no key", &context).await.unwrap();
    assert_eq!(open("tokens", "1", &text).await, Err(ErrorKind::Damaged));
    let plain = place.kms.seal(b"no key", &Context::new()).await.unwrap();
    assert_eq!(open("tokens", "1", &plain).await, Err(ErrorKind::NotAuthentic));
}

#[tokio::test]
async fn versions_follow_one_another() {
    let place = place();
    let (one, two) =
        (place.create("1", KeyType::P256).await, place.create("2", KeyType::Ed25519).await);
    let builder = SealedKeys::builder("tokens").version("1", one.clone()).version("2", two.clone());
    let both = builder.clone().current("1").open(&place.opener()).await.unwrap();
    let keys = both.public_keys().await.unwrap();
    assert_eq!(keys.iter().map(|key| key.current).collect::<Vec<_>>(), [true, false]);
    let after = builder.open(&place.opener()).await.unwrap();
    assert!(after.public_keys().await.unwrap()[1].current);

    // The first one goes; its public half stays for a while.
    let spki = keys[0].spki.clone();
    let later = SealedKeys::builder("tokens").verifies("1", KeyType::P256, spki).version("2", two);
    let later = later.open(&place.opener()).await.unwrap();
    let left = later.public_keys().await.unwrap();
    assert_eq!((left[0].state, left[0].current), (KeyState::Deprecated, false));
    assert_eq!(left[0].spki, keys[0].spki);
    let input = SigningInput::new(left[0].algorithms[0], b"message");
    let signature = both.sign(&keys[0], &input).await.unwrap();
    bulla::signing::verify(&left[0], &input, &signature).unwrap();
    assert_eq!(later.sign(&left[0], &input).await.unwrap_err().kind(), ErrorKind::Disabled);
    let mut gone = left[0].clone();
    gone.version = KeyVersion::parse("9").unwrap();
    assert_eq!(later.sign(&gone, &input).await.unwrap_err().kind(), ErrorKind::NotFound);
    let wrong = later.sign(&left[1], &input).await.unwrap_err();
    assert_eq!(wrong.kind(), ErrorKind::InvalidInput);
}

#[tokio::test]
async fn what_can_not_sign_is_refused_before_a_call() {
    let place = place();
    let sealer = Sealer::new(Arc::clone(&place.kms)).unwrap();
    for (name, version, key_type) in [
        ("", "1", KeyType::P256),
        ("tokens", "", KeyType::P256),
        ("tokens", "1/2", KeyType::P256),
        ("tokens", "1", KeyType::Aes256),
    ] {
        let refused = SealedKeys::create(&sealer, name, version, key_type).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::InvalidInput, "{name} {version} {key_type}");
    }
    let sealed = place.create("1", KeyType::P256).await;
    let none = SealedKeys::builder("tokens");
    let twice = none.clone().version("1", sealed.clone()).version("1", sealed.clone());
    let other = none.clone().version("1", sealed.clone()).current("2");
    let public = none.clone().verifies("1", KeyType::P256, vec![0; 91]);
    for builder in [none, twice, other, public] {
        let refused = builder.open(&place.opener()).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::InvalidInput);
    }
}

#[tokio::test]
async fn an_operator_sees_what_a_sealed_key_is_for_and_no_secret() {
    let place = place();
    let sealed = place.create("1", KeyType::P256).await;
    let (head, _) = Preamble::split(&sealed).unwrap();
    let pairs: Vec<_> = head.header().stored_context().iter().collect();
    assert_eq!(pairs, [("key", "tokens"), ("use", "signing-key"), ("version", "1")]);
    let builder = SealedKeys::builder("tokens").version("1", sealed);
    let shown = format!("{builder:?} {:?}", builder.clone().open(&place.opener()).await.unwrap());
    assert!(shown.contains("tokens") && shown.len() < 300, "{shown}");
}
