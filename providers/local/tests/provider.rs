//! The provider: sealing and opening, rotation, states, closing.
#![cfg(any(feature = "aws-lc-rs", feature = "rustcrypto"))]
#![allow(clippy::unwrap_used, reason = "helpers of tests are tests too")]

use std::{sync::Arc, thread, time::Duration};

use bulla::{
    Context, CryptoProvider, CryptoProviderExt, DataKeys, Encrypt, EncryptionContext, ErrorKind,
    KeyName, KeyVersion, Operation, Sign, Wrapped,
    key::{KeyState, WrapAlgorithm},
    provider::{Availability, ContextBinding},
};
use bulla_local::{KeyType, Local, Passphrase, Protection, Store};
use tempfile::TempDir;

/// Longer than a state is used before it is read again.
const STALE: Duration = Duration::from_millis(1100);

fn new_store() -> (TempDir, Store) {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::at(dir.path().join("bulla"));
    store.create_key("orders", KeyType::Aes256, &Protection::None).unwrap();
    (dir, store)
}

fn orders(store: &Store) -> Local {
    Local::builder(store.clone()).sealing_key("orders").build().unwrap()
}

fn tenant(name: &str) -> EncryptionContext {
    EncryptionContext::from_pairs([("tenant", name)]).unwrap()
}

fn version(wrapped: &Wrapped) -> &str {
    wrapped.version.as_ref().unwrap().as_str()
}

#[tokio::test]
async fn seals_and_opens() {
    let (_dir, store) = new_store();
    let local = orders(&store);
    let context = Context::new().with_key("tenant", "acme").unwrap();
    let sealed = local.seal(b"card number", &context).await.unwrap();
    // Another process: nothing but the store in common.
    let other = orders(&Store::at(store.path()));
    assert_eq!(&*other.open(&sealed, &context).await.unwrap(), b"card number");
}

#[tokio::test]
async fn says_what_it_is() {
    let (_dir, store) = new_store();
    let id = store.key("orders").unwrap().id;
    let local = Local::builder(store).label("vault").sealing_key(&id).build().unwrap();
    let name = KeyName::new("local", id).unwrap();
    assert_eq!(local.label(), "vault");
    assert_eq!(local.sealing_key(), Some(&name));
    assert_eq!(local.availability(), Availability::Available);
    let can = local.capabilities();
    assert_eq!((can.direct, can.data_keys), (ContextBinding::Bound, ContextBinding::Bound));
    assert_eq!((can.max_direct_len, can.max_wrapped_len), (4096, 104));
    assert!(can.wrap_authenticates && can.signing.is_empty());
    let policy = local.opens(&name).unwrap();
    assert_eq!(policy.algorithm, WrapAlgorithm::Native);
    assert!(policy.authenticates && !policy.accept_public_key_wraps);
    assert_eq!(local.opens(&KeyName::new("fake", name.id()).unwrap()), None);
    local.health().await.unwrap();
    let described = local.describe_keys().await;
    let info = described[0].1.as_ref().unwrap();
    assert_eq!((&info.name, info.state, info.kind.as_str()), (&name, KeyState::Active, "aes-256"));
    assert_eq!(info.version, Some(KeyVersion::parse("1").unwrap()));
    assert!(format!("{local:?}").contains("vault"));
    assert_eq!(local.public_keys().await.unwrap_err().kind(), ErrorKind::Unsupported);
}

