//! Keys in all their states, and what each call costs.

#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "helpers of tests are tests too"
)]

mod world;

use std::{
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use bulla::{
    Context, CryptoProvider, CryptoProviderExt as _, DataKey, DataKeys, Encrypt, ErrorKind,
    KeyVersion, Opener, Sealer, Sign, SigningAlgorithm, SigningInput, Wrapped,
    key::{KeyState, WrapAlgorithm},
    provider::ContextBinding,
};
use bulla_testworld::azure::{Azure, Kind};
use world::{HSM, SIGNS, VAULT, WRAPS, acme, builder, context};

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

async fn build_error(azure: &Azure, key: &str) -> bulla::Error {
    builder(azure, VAULT).sealing_key(key).build().await.unwrap_err()
}

#[tokio::test]
async fn each_call_takes_the_requests_that_are_told() {
    let (azure, acme) = acme().await;
    assert_eq!((azure.count("challenge"), azure.count("token"), azure.count("get")), (1, 1, 2));
    let before = azure.total();
    let (key, wrapped) = acme.generate_data_key(&context()).await.unwrap();
    acme.wrap_data_key(&key, &context()).await.unwrap();
    acme.unwrap_data_key(&wrapped, &context()).await.unwrap();
    assert_eq!((azure.count("wrapkey"), azure.count("unwrapkey")), (2, 1));
    let public = acme.public_keys().await.unwrap().remove(0);
    assert_eq!((azure.count("get"), azure.count("versions")), (3, 1));
    let input = SigningInput::new(SigningAlgorithm::Es256, b"message");
    let signature = acme.sign(&public, &input).await.unwrap();
    acme.verify(&public, &input, &signature).unwrap();
    acme.health().await.unwrap();
    acme.describe_keys().await;
    assert_eq!((azure.count("sign"), azure.count("get")), (1, 6));
    assert_eq!(azure.total() - before, 3 + 2 + 1 + 1 + 2);
    // What is refused before the network.
    let before = azure.total();
    acme.encrypt(b"payload", &context()).await.unwrap_err();
    let mut other = wrapped.clone();
    other.version = Some(KeyVersion::parse("..-..").unwrap_or(KeyVersion::parse("1").unwrap()));
    acme.unwrap_data_key(&other, &context()).await.unwrap_err();
    acme.unwrap_data_key(&Wrapped { version: None, ..wrapped.clone() }, &context())
        .await
        .unwrap_err();
    acme.unwrap_data_key(&Wrapped { blob: vec![1; 255], ..wrapped.clone() }, &context())
        .await
        .unwrap_err();
    let algorithm = WrapAlgorithm::Native;
    acme.unwrap_data_key(&Wrapped { algorithm, ..wrapped }, &context()).await.unwrap_err();
    assert_eq!(azure.total(), before);
}

#[tokio::test]
async fn the_version_is_in_the_record_and_a_rotation_shows() {
    let (azure, acme) = acme().await;
    let (key, old) = acme.generate_data_key(&context()).await.unwrap();
    assert_eq!(old.algorithm, WrapAlgorithm::RsaOaep256);
    assert!(acme.is_current(&old));
    let version = azure.key(VAULT, "orders", Kind::Rsa(3072), &WRAPS);
    let (_, new) = acme.generate_data_key(&context()).await.unwrap();
    assert_eq!(new.version.as_ref().unwrap().as_str(), version);
    assert_eq!(new.blob.len(), 384);
    assert!(acme.is_current(&new) && !acme.is_current(&old));
    assert!(acme.unwrap_data_key(&old, &context()).await.unwrap().ct_eq(&key));
    // Who only looks at the key sees it too.
    let version = azure.key(VAULT, "orders", Kind::Rsa(2048), &WRAPS);
    acme.health().await.unwrap();
    assert!(!acme.is_current(&new));
    let described = acme.describe_keys().await.remove(0).1.unwrap();
    assert_eq!(described.version.unwrap().as_str(), version);
    assert_eq!((described.state, &*described.kind), (KeyState::Active, "rsa-2048"));
}

#[tokio::test]
async fn a_version_that_is_pinned_stays() {
    let azure = Azure::start();
    let first = azure.key(VAULT, "orders", Kind::Rsa(2048), &WRAPS);
    let pinned = builder(&azure, VAULT).sealing_key(format!("orders/{first}"));
    let pinned = pinned.accept_public_key_wraps().build().await.unwrap();
    azure.key(VAULT, "orders", Kind::Rsa(2048), &WRAPS);
    let (_, wrapped) = pinned.generate_data_key(&context()).await.unwrap();
    assert_eq!(wrapped.version.as_ref().unwrap().as_str(), first);
    pinned.health().await.unwrap();
    assert!(pinned.is_current(&wrapped));
    // It opens what other versions have wrapped.
    let latest = builder(&azure, VAULT).sealing_key("ORDERS").build().await.unwrap();
    let (key, wrapped) = latest.generate_data_key(&context()).await.unwrap();
    assert!(pinned.unwrap_data_key(&wrapped, &context()).await.unwrap().ct_eq(&key));
    assert!(!pinned.is_current(&wrapped));
}

#[tokio::test]
async fn what_anybody_can_have_sealed_is_refused_unless_accepted() {
    let (azure, acme) = acme().await;
    assert_eq!(acme.capabilities().data_keys, ContextBinding::LocalOnly);
    assert!(!acme.capabilities().wrap_authenticates);
    let context = Context::new().with_key("tenant", "acme").unwrap();
    let sealed = acme.seal(b"text", &context).await.unwrap();
    assert_eq!(&*acme.open(&sealed, &context).await.unwrap(), b"text");
    let strict = builder(&azure, VAULT).also_open("orders").build().await.unwrap();
    let before = azure.total();
    let error = Opener::new([&strict]).open(&sealed, &context).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Denied);
    assert!(error.to_string().contains("accept_public_key_wraps"), "{error}");
    assert_eq!(azure.total(), before);
    // A context of the derivation's is bound all the same.
    let evil = Context::new().with_key("tenant", "evil").unwrap();
    assert_eq!(acme.open(&sealed, &evil).await.unwrap_err().kind(), ErrorKind::ContextMismatch);

    azure.key(HSM, "orders", Kind::Oct, &WRAPS);
    let hsm = builder(&azure, HSM).sealing_key("orders").build().await.unwrap();
    assert!(hsm.capabilities().wrap_authenticates);
    let sealer = Sealer::new(&hsm).unwrap();
    let sealed = sealer.seal(b"text", &context).await.unwrap();
    assert_eq!(&*Opener::new([&hsm]).open(&sealed, &context).await.unwrap(), b"text");
}

