//! Keys and their versions: kinds, states, rotation, and who may use them.

#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    reason = "helpers of tests are tests too"
)]

mod world;

use bulla::{
    Context, CryptoProvider as _, CryptoProviderExt as _, DataKeys as _, Encrypt as _,
    EncryptionContext, ErrorKind, KeyUri, Opener, Sealer, Sign as _, SigningAlgorithm,
    SigningInput, key::KeyState,
};
use bulla_gcp_kms::{GcpKms, LEAST_PRIVILEGE_ROLE};
use bulla_testworld::CloudKms;
use serde_json::json;
use world::{builder, context, token};

/// All algorithms that sign, each with the bytes of a signature.
const SIGNING: [(&str, SigningAlgorithm, usize); 11] = [
    ("RSA_SIGN_PKCS1_2048_SHA256", SigningAlgorithm::Rs256, 256),
    ("RSA_SIGN_PKCS1_3072_SHA256", SigningAlgorithm::Rs256, 384),
    ("RSA_SIGN_PKCS1_4096_SHA256", SigningAlgorithm::Rs256, 512),
    ("RSA_SIGN_PKCS1_4096_SHA512", SigningAlgorithm::Rs512, 512),
    ("RSA_SIGN_PSS_2048_SHA256", SigningAlgorithm::Ps256, 256),
    ("RSA_SIGN_PSS_3072_SHA256", SigningAlgorithm::Ps256, 384),
    ("RSA_SIGN_PSS_4096_SHA256", SigningAlgorithm::Ps256, 512),
    ("RSA_SIGN_PSS_4096_SHA512", SigningAlgorithm::Ps512, 512),
    ("EC_SIGN_P256_SHA256", SigningAlgorithm::Es256, 64),
    ("EC_SIGN_P384_SHA384", SigningAlgorithm::Es384, 96),
    ("EC_SIGN_ED25519", SigningAlgorithm::Ed25519, 64),
];