#[tokio::test]
async fn data_keys_are_bound_to_key_context_use_and_version() {
    let (_dir, store) = new_store();
    let local = orders(&store);
    let (key, wrapped) = local.generate_data_key(&tenant("acme")).await.unwrap();
    assert_eq!((version(&wrapped), wrapped.blob.len()), ("1", 104));
    assert!(local.unwrap_data_key(&wrapped, &tenant("acme")).await.unwrap().ct_eq(&key));
    let again = local.wrap_data_key(&key, &tenant("acme")).await.unwrap();
    assert!(local.unwrap_data_key(&again, &tenant("acme")).await.unwrap().ct_eq(&key));

    let refused = async |wrapped: Wrapped, tenant_name: &str| {
        local.unwrap_data_key(&wrapped, &tenant(tenant_name)).await.unwrap_err().kind()
    };
    assert_eq!(refused(wrapped.clone(), "evil").await, ErrorKind::NotAuthentic);
    let no_version = Wrapped { version: None, ..wrapped.clone() };
    assert_eq!(refused(no_version, "acme").await, ErrorKind::NotAuthentic);
    for odd in ["01", "0", "-1", "one", "4294967296"] {
        let odd = Wrapped { version: Some(KeyVersion::parse(odd).unwrap()), ..wrapped.clone() };
        assert_eq!(refused(odd, "acme").await, ErrorKind::NotAuthentic);
    }
    let unknown = Wrapped { version: Some(KeyVersion::parse("2").unwrap()), ..wrapped.clone() };
    assert_eq!(refused(unknown, "acme").await, ErrorKind::NotFound);
    let foreign = Wrapped { algorithm: WrapAlgorithm::AesKw, ..wrapped.clone() };
    assert_eq!(refused(foreign, "acme").await, ErrorKind::NotAuthentic);
    let key = KeyName::new("local", "00".repeat(16)).unwrap();
    assert_eq!(refused(Wrapped { key, ..wrapped.clone() }, "acme").await, ErrorKind::NoRecipient);
    let direct = local.encrypt(key_bytes(), &tenant("acme")).await.unwrap();
    assert_eq!(refused(direct, "acme").await, ErrorKind::NotAuthentic);
    let error = local.decrypt(&wrapped, &tenant("acme")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotAuthentic);
    assert_eq!((error.provider(), error.operation()), (Some("local"), Some(Operation::Decrypt)));
}

fn key_bytes() -> &'static [u8] {
    &[7; 32]
}

#[tokio::test]
async fn direct_mode_has_a_limit_and_binds_the_context() {
    let (_dir, store) = new_store();
    let local = orders(&store);
    for len in [0, 1, 4096] {
        let sealed = local.encrypt(&vec![7; len], &tenant("acme")).await.unwrap();
        assert_eq!(*local.decrypt(&sealed, &tenant("acme")).await.unwrap(), vec![7; len]);
        let error = local.decrypt(&sealed, &tenant("evil")).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotAuthentic);
    }
    let error = local.encrypt(&[7; 4097], &tenant("acme")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(error.message().contains("seal"));
}