#[tokio::test]
async fn records_of_other_vaults_keys_and_versions_do_not_open() {
    let (azure, acme) = acme().await;
    azure.key("evil.vault.azure.net", "orders", Kind::Rsa(2048), &WRAPS);
    azure.key(VAULT, "other", Kind::Rsa(2048), &WRAPS);
    azure.restore((VAULT, "orders"), ("evil.vault.azure.net", "copy"));
    let evil = builder(&azure, "evil").sealing_key("orders").build().await.unwrap();
    let (_, foreign) = evil.generate_data_key(&context()).await.unwrap();
    let before = azure.total();
    let error = acme.unwrap_data_key(&foreign, &context()).await.unwrap_err();
    assert_eq!((error.kind(), azure.total()), (ErrorKind::NoRecipient, before));

    // Swapped: this vault's name over that one's bytes.
    let (_, own) = acme.generate_data_key(&context()).await.unwrap();
    let swapped = Wrapped { blob: foreign.blob.clone(), ..own.clone() };
    let error = acme.unwrap_data_key(&swapped, &context()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotAuthentic);
    for at in [0, 100, 255] {
        let mut altered = own.clone();
        altered.blob[at] ^= 1;
        let error = acme.unwrap_data_key(&altered, &context()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotAuthentic);
        assert!(!format!("{error:?}").contains("words"));
    }
    let none = KeyVersion::parse("ffffffffffffffffffffffffffffffff").unwrap();
    let altered = Wrapped { version: Some(none), ..own };
    let error = acme.unwrap_data_key(&altered, &context()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
}

#[tokio::test]
async fn keys_that_can_not_be_used_say_why() {
    let azure = Azure::start();
    for key in ["disabled", "expired", "early", "deleted", "opens", "both"] {
        let operations = match key {
            "opens" => &["unwrapKey"][..],
            "both" => &["wrapKey", "unwrapKey", "sign", "verify"],
            _ => &WRAPS,
        };
        azure.key(VAULT, key, Kind::Rsa(2048), operations);
    }
    azure.key(VAULT, "signs", Kind::P384, &SIGNS);
    azure.change(VAULT, "disabled", |attributes| attributes.enabled = false);
    azure.change(VAULT, "expired", |attributes| attributes.expires = Some(now() - 60));
    azure.change(VAULT, "early", |attributes| attributes.not_before = Some(now() + 3600));
    azure.set_deleted(VAULT, "deleted", true);
    for (key, kind, said) in [
        ("disabled", ErrorKind::Disabled, "is disabled; enable it"),
        ("expired", ErrorKind::Disabled, "has expired"),
        ("early", ErrorKind::Disabled, "not valid yet"),
        ("deleted", ErrorKind::PendingDeletion, "recover it"),
        ("none", ErrorKind::NotFound, "no key acme.vault.azure.net/none"),
        ("opens", ErrorKind::Unsupported, "bind it with `also_open`"),
        ("signs", ErrorKind::Unsupported, "signs; bind it with `signing_key`"),
        ("a/b", ErrorKind::InvalidInput, "version"),
    ] {
        let error = build_error(&azure, key).await;
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.to_string().contains(said), "{error}");
    }
    let opens =
        builder(&azure, VAULT).also_open("expired").also_open("opens").build().await.unwrap();
    assert!(opens.sealing_key().is_none());
    // A key for both has the role that it is given.
    builder(&azure, VAULT).sealing_key("both").build().await.unwrap();
    let signs = builder(&azure, VAULT).signing_key("both").build().await.unwrap();
    assert_eq!(signs.capabilities().signing.len(), 6);
    let error = builder(&azure, VAULT).sealing_key("both").signing_key("both").build().await;
    assert_eq!(error.unwrap_err().kind(), ErrorKind::InvalidInput);
}