#[tokio::test(flavor = "multi_thread")]
async fn every_algorithm_signs_and_verifies() {
    let Some(kms) = CloudKms::start() else { return };
    for (name, algorithm, len) in SIGNING {
        let key = kms.signing_key(name, name);
        let provider = builder(&kms).signing_key(key).build().await.unwrap();
        assert_eq!(provider.capabilities().signing, [algorithm]);
        let public = provider.public_keys().await.unwrap();
        assert_eq!((public.len(), public[0].version.as_str()), (1, "1"));
        let input = SigningInput::new(algorithm, b"message");
        let signature = provider.sign(&public[0], &input).await.unwrap();
        assert_eq!(signature.as_bytes().len(), len, "{name}");
        provider.verify(&public[0], &input, &signature).unwrap();
        let other = SigningInput::new(algorithm, b"massage");
        let error = provider.verify(&public[0], &other, &signature).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotAuthentic);
        // The key's algorithm is KMS's word: one that the caller claims is not signed by.
        let mut claims = public[0].clone();
        let wrong = match algorithm {
            SigningAlgorithm::Rs256 => SigningAlgorithm::Ps256,
            _ => SigningAlgorithm::Rs256,
        };
        claims.algorithms = vec![wrong];
        let error = provider.sign(&claims, &SigningInput::new(wrong, b"x")).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_of_no_use_are_refused() {
    let Some(kms) = CloudKms::start() else { return };
    for (purpose, algorithm) in [
        ("ASYMMETRIC_DECRYPT", "RSA_DECRYPT_OAEP_2048_SHA256"),
        ("MAC", "HMAC_SHA256"),
        ("RAW_ENCRYPT_DECRYPT", "AES_256_GCM"),
        ("ASYMMETRIC_SIGN", "EC_SIGN_SECP256K1_SHA256"),
        ("ASYMMETRIC_SIGN", "RSA_SIGN_RAW_PKCS1_2048"),
    ] {
        let key = kms.key(CloudKms::LOCATION, algorithm, purpose, algorithm, "SOFTWARE");
        let uri = format!("gcpkms://{key}?endpoint={}", kms.url()).parse().unwrap();
        let KeyUri::GcpKms(uri) = uri else { panic!() };
        let built = builder(&kms).uri(&uri).build().await;
        assert_eq!(built.unwrap_err().kind(), ErrorKind::Unsupported, "{algorithm}");
    }
    let seals = kms.sealing_key("seals");
    let signs = kms.signing_key("signs", "EC_SIGN_P256_SHA256");
    let error = builder(&kms).signing_key(&seals).build().await.unwrap_err();
    assert!(error.message().contains("bind it with `sealing_key`"), "{error}");
    let error = builder(&kms).sealing_key(&signs).build().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    let error =
        builder(&kms).sealing_key(seals.replace("seals", "none")).build().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    for bad in ["orders", "projects/p", "projects/p/locations/l/keyRings/../cryptoKeys/k"] {
        let error = builder(&kms).sealing_key(bad).build().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{bad}");
    }
    let error = builder(&kms).build().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    let error = builder(&kms).also_open(format!("{seals}/cryptoKeyVersions/1")).build().await;
    assert_eq!(error.unwrap_err().kind(), ErrorKind::Unsupported);
}

/// The primary version changes under a running provider, in another process's hands.
#[tokio::test(flavor = "multi_thread")]
async fn a_rotation_shows_and_old_data_opens() {
    let Some(kms) = CloudKms::start() else { return };
    let key = kms.sealing_key("orders");
    let provider = builder(&kms).sealing_key(&key).build().await.unwrap();
    let (one, old) = provider.generate_data_key(&context()).await.unwrap();
    assert_eq!(old.version.as_ref().unwrap().as_str(), "1");
    assert!(provider.is_current(&old));

    assert_eq!(kms.rotate(&key), 2);
    // Nothing was said of it yet; who seals is told.
    assert!(provider.is_current(&old));
    let (_, new) = provider.generate_data_key(&context()).await.unwrap();
    assert_eq!(new.version.as_ref().unwrap().as_str(), "2");
    assert!(provider.is_current(&new) && !provider.is_current(&old));
    assert!(provider.unwrap_data_key(&old, &context()).await.unwrap().ct_eq(&one));

    // Who only opens is told as well: that one is primary no more.
    kms.rotate(&key);
    assert!(provider.is_current(&new));
    provider.unwrap_data_key(&new, &context()).await.unwrap();
    assert!(!provider.is_current(&new));
    // Who looks at the key, too; and back to an older one.
    kms.make_primary(&key, 2);
    provider.health().await.unwrap();
    assert!(provider.is_current(&new) && !provider.is_current(&old));
    let described = provider.describe_keys().await;
    let info = described[0].1.as_ref().unwrap();
    assert_eq!(info.version.as_ref().unwrap().as_str(), "2");
    assert_eq!((info.state, &*info.kind), (KeyState::Active, "GOOGLE_SYMMETRIC_ENCRYPTION"));
}

/// A message moves to the new version, after which the old one can go.
#[tokio::test(flavor = "multi_thread")]
async fn a_message_is_renewed_after_a_rotation() {
    let Some(kms) = CloudKms::start() else { return };
    let key = kms.sealing_key("orders");
    let provider = builder(&kms).sealing_key(&key).build().await.unwrap();
    let context = Context::new().with_key("tenant", "acme").unwrap();
    let old = provider.seal(b"card number", &context).await.unwrap();
    kms.rotate(&key);
    provider.health().await.unwrap();
    let sealer = Sealer::new(&provider).unwrap();
    let header = |bytes: &[u8]| {
        let (preamble, _) = bulla::format::Preamble::split(bytes).unwrap();
        sealer.is_current(preamble.header())
    };
    assert!(!header(&old));
    let plan = bulla::envelope::Rewrap::new().add_recipient(&provider);
    let new = Opener::new([&provider]).rewrap_value(&old, &plan).await.unwrap();
    assert!(header(&new));
    kms.set_state(&key, 1, "DESTROYED");
    assert_eq!(&*provider.open(&new, &context).await.unwrap(), b"card number");
    let error = provider.open(&old, &context).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Destroyed, "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_state_of_a_version_is_told() {
    let Some(kms) = CloudKms::start() else { return };
    let key = kms.sealing_key("orders");
    let provider = builder(&kms).sealing_key(&key).build().await.unwrap();
    let (_, wrapped) = provider.generate_data_key(&context()).await.unwrap();
    let direct = provider.encrypt(b"secret", &context()).await.unwrap();
    for (state, kind) in [
        ("DISABLED", ErrorKind::Disabled),
        ("DESTROY_SCHEDULED", ErrorKind::PendingDeletion),
        ("PENDING_GENERATION", ErrorKind::Unavailable),
        ("PENDING_IMPORT", ErrorKind::Disabled),
        ("IMPORT_FAILED", ErrorKind::Disabled),
    ] {
        kms.set_state(&key, 1, state);
        let error = provider.unwrap_data_key(&wrapped, &context()).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{state}: {error}");
        assert!(error.message().contains("cryptoKeyVersions/1"), "{error}");
        assert_eq!(provider.decrypt(&direct, &context()).await.unwrap_err().kind(), kind);
        assert_eq!(provider.generate_data_key(&context()).await.unwrap_err().kind(), kind);
        assert_eq!(provider.health().await.unwrap_err().kind(), kind, "{state}");
        let built = builder(&kms).sealing_key(&key).build().await;
        assert_eq!(built.unwrap_err().kind(), kind, "{state}");
        // It may open what other versions have sealed.
        builder(&kms).also_open(&key).build().await.unwrap();
    }
    kms.set_state(&key, 1, "ENABLED");
    provider.unwrap_data_key(&wrapped, &context()).await.unwrap();
    kms.set_state(&key, 1, "DESTROYED");
    let error = provider.unwrap_data_key(&wrapped, &context()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Destroyed);
}

/// Versions are the key ids of what is signed.
#[tokio::test(flavor = "multi_thread")]
async fn versions_of_a_signing_key_come_and_go() {
    let Some(kms) = CloudKms::start() else { return };
    let key = kms.signing_key("tokens", "EC_SIGN_P256_SHA256");
    let provider = builder(&kms).signing_key(&key).build().await.unwrap();
    let versions = || async {
        let keys = provider.public_keys().await.unwrap();
        let told = keys.iter().map(|key| (key.version.as_str().parse().unwrap(), key.state));
        let current = keys.iter().find(|key| key.current).map(|key| key.version.to_string());
        (told.collect::<Vec<(u64, KeyState)>>(), current)
    };
    let input = SigningInput::new(SigningAlgorithm::Es256, b"x");
    let first = provider.public_keys().await.unwrap().remove(0);
    let signature = provider.sign(&first, &input).await.unwrap();

    assert_eq!(kms.new_version(&key), 2);
    let (one, two) = ((1, KeyState::Active), (2, KeyState::Active));
    assert_eq!(versions().await, (vec![one, two], Some("2".to_owned())));
    // Signed with exactly the version that the caller names.
    let keys = provider.public_keys().await.unwrap();
    for named in &keys {
        let signature = provider.sign(named, &input).await.unwrap();
        provider.verify(named, &input, &signature).unwrap();
    }
    provider.verify(&first, &input, &signature).unwrap();

    // One that is still being made waits, and so does one that signs by another algorithm.
    kms.new_version(&key);
    kms.set_state(&key, 3, "PENDING_GENERATION");
    let template = json!({"versionTemplate": {"algorithm": "EC_SIGN_P384_SHA384"}});
    kms.ok("PATCH", &format!("/v1/{key}?updateMask=versionTemplate.algorithm"), &template);
    kms.new_version(&key);
    let four = (4, KeyState::Active);
    assert_eq!(versions().await, (vec![one, two, four], Some("2".to_owned())));

    // What was disabled signs no more, and its public half is known from before.
    kms.set_state(&key, 2, "DISABLED");
    let two = (2, KeyState::Disabled);
    assert_eq!(versions().await, (vec![one, two, four], Some("1".to_owned())));
    let error = provider.sign(&keys[1], &input).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Disabled);
    kms.set_state(&key, 2, "DESTROYED");
    assert_eq!(versions().await.0, [one, four]);
    // Another process never knew it.
    kms.set_state(&key, 1, "DESTROY_SCHEDULED");
    let other = builder(&kms).signing_key(&key).build().await.unwrap();
    let keys = other.public_keys().await.unwrap();
    assert_eq!((keys.len(), keys[0].version.as_str()), (1, "4"));
    assert_eq!(other.capabilities().signing, [SigningAlgorithm::Es384]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_can_be_pinned() {
    let Some(kms) = CloudKms::start() else { return };
    let (seals, signs) =
        (kms.sealing_key("orders"), kms.signing_key("tokens", "EC_SIGN_P256_SHA256"));
    kms.rotate(&seals);
    kms.new_version(&signs);
    let pinned = |key: &str, version: u64| format!("{key}/cryptoKeyVersions/{version}");
    let provider = builder(&kms)
        .sealing_key(pinned(&seals, 1))
        .signing_key(pinned(&signs, 1))
        .build()
        .await
        .unwrap();
    let (_, wrapped) = provider.generate_data_key(&context()).await.unwrap();
    assert_eq!(wrapped.version.as_ref().unwrap().as_str(), "1");
    assert!(provider.is_current(&wrapped));
    provider.unwrap_data_key(&wrapped, &context()).await.unwrap();
    assert!(provider.is_current(&wrapped));
    let keys = provider.public_keys().await.unwrap();
    let current: Vec<_> = keys.iter().map(|key| (key.version.as_str(), key.current)).collect();
    assert_eq!(current, [("1", true), ("2", false)]);
    // It opens what the primary version has sealed.
    let other = builder(&kms).sealing_key(&seals).build().await.unwrap();
    let (_, wrapped) = other.generate_data_key(&context()).await.unwrap();
    provider.unwrap_data_key(&wrapped, &context()).await.unwrap();
    assert!(!provider.is_current(&wrapped));
    for gone in [pinned(&seals, 9), pinned(&signs, 9)] {
        let uri = format!("gcpkms://{gone}").parse().unwrap();
        let KeyUri::GcpKms(uri) = uri else { panic!() };
        let built = builder(&kms).uri(&uri).build().await;
        assert_eq!(built.unwrap_err().kind(), ErrorKind::NotFound);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_with_many_versions_is_read_in_pages() {
    let Some(kms) = CloudKms::start() else { return };
    let key = kms.signing_key("tokens", "EC_SIGN_P256_SHA256");
    for version in 2..=205 {
        assert_eq!(kms.new_version(&key), version);
    }
    kms.reset();
    let provider = builder(&kms).signing_key(&key).build().await.unwrap();
    assert_eq!(kms.count("ListCryptoKeyVersions"), 3);
    let keys = provider.public_keys().await.unwrap();
    assert_eq!(keys.len(), 205);
    assert!(keys[204].current && keys[204].version.as_str() == "205");
    assert_eq!(kms.count("GetPublicKey"), 205);
    provider.public_keys().await.unwrap();
    assert_eq!(kms.count("GetPublicKey"), 205);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_least_permissions_are_enough_and_each_is_needed() {
    let Some(kms) = CloudKms::start() else { return };
    let (seals, signs) =
        (kms.sealing_key("orders"), kms.signing_key("tokens", "EC_SIGN_P256_SHA256"));
    let listed = LEAST_PRIVILEGE_ROLE.lines().filter_map(|line| line.strip_prefix("- "));
    let all: Vec<&str> = listed.collect();
    assert_eq!(all.len(), 6);
    let principal = |name: &str, permissions: &[&str]| {
        kms.principal(&json!({"token": name, "permissions": permissions}));
        builder(&kms).credentials(token(name)).sealing_key(&seals).signing_key(&signs)
    };
    for missing in std::iter::once("").chain(all.iter().copied()) {
        let kept: Vec<&str> = all.iter().copied().filter(|one| *one != missing).collect();
        let builder = principal(&format!("without-{missing}"), &kept);
        let used = async {
            let provider = builder.build().await?;
            let (_, wrapped) = provider.generate_data_key(&context()).await?;
            provider.unwrap_data_key(&wrapped, &context()).await?;
            let keys = provider.public_keys().await?;
            let input = SigningInput::new(SigningAlgorithm::Es256, b"x");
            provider.sign(&keys[0], &input).await.map(drop)
        };
        match (used.await, missing) {
            (Ok(()), "") => {}
            (Err(error), missing) if !missing.is_empty() => {
                assert_eq!(error.kind(), ErrorKind::Denied, "{missing}: {error}");
                assert!(error.message().contains(missing), "{missing}: {error}");
            }
            (used, missing) => panic!("without {missing:?}: {used:?}"),
        }
    }
}

/// Another key's wrap, another context, another use: none opens, and none is a reason to ask twice of KMS but
/// what it refuses.
#[tokio::test(flavor = "multi_thread")]
async fn records_are_looked_at_before_kms_is_asked() {
    let Some(kms) = CloudKms::start() else { return };
    let key = kms.sealing_key("orders");
    let provider = builder(&kms).sealing_key(&key).build().await.unwrap();
    let (_, good) = provider.generate_data_key(&context()).await.unwrap();
    kms.reset();
    let version = |text: &str| bulla::KeyVersion::parse(text).unwrap();
    for bad in [
        bulla::Wrapped { version: None, ..good.clone() },
        bulla::Wrapped { version: Some(version("01")), ..good.clone() },
        bulla::Wrapped { version: Some(version("x")), ..good.clone() },
        bulla::Wrapped { blob: vec![7; 513], ..good.clone() },
        bulla::Wrapped { blob: Vec::new(), ..good.clone() },
    ] {
        let error = provider.unwrap_data_key(&bad, &context()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotAuthentic);
    }
    let direct = provider.decrypt(&good, &context()).await.unwrap_err();
    assert_eq!(direct.kind(), ErrorKind::NotAuthentic);
    assert_eq!(kms.total(), 0);
    let error = provider.unwrap_data_key(&good, &EncryptionContext::new()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotAuthentic);
    assert_eq!(kms.count("Decrypt"), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_processes_that_name_the_project_otherwise_mean_one_key() {
    let Some(kms) = CloudKms::start() else { return };
    let key = kms.sealing_key("orders");
    let number = key.replace("projects/p/", "projects/123/");
    let _ = kms.key(
        "projects/123/locations/europe-west3",
        "orders",
        "ENCRYPT_DECRYPT",
        "GOOGLE_SYMMETRIC_ENCRYPTION",
        "SOFTWARE",
    );
    // KMS says which name it likes.
    let told = json!({"name": &key, "primary": null});
    kms.faults(&json!([{"method": "GetCryptoKey", "times": 1, "set": told}]));
    let built = builder(&kms).also_open(&number).build().await.unwrap();
    assert_eq!(built.describe_keys().await[0].0.id(), key);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_provider_makes_no_requests() {
    let Some(kms) = CloudKms::start() else { return };
    let provider: GcpKms =
        builder(&kms).sealing_key(kms.sealing_key("orders")).build().await.unwrap();
    provider.close().await.unwrap();
    kms.reset();
    let error = provider.generate_data_key(&context()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Closed);
    assert_eq!(kms.total(), 0);
}