#[tokio::test]
async fn opens_only_what_is_listed() {
    let (_dir, store) = new_store();
    store.create_key("accounts", KeyType::Aes256, &Protection::None).unwrap();
    let accounts = Local::builder(store.clone()).sealing_key("accounts").build().unwrap();
    let (_, wrapped) = accounts.generate_data_key(&tenant("acme")).await.unwrap();
    let open = async |local: &Local| {
        local.unwrap_data_key(&wrapped, &tenant("acme")).await.map(drop).map_err(|e| e.kind())
    };

    let one = orders(&store);
    assert!(one.opens(&wrapped.key).is_none());
    assert_eq!(open(&one).await, Err(ErrorKind::NoRecipient));
    let builder = || Local::builder(store.clone());
    let both = builder().sealing_key("orders").also_open("accounts").build().unwrap();
    assert_eq!(open(&both).await, Ok(()));
    let opener = builder().open_all().build().unwrap();
    assert_eq!(open(&opener).await, Ok(()));
    let error = opener.generate_data_key(&tenant("acme")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert_eq!(builder().build().unwrap_err().kind(), ErrorKind::InvalidInput);
    let missing = builder().sealing_key("none").build().unwrap_err();
    assert_eq!(
        (missing.kind(), missing.operation()),
        (ErrorKind::NotFound, Some(Operation::Build))
    );

    store.create_key("late", KeyType::Aes256, &Protection::None).unwrap();
    let late = builder().sealing_key("late").build().unwrap();
    let name = late.sealing_key().unwrap();
    assert!(opener.opens(name).is_none());
    opener.reload().unwrap();
    assert!(opener.opens(name).is_some());
}

#[tokio::test]
async fn open_all_asks_for_a_passphrase_only_when_it_is_needed() {
    let (_dir, store) = new_store();
    let passphrase = Passphrase::new("p".to_owned());
    let protection = Protection::Passphrase(passphrase.clone());
    store.create_key("locked", KeyType::Aes256, &protection).unwrap();
    let locked = Local::builder(store.clone()).sealing_key("locked").passphrase(passphrase.clone());
    let (_, wrapped) = locked.build().unwrap().generate_data_key(&tenant("a")).await.unwrap();
    let (_, plain) = orders(&store).generate_data_key(&tenant("a")).await.unwrap();

    let without = Local::builder(store.clone()).open_all().build().unwrap();
    without.unwrap_data_key(&plain, &tenant("a")).await.unwrap();
    let error = without.unwrap_data_key(&wrapped, &tenant("a")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    let with = Local::builder(store).open_all().passphrase(passphrase).build().unwrap();
    with.unwrap_data_key(&wrapped, &tenant("a")).await.unwrap();
}

#[tokio::test]
async fn states_decide_what_a_version_does() {
    let (_dir, store) = new_store();
    let (_, wrapped) = orders(&store).generate_data_key(&tenant("a")).await.unwrap();
    let build = || Local::builder(store.clone()).sealing_key("orders").build();
    let open = async || {
        let local = Local::builder(store.clone()).also_open("orders").build().unwrap();
        local.unwrap_data_key(&wrapped, &tenant("a")).await.map(drop).map_err(|e| e.kind())
    };
    for (state, seals, opens) in [
        (KeyState::Active, Ok(()), Ok(())),
        (KeyState::Deprecated, Err(ErrorKind::Disabled), Ok(())),
        (KeyState::Disabled, Err(ErrorKind::Disabled), Err(ErrorKind::Disabled)),
    ] {
        store.set_state("orders", None, state).unwrap();
        assert_eq!(build().map(drop).map_err(|e| e.kind()), seals, "{state}");
        assert_eq!(open().await, opens, "{state}");
    }
    store.destroy("orders", Some(1)).unwrap();
    assert_eq!(build().unwrap_err().kind(), ErrorKind::Destroyed);
    assert_eq!(open().await, Err(ErrorKind::Destroyed));
    store.rotate("orders", &Protection::None).unwrap();
    let (_, second) = build().unwrap().generate_data_key(&tenant("a")).await.unwrap();
    assert_eq!(version(&second), "2");
}

#[tokio::test]
async fn notices_what_other_processes_do() {
    let (_dir, store) = new_store();
    let local = orders(&store);
    let elsewhere = Store::at(store.path());
    elsewhere.rotate("orders", &Protection::None).unwrap();
    let (_, second) = orders(&elsewhere).generate_data_key(&tenant("a")).await.unwrap();
    assert_eq!(version(&second), "2");
    local.unwrap_data_key(&second, &tenant("a")).await.unwrap();

    elsewhere.rotate("orders", &Protection::None).unwrap();
    tokio::time::sleep(STALE).await;
    let (_, third) = local.generate_data_key(&tenant("a")).await.unwrap();
    assert_eq!(version(&third), "3");

    elsewhere.set_current("orders", 1).unwrap();
    local.reload().unwrap();
    let (_, first) = local.generate_data_key(&tenant("a")).await.unwrap();
    assert_eq!(version(&first), "1");

    elsewhere.set_state("orders", None, KeyState::Disabled).unwrap();
    tokio::time::sleep(STALE).await;
    let kind = local.generate_data_key(&tenant("a")).await.unwrap_err().kind();
    assert_eq!(kind, ErrorKind::Disabled);
    let kind = local.unwrap_data_key(&first, &tenant("a")).await.unwrap_err().kind();
    assert_eq!(kind, ErrorKind::Disabled);
    elsewhere.set_state("orders", None, KeyState::Active).unwrap();
    tokio::time::sleep(STALE).await;
    local.generate_data_key(&tenant("a")).await.unwrap();
}

#[tokio::test]
async fn a_lost_store_stops_sealing_but_not_opening() {
    let (dir, store) = new_store();
    let local = orders(&store);
    let (_, wrapped) = local.generate_data_key(&tenant("a")).await.unwrap();
    std::fs::rename(store.path(), dir.path().join("aside")).unwrap();
    tokio::time::sleep(STALE).await;
    for _ in 0..3 {
        let kind = local.generate_data_key(&tenant("a")).await.unwrap_err().kind();
        assert_eq!(kind, ErrorKind::NotFound);
        local.unwrap_data_key(&wrapped, &tenant("a")).await.unwrap();
        assert_eq!(local.availability(), Availability::Degraded);
        assert!(local.health().await.is_err());
    }
    std::fs::rename(dir.path().join("aside"), store.path()).unwrap();
    local.health().await.unwrap();
    assert_eq!(local.availability(), Availability::Available);
    local.generate_data_key(&tenant("a")).await.unwrap();
}

#[tokio::test]
async fn a_damaged_state_stops_opening_too() {
    let (_dir, store) = new_store();
    let local = orders(&store);
    let (_, wrapped) = local.generate_data_key(&tenant("a")).await.unwrap();
    let state = store.path().join("keys").join(wrapped.key.id()).join("state.json");
    let whole = std::fs::read(&state).unwrap();
    std::fs::write(&state, b"{}").unwrap();
    tokio::time::sleep(STALE).await;
    for _ in 0..3 {
        let kind = local.unwrap_data_key(&wrapped, &tenant("a")).await.unwrap_err().kind();
        assert_eq!(kind, ErrorKind::Damaged);
        assert_eq!(local.availability(), Availability::Degraded);
    }
    std::fs::write(&state, whole).unwrap();
    local.unwrap_data_key(&wrapped, &tenant("a")).await.unwrap();
    assert_eq!(local.availability(), Availability::Available);
}

#[tokio::test]
async fn an_unknown_version_reads_the_state_once_a_second() {
    let (_dir, store) = new_store();
    let local = orders(&store);
    let (_, first) = local.generate_data_key(&tenant("a")).await.unwrap();
    let unknown = Wrapped { version: Some(KeyVersion::parse("2").unwrap()), ..first };
    let open = async || local.unwrap_data_key(&unknown, &tenant("a")).await.unwrap_err().kind();
    assert_eq!(open().await, ErrorKind::NotFound);
    store.rotate("orders", &Protection::None).unwrap();
    assert_eq!(open().await, ErrorKind::NotFound, "read a moment ago");
    tokio::time::sleep(STALE).await;
    assert_eq!(open().await, ErrorKind::NotAuthentic, "version 2 is there and another key");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn all_who_meet_a_new_version_at_once_open_it() {
    let (_dir, store) = new_store();
    let local = Arc::new(orders(&store));
    store.rotate("orders", &Protection::None).unwrap();
    let (_, wrapped) = orders(&store).generate_data_key(&tenant("a")).await.unwrap();
    let tasks: Vec<_> = (0..32)
        .map(|_| {
            let (local, wrapped) = (Arc::clone(&local), wrapped.clone());
            tokio::spawn(async move { local.unwrap_data_key(&wrapped, &tenant("a")).await })
        })
        .collect();
    for task in tasks {
        task.await.unwrap().unwrap();
    }
}

#[test]
fn rotation_fails_no_call_of_a_hundred_threads() {
    let (_dir, store) = new_store();
    let local = Arc::new(orders(&store));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
    let handle = runtime.handle().clone();
    thread::scope(|scope| {
        for _ in 0..100 {
            let (local, handle) = (Arc::clone(&local), handle.clone());
            scope.spawn(move || {
                for _ in 0..30 {
                    let made = handle.block_on(local.generate_data_key(&tenant("a")));
                    let (key, wrapped) = made.unwrap();
                    let opened = handle.block_on(local.unwrap_data_key(&wrapped, &tenant("a")));
                    assert!(opened.unwrap().ct_eq(&key));
                }
            });
        }
        for expected in 2..=10 {
            assert_eq!(local.rotate().unwrap().as_str(), expected.to_string());
            let made = handle.block_on(local.generate_data_key(&tenant("a")));
            assert_eq!(version(&made.unwrap().1), expected.to_string());
        }
    });
}

#[tokio::test]
async fn rotation_keeps_the_protection() {
    let (_dir, store) = new_store();
    let passphrase = Passphrase::new("p".to_owned());
    let protection = Protection::Passphrase(passphrase.clone());
    store.create_key("locked", KeyType::Aes256, &protection).unwrap();
    let local = Local::builder(store.clone()).sealing_key("locked").passphrase(passphrase);
    let local = local.build().unwrap();
    local.rotate().unwrap();
    assert!(store.key("locked").unwrap().versions[1].protected);
    let (_, wrapped) = local.generate_data_key(&tenant("a")).await.unwrap();
    assert_eq!(version(&wrapped), "2");
    assert_eq!(orders(&store).rotate().unwrap().as_str(), "2");
    assert!(!store.key("orders").unwrap().versions[1].protected);
}

#[test]
fn rotation_never_drops_the_protection() {
    let (_dir, store) = new_store();
    let [right, other] = ["right", "other"].map(|text| Passphrase::new(text.to_owned()));
    let protection = Protection::Passphrase(right.clone());
    // Protected since this provider, which knows no passphrase, was built.
    let unaware = orders(&store);
    store.rotate("orders", &protection).unwrap();
    let error = unaware.rotate().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(error.message().contains("LocalBuilder::passphrase"), "{error}");

    let build = |passphrases: &[&Passphrase]| {
        let builder = Local::builder(store.clone()).open_all().also_open("orders");
        passphrases.iter().fold(builder, |b, p| b.passphrase((*p).clone()))
    };
    let sealing = |passphrases: &[&Passphrase]| build(passphrases).sealing_key("orders").build();
    sealing(&[&other, &right]).unwrap().rotate().unwrap();
    let record = store.key("orders").unwrap();
    assert_eq!(record.current, 3);
    assert!(record.versions[2].protected);
    // The passphrase of version 3 is the one of version 2, not the first one given.
    sealing(&[&right]).unwrap();
    assert_eq!(sealing(&[&other]).unwrap_err().kind(), ErrorKind::NotAuthentic);

    // The current version gets another passphrase while the provider runs.
    let local = sealing(&[&right]).unwrap();
    store.rotate("orders", &Protection::Passphrase(other)).unwrap();
    assert_eq!(local.rotate().unwrap_err().kind(), ErrorKind::InvalidInput);
    assert_eq!(store.key("orders").unwrap().current, 4);
}

#[tokio::test]
async fn a_closed_provider_says_so() {
    let (_dir, store) = new_store();
    let local = orders(&store);
    let (key, wrapped) = local.generate_data_key(&tenant("a")).await.unwrap();
    let context = Context::new();
    let sealed = local.seal(b"x", &context).await.unwrap();
    local.close().await.unwrap();
    local.close().await.unwrap();
    let kinds = [
        local.generate_data_key(&tenant("a")).await.map(drop),
        local.wrap_data_key(&key, &tenant("a")).await.map(drop),
        local.unwrap_data_key(&wrapped, &tenant("a")).await.map(drop),
        local.encrypt(b"x", &tenant("a")).await.map(drop),
        local.decrypt(&wrapped, &tenant("a")).await.map(drop),
        local.public_keys().await.map(drop),
        local.health().await.map(drop),
        local.rotate().map(drop),
        local.reload(),
        local.seal(b"x", &context).await.map(drop),
        local.open(&sealed, &context).await.map(drop),
        local.describe_keys().await.remove(0).1.map(drop),
    ];
    for (at, kind) in kinds.into_iter().map(|r| r.unwrap_err().kind()).enumerate() {
        assert_eq!(kind, ErrorKind::Closed, "call {at}");
    }
    assert_eq!(local.availability(), Availability::Unavailable);
}

#[test]
fn closing_during_calls_panics_nobody() {
    let (_dir, store) = new_store();
    let local = Arc::new(orders(&store));
    let runtime = tokio::runtime::Runtime::new().unwrap();
    thread::scope(|scope| {
        for _ in 0..20 {
            scope.spawn(|| {
                for _ in 0..50 {
                    match runtime.block_on(local.generate_data_key(&tenant("a"))) {
                        Ok(_) => {}
                        Err(error) => assert_eq!(error.kind(), ErrorKind::Closed),
                    }
                }
            });
        }
        scope.spawn(|| runtime.block_on(local.close()).unwrap());
    });
}

#[test]
fn works_without_a_runtime() {
    let (_dir, store) = new_store();
    let local = orders(&store);
    store.rotate("orders", &Protection::None).unwrap();
    let (_, wrapped) = poll(orders(&store).generate_data_key(&tenant("a"))).unwrap();
    poll(local.unwrap_data_key(&wrapped, &tenant("a"))).unwrap();
}

/// Runs a future by asking it over and over.
fn poll<T>(future: impl Future<Output = T>) -> T {
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    let mut future = std::pin::pin!(future);
    loop {
        if let std::task::Poll::Ready(value) = future.as_mut().poll(&mut context) {
            return value;
        }
    }
}