#[tokio::test]
async fn a_state_that_changes_shows_at_the_next_call() {
    let (azure, acme) = acme().await;
    let (key, wrapped) = acme.generate_data_key(&context()).await.unwrap();
    let wrap = async || acme.wrap_data_key(&key, &context()).await.map(drop).unwrap_err();
    let open = async || acme.unwrap_data_key(&wrapped, &context()).await.map(drop);

    azure.change(VAULT, "orders", |attributes| attributes.expires = Some(now() - 60));
    let error = wrap().await;
    assert_eq!(error.kind(), ErrorKind::Disabled);
    assert!(error.message().contains("has expired"), "{error}");
    open().await.unwrap();
    assert_eq!(acme.health().await.unwrap_err().kind(), ErrorKind::Disabled);

    // The service goes on wrapping, since the public half is enough for that; a look at the key tells.
    azure.change(VAULT, "orders", |attributes| {
        attributes.enabled = false;
        attributes.expires = None;
    });
    acme.wrap_data_key(&key, &context()).await.unwrap();
    assert_eq!(acme.health().await.unwrap_err().kind(), ErrorKind::Disabled);
    assert_eq!(open().await.unwrap_err().kind(), ErrorKind::Disabled);
    let state = acme.describe_keys().await.remove(0).1.unwrap().state;
    assert_eq!(state, KeyState::Disabled);

    azure.change(VAULT, "orders", |attributes| {
        attributes.enabled = true;
        attributes.expires = None;
        attributes.operations = vec!["unwrapKey".to_owned()];
    });
    assert_eq!(wrap().await.kind(), ErrorKind::Unsupported);
    open().await.unwrap();

    azure.set_deleted(VAULT, "orders", true);
    assert_eq!(wrap().await.kind(), ErrorKind::PendingDeletion);
    assert_eq!(open().await.unwrap_err().kind(), ErrorKind::PendingDeletion);
    let state = acme.describe_keys().await.remove(0).1.unwrap().state;
    assert_eq!(state, KeyState::PendingDeletion);
    azure.set_deleted(VAULT, "orders", false);
    open().await.unwrap();
}

#[tokio::test]
async fn a_right_that_is_missing_is_named() {
    let (azure, acme) = acme().await;
    let (key, wrapped) = acme.generate_data_key(&context()).await.unwrap();
    let public = acme.public_keys().await.unwrap().remove(0);
    azure.deny(&["wrapKey", "unwrapKey", "sign", "list"]);
    let input = SigningInput::new(SigningAlgorithm::Es256, b"message");
    for (error, right) in [
        (acme.wrap_data_key(&key, &context()).await.unwrap_err(), "wrapKey"),
        (acme.unwrap_data_key(&wrapped, &context()).await.unwrap_err(), "unwrapKey"),
        (acme.sign(&public, &input).await.unwrap_err(), "sign"),
        (acme.public_keys().await.unwrap_err(), "list"),
    ] {
        assert_eq!(error.kind(), ErrorKind::Denied, "{error}");
        assert!(error.message().starts_with(right), "{error}");
        assert!(error.request_id().is_some());
    }
    azure.deny(&["get"]);
    assert_eq!(acme.health().await.unwrap_err().kind(), ErrorKind::Denied);
    assert_eq!(build_error(&azure, "orders").await.kind(), ErrorKind::Denied);
    // Who may not look at the key can't tell a forged record from a bad request, and says neither.
    let mut altered = wrapped;
    altered.blob[7] ^= 1;
    let error = acme.unwrap_data_key(&altered, &context()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
}

/// The README's table of rights: whatever is not in its row is denied.
#[tokio::test]
async fn the_least_rights_are_enough() {
    let azure = Azure::start();
    azure.key(VAULT, "orders", Kind::Rsa(2048), &WRAPS);
    azure.key(VAULT, "tokens", Kind::P256, &SIGNS);
    azure.deny(&["list", "unwrapKey", "sign"]);
    let seals = builder(&azure, VAULT).sealing_key("orders").build().await.unwrap();
    let (_, wrapped) = seals.generate_data_key(&context()).await.unwrap();
    seals.health().await.unwrap();
    azure.deny(&["list", "wrapKey", "sign"]);
    let opens = builder(&azure, VAULT).also_open("orders").build().await.unwrap();
    opens.unwrap_data_key(&wrapped, &context()).await.unwrap();
    azure.deny(&["wrapKey", "unwrapKey"]);
    let signs = builder(&azure, VAULT).signing_key("tokens").build().await.unwrap();
    let public = signs.public_keys().await.unwrap().remove(0);
    let input = SigningInput::new(SigningAlgorithm::Es256, b"message");
    signs.sign(&public, &input).await.unwrap();
}

#[tokio::test]
async fn public_keys_are_those_of_all_versions_in_use() {
    let azure = Azure::start();
    let versions: Vec<_> = (0..5).map(|_| azure.key(VAULT, "tokens", Kind::P256, &SIGNS)).collect();
    azure.change_version((VAULT, "tokens", &versions[1]), |a| a.enabled = false);
    azure.change_version((VAULT, "tokens", &versions[2]), |a| a.expires = Some(now() - 60));
    azure.key(VAULT, "old", Kind::Rsa(2048), &SIGNS);
    let signs = builder(&azure, VAULT).signing_key("tokens").also_open("old");
    let signs = signs.signing_algorithm(SigningAlgorithm::Es256).build().await.unwrap();
    let keys = signs.public_keys().await.unwrap();
    let found: Vec<_> =
        keys.iter().map(|key| (key.version.as_str(), key.current, key.state)).collect();
    assert_eq!(found[0], (&*versions[4], true, KeyState::Active));
    assert_eq!(keys.len(), 5, "{found:?}");
    assert!(!found.iter().any(|(version, ..)| *version == versions[1]));
    assert!(found.contains(&(&versions[2], false, KeyState::Deprecated)));
    assert_eq!(keys[4].algorithms.len(), 6);
    let gets = azure.count("get");
    signs.public_keys().await.unwrap();
    // A public half never changes: only which version is the latest is asked again.
    assert_eq!(azure.count("get") - gets, 2);

    // An old version signs and verifies too, and not with an algorithm that is not its own.
    let input = SigningInput::new(SigningAlgorithm::Es256, b"message");
    let first = keys.iter().find(|key| key.version.as_str() == versions[0]).unwrap();
    let signature = signs.sign(first, &input).await.unwrap();
    signs.verify(first, &input, &signature).unwrap();
    assert!(signs.verify(&keys[0], &input, &signature).is_err());
    let wrong = SigningInput::new(SigningAlgorithm::Es384, b"message");
    assert_eq!(signs.sign(first, &wrong).await.unwrap_err().kind(), ErrorKind::InvalidInput);
    assert_eq!(signs.sign(&keys[4], &input).await.unwrap_err().kind(), ErrorKind::InvalidInput);

    // Pinned, it is that version alone, and nothing is listed.
    let lists = azure.count("versions");
    let pinned = builder(&azure, VAULT).signing_key(format!("tokens/{}", versions[0]));
    let pinned = pinned.build().await.unwrap();
    let keys = pinned.public_keys().await.unwrap();
    assert_eq!((keys.len(), keys[0].version.as_str()), (1, &*versions[0]));
    assert!(keys[0].current);
    assert_eq!(azure.count("versions"), lists);
    // A version of another kind than the key had goes without.
    azure.key(VAULT, "tokens", Kind::P384, &SIGNS);
    let keys = signs.public_keys().await.unwrap();
    assert!(keys[0].current && keys[0].algorithms.is_empty());
}

#[tokio::test]
async fn a_closed_provider_says_so() {
    let (azure, acme) = acme().await;
    let (_, wrapped) = acme.generate_data_key(&context()).await.unwrap();
    acme.close().await.unwrap();
    acme.close().await.unwrap();
    let before = azure.total();
    let error = acme.unwrap_data_key(&wrapped, &context()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Closed);
    assert_eq!(acme.health().await.unwrap_err().kind(), ErrorKind::Closed);
    assert_eq!(azure.total(), before);
}

#[tokio::test]
async fn what_is_given_is_checked_before_the_network() {
    let azure = Azure::start();
    for (builder, said) in [
        (builder(&azure, VAULT), "no key is bound"),
        (builder(&azure, "vault.example.com").sealing_key("orders"), "host"),
        (builder(&azure, VAULT).sealing_key("orders").proxy("::"), "proxy"),
        (builder(&azure, VAULT).sealing_key("orders").ca_file("/none"), "can't be read"),
    ] {
        let error = builder.build().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(error.to_string().contains(said), "{error}");
    }
    assert_eq!(azure.total(), 0);
    let one = DataKey::generate().unwrap();
    let two: Arc<dyn CryptoProvider> = acme().await.1;
    assert_eq!(two.wrap_data_key(&one, &context()).await.unwrap().blob.len(), 256);
}
