//! Keys on OpenBao: what is made of each type, of their versions, and of what they are not allowed.

#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    reason = "helpers of tests are tests too"
)]

mod world;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bulla::{
    Context, CryptoProvider, CryptoProviderExt, DataKeys, Encrypt, EncryptionContext, ErrorKind,
    Sign, SigningAlgorithm, SigningInput, Wrapped, key::KeyState, provider::KeyUse,
};
use bulla_testworld::{Counter, OpenBao};
use bulla_vault::{Auth, LEAST_PRIVILEGE_POLICY, Vault};
use serde_json::json;
use world::builder;

fn context() -> EncryptionContext {
    EncryptionContext::from_pairs([("tenant", "acme")]).unwrap()
}

/// Checked on this machine, under the public key, by another implementation than the server's.
#[tokio::test]
async fn every_kind_of_pair_signs_what_verifies() {
    let Some(bao) = OpenBao::start() else { return };
    let mut signed = 0;
    for kind in
        ["rsa-2048", "rsa-3072", "rsa-4096", "ecdsa-p256", "ecdsa-p384", "ecdsa-p521", "ed25519"]
    {
        bao.key(kind, kind);
        let provider = builder(&bao).signing_key(kind).build().await.unwrap();
        let key = provider.public_keys().await.unwrap().remove(0);
        assert!(key.current && key.version.as_str() == "1");
        for algorithm in &key.algorithms {
            for message in [&b"message"[..], b"", &[7; 4096]] {
                let input = SigningInput::new(*algorithm, message);
                let signature = provider.sign(&key, &input).await.unwrap();
                provider.verify(&key, &input, &signature).unwrap();
                provider.verify_remotely(&key, &input, &signature).await.unwrap();
                let other = SigningInput::new(*algorithm, b"messagE");
                let error = provider.verify(&key, &other, &signature).unwrap_err();
                assert_eq!(error.kind(), ErrorKind::NotAuthentic);
                let error = provider.verify_remotely(&key, &other, &signature).await.unwrap_err();
                assert_eq!(error.kind(), ErrorKind::NotAuthentic, "{error}");
                signed += 1;
            }
        }
    }
    assert_eq!(signed, 3 * (3 * 6 + 4));
}

/// A rotation is a new key id in a set of keys, and the old version goes on signing and verifying until
/// it is taken out of use.
#[tokio::test]
async fn a_rotation_shows_as_a_new_key() {
    let Some(bao) = OpenBao::start() else { return };
    bao.key("k", "ecdsa-p256");
    let provider = builder(&bao).signing_key("k").build().await.unwrap();
    let old = provider.public_keys().await.unwrap().remove(0);
    bao.rotate("k");
    let keys = provider.public_keys().await.unwrap();
    let versions: Vec<_> = keys.iter().map(|key| (key.version.as_str(), key.current)).collect();
    assert_eq!(versions, [("1", false), ("2", true)]);
    assert_eq!(keys[0].spki, old.spki);
    assert_ne!(keys[1].spki, old.spki);
    let input = SigningInput::new(SigningAlgorithm::Es256, b"m");
    for key in &keys {
        let signature = provider.sign(key, &input).await.unwrap();
        bulla::signing::verify(key, &input, &signature).unwrap();
    }
    // Signing by the old one is over, then verifying.
    bao.ok("POST", "transit/keys/k/config", &json!({"min_encryption_version": 2}));
    assert_eq!(provider.public_keys().await.unwrap()[0].state, KeyState::Deprecated);
    let error = provider.sign(&old, &input).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Disabled, "{error}");
    bao.ok("POST", "transit/keys/k/config", &json!({"min_decryption_version": 2}));
    let keys = provider.public_keys().await.unwrap();
    assert_eq!((keys.len(), keys[0].version.as_str()), (1, "2"));
    let mut future = keys[0].clone();
    future.version = bulla::KeyVersion::parse("9").unwrap();
    let error = provider.sign(&future, &input).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
}

/// What is sealed by an old version opens, is known to be old, and is moved on by a rewrap; then the old
/// version can be taken out of use.
#[tokio::test]
async fn a_rotated_key_opens_what_it_sealed() {
    use bulla::{Opener, envelope::Rewrap, format::Preamble};
    let Some(bao) = OpenBao::start() else { return };
    bao.key("k", "");
    let provider = builder(&bao).sealing_key("k").build().await.unwrap();
    let context = Context::new().with_key("tenant", "acme").unwrap();
    let sealed = provider.seal(b"secret", &context).await.unwrap();
    let record = |sealed: &[u8]| -> Wrapped {
        Preamble::split(sealed).unwrap().0.header().recipients()[0].clone()
    };
    let old = record(&sealed);
    assert!(old.blob.starts_with(b"vault:v1:") && provider.is_current(&old));
    bao.rotate("k");
    // Nobody has told this provider. The first wrap by the new version does.
    assert!(provider.is_current(&old));
    let plan = Rewrap::new().add_recipient(&provider);
    let moved = Opener::new([&provider]).rewrap_value(&sealed, &plan).await.unwrap();
    assert!(!provider.is_current(&old));
    let new = record(&moved);
    assert!(new.blob.starts_with(b"vault:v2:") && provider.is_current(&new));
    assert_eq!(&*provider.open(&sealed, &context).await.unwrap(), b"secret");

    bao.ok("POST", "transit/keys/k/config", &json!({"min_decryption_version": 2}));
    let error = provider.open(&sealed, &context).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Disabled, "{error}");
    assert!(error.message().contains("min_decryption_version is 2"), "{error}");
    assert_eq!(&*provider.open(&moved, &context).await.unwrap(), b"secret");
    bao.ok("POST", "transit/keys/k/config", &json!({"min_encryption_version": 2}));
    bao.ok("POST", "transit/keys/k/trim", &json!({"min_available_version": 2}));
    let error = provider.open(&sealed, &context).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Destroyed, "{error}");
    // One that only reads is told by health, or by what it opens.
    let reader = builder(&bao).also_open("k").build().await.unwrap();
    assert_eq!(&*reader.open(&moved, &context).await.unwrap(), b"secret");
}

/// The server has one answer for all of these, which are told apart here.
#[tokio::test]
async fn what_does_not_open_is_told_apart() {
    let Some(bao) = OpenBao::start() else { return };
    bao.key("k", "");
    let provider = builder(&bao).sealing_key("k").build().await.unwrap();
    let (key, wrapped) = provider.generate_data_key(&context()).await.unwrap();
    assert_eq!(wrapped.blob.len(), 89);
    assert!(provider.unwrap_data_key(&wrapped, &context()).await.unwrap().ct_eq(&key));
    let text = String::from_utf8(wrapped.blob.clone()).unwrap();
    let kind = async |blob: String| {
        let other = Wrapped { blob: blob.into_bytes(), ..wrapped.clone() };
        provider.unwrap_data_key(&other, &context()).await.unwrap_err().kind()
    };
    let flipped = text.replace("vault:v1:A", "vault:v1:B").replace("vault:v1:", "vault:v1:A");
    assert_eq!(kind(flipped[..89].to_owned()).await, ErrorKind::NotAuthentic);
    assert_eq!(kind(text.replace(":v1:", ":v7:")).await, ErrorKind::NotFound);
    // Spellings that the server reads, and this provider does not.
    for other in ["vault:v01:", "vault:v+1:", "vault:v0:"] {
        assert_eq!(
            kind(text.replace("vault:v1:", other)).await,
            ErrorKind::NotAuthentic,
            "{other}"
        );
    }
    assert_eq!(kind(format!("{text}\n")).await, ErrorKind::NotAuthentic);
    // As decrypting by hand shows, the first of them is one that the server reads.
    let aad = STANDARD.encode(KeyUse::DataKey.aad(&context()));
    let lenient = json!({"ciphertext": text.replace(":v1:", ":v01:"), "associated_data": aad});
    assert_eq!(bao.request(bao.root(), "POST", "transit/decrypt/k", &lenient).0, 200);

    bao.ok("POST", "transit/keys/k/config", &json!({"deletion_allowed": true}));
    bao.ok("DELETE", "transit/keys/k", &json!(null));
    assert_eq!(kind(text.clone()).await, ErrorKind::NotFound);
    let error = provider.generate_data_key(&context()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
    // The key was not made by being asked for, though this token may.
    assert_eq!(bao.request(bao.root(), "GET", "transit/keys/k", &json!(null)).0, 404);
}

/// A policy that lets keys be made by encrypting is common, and a typing error in a name must not be a key.
#[tokio::test]
async fn a_key_is_never_made() {
    let Some(bao) = OpenBao::start() else { return };
    let error = builder(&bao).sealing_key("ordres").build().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
    assert!(error.message().contains("transit/keys/ordres"), "{error}");
    assert_eq!(bao.request(bao.root(), "GET", "transit/keys/ordres", &json!(null)).0, 404);
}

#[tokio::test]
async fn keys_of_no_use_are_refused() {
    let Some(bao) = OpenBao::start() else { return };
    bao.key("aes128", "aes128-gcm96");
    bao.key("rsa", "rsa-2048");
    bao.key("aes", "");
    bao.ok("POST", "transit/keys/derived", &json!({"derived": true}));
    let kind = async |key: &str| builder(&bao).sealing_key(key).build().await.unwrap_err().kind();
    for key in ["aes128", "derived", "rsa"] {
        assert_eq!(kind(key).await, ErrorKind::Unsupported, "{key}");
    }
    let signs = builder(&bao).signing_key("aes").build().await.unwrap_err();
    assert_eq!(signs.kind(), ErrorKind::Unsupported);
    for bad in ["", ".", "..", "a/b", "a%2fb", "a?b", "a b", "\u{e9}", &"a".repeat(129)] {
        assert_eq!(kind(bad).await, ErrorKind::InvalidInput, "{bad:?}");
    }
    let both = builder(&bao).sealing_key("aes").mount("nowhere").build().await.unwrap_err();
    assert_eq!(both.kind(), ErrorKind::NotFound, "{both}");
}

#[tokio::test]
async fn a_key_that_is_soft_deleted_is_disabled() {
    let Some(bao) = OpenBao::start() else { return };
    bao.key("k", "");
    let provider = builder(&bao).sealing_key("k").build().await.unwrap();
    let (_, wrapped) = provider.generate_data_key(&context()).await.unwrap();
    bao.ok("DELETE", "transit/keys/k/soft-delete", &json!(null));
    let error = provider.unwrap_data_key(&wrapped, &context()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Disabled, "{error}");
    let error = provider.generate_data_key(&context()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Disabled, "{error}");
    assert_eq!(provider.health().await.unwrap_err().kind(), ErrorKind::Disabled);
    assert_eq!(provider.describe_keys().await.remove(0).1.unwrap().state, KeyState::Disabled);
    bao.ok("POST", "transit/keys/k/soft-delete-restore", &json!({}));
    provider.unwrap_data_key(&wrapped, &context()).await.unwrap();
}

/// Names are told apart by cluster, namespace, mount and key, and both schemes lead to the same.
#[tokio::test]
async fn names_are_of_the_cluster_and_not_of_the_address() {
    let Some(bao) = OpenBao::start() else { return };
    let cluster =
        bao.ok("GET", "sys/health", &json!(null))["cluster_id"].as_str().unwrap().to_owned();
    bao.ok("POST", "sys/mounts/team/a/transit", &json!({"type": "transit"}));
    bao.ok("POST", "transit/keys/k", &json!({}));
    bao.ok("POST", "team/a/transit/keys/k", &json!({}));
    let here = builder(&bao).sealing_key("k").build().await.unwrap();
    assert_eq!(here.sealing_key().unwrap().to_string(), format!("transit:{cluster}::transit:k"));
    let there = Vault::openbao().address(bao.url()).auth(Auth::token(bao.root()));
    let there = there.mount("/team/a/transit/").sealing_key("k").build().await.unwrap();
    let name = there.sealing_key().unwrap();
    assert_eq!(name.to_string(), format!("transit:{cluster}::team/a/transit:k"));
    let (_, wrapped) = there.generate_data_key(&context()).await.unwrap();
    let error = here.unwrap_data_key(&wrapped, &context()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NoRecipient);
    // Another address of the same server.
    let moved = Counter::start(bao.port());
    let moved = Vault::builder().address(moved.url()).auth(Auth::token(bao.root()));
    let moved = moved.mount("team/a/transit").also_open("k").build().await.unwrap();
    moved.unwrap_data_key(&wrapped, &context()).await.unwrap();
    for bad in ["", "a:b", "a/b", "..", &"a".repeat(65)] {
        let error = builder(&bao).realm(bad).sealing_key("k").build().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{bad:?}");
    }
}

/// Keys in a namespace, by a login there or in the one above it.
#[tokio::test]
async fn namespaces_have_keys_of_their_own() {
    let Some(bao) = OpenBao::start() else { return };
    bao.ok("POST", "sys/namespaces/team", &json!({}));
    bao.ok("POST", "team/sys/mounts/transit", &json!({"type": "transit"}));
    bao.ok("POST", "team/transit/keys/k", &json!({}));
    let team = || builder(&bao).namespace("team");
    let there = team().sealing_key("k").build().await.unwrap();
    let name = there.sealing_key().unwrap().id().to_owned();
    assert!(name.ends_with(":team:transit:k"), "{name}");
    let (key, wrapped) = there.generate_data_key(&context()).await.unwrap();
    let above = builder(&bao).sealing_key("k").build().await.unwrap_err();
    assert_eq!(above.kind(), ErrorKind::NotFound);

    let policy = LEAST_PRIVILEGE_POLICY.replace("orders", "k");
    bao.ok("POST", "team/sys/policies/acl/app", &json!({"policy": policy}));
    bao.ok("POST", "team/sys/auth/userpass", &json!({"type": "userpass"}));
    let user = json!({"password": "p", "token_policies": "app"});
    bao.ok("POST", "team/auth/userpass/users/ada", &user);
    let within = team().auth(Auth::userpass("ada", "p")).sealing_key("k").build().await.unwrap();
    assert!(within.unwrap_data_key(&wrapped, &context()).await.unwrap().ct_eq(&key));
    // The user is not one of the root's.
    let auth = Auth::userpass("ada", "p").namespace("");
    let error = team().auth(auth).sealing_key("k").build().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Denied, "{error}");
    let over = LEAST_PRIVILEGE_POLICY.replace("transit/", "team/transit/").replace("orders", "k");
    bao.policy("over", &over);
    bao.ok("POST", "sys/auth/userpass", &json!({"type": "userpass"}));
    let user = json!({"password": "q", "token_policies": "over"});
    bao.ok("POST", "auth/userpass/users/bob", &user);
    let auth = Auth::userpass("bob", "q").namespace("");
    let above = team().auth(auth).sealing_key("k").build().await.unwrap();
    assert!(above.unwrap_data_key(&wrapped, &context()).await.unwrap().ct_eq(&key));
}

/// A record of another cluster is not sent here, whatever it is called there.
#[tokio::test]
async fn a_record_of_another_realm_is_not_sent() {
    let (Some(one), Some(two)) = (OpenBao::start(), OpenBao::start()) else { return };
    for bao in [&one, &two] {
        bao.key("k", "");
    }
    let counter = Counter::start(two.port());
    let first = builder(&one).sealing_key("k").build().await.unwrap();
    let second = Vault::builder().address(counter.url()).auth(Auth::token(two.root()));
    let second = second.sealing_key("k").build().await.unwrap();
    let before = counter.total();
    let (_, wrapped) = first.generate_data_key(&context()).await.unwrap();
    let direct = first.encrypt(b"x", &context()).await.unwrap();
    let error = second.unwrap_data_key(&wrapped, &context()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NoRecipient);
    let error = second.decrypt(&direct, &context()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NoRecipient);
    assert_eq!(counter.total(), before);
}

/// The policy of the documentation is enough, and each right that is taken away is named.
#[tokio::test]
async fn the_policy_of_the_documentation_is_enough() {
    let Some(bao) = OpenBao::start() else { return };
    bao.key("orders", "");
    bao.key("tokens", "ecdsa-p256");
    let with = async |name: &str, policy: &str| {
        bao.policy(name, policy);
        let settings = json!({"policies": [name], "no_default_policy": true, "ttl": "1h"});
        let token = bao.token(&settings);
        let builder = Vault::builder().address(bao.url()).auth(Auth::token(token));
        let provider = builder.sealing_key("orders").signing_key("tokens").build().await?;
        let (_, wrapped) = provider.generate_data_key(&context()).await?;
        provider.unwrap_data_key(&wrapped, &context()).await?;
        let direct = provider.encrypt(b"pin", &context()).await?;
        provider.decrypt(&direct, &context()).await?;
        let key = provider.public_keys().await?.remove(0);
        provider.sign(&key, &SigningInput::new(SigningAlgorithm::Es256, b"m")).await?;
        provider.health().await?;
        Ok::<_, bulla::Error>(provider)
    };
    assert!(include_str!("../README.md").contains(LEAST_PRIVILEGE_POLICY));
    let provider = with("all", LEAST_PRIVILEGE_POLICY).await.unwrap();
    // And it is least: what it does not list is refused.
    let key = provider.public_keys().await.unwrap().remove(0);
    let input = SigningInput::new(SigningAlgorithm::Es256, b"m");
    let signature = provider.sign(&key, &input).await.unwrap();
    let error = provider.verify_remotely(&key, &input, &signature).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Denied, "{error}");
    assert!(error.message().contains("grant update on transit/verify/tokens"), "{error}");

    for path in [
        "transit/keys/orders",
        "transit/encrypt/orders",
        "transit/decrypt/orders",
        "transit/keys/tokens",
        "transit/sign/tokens",
    ] {
        let fewer = LEAST_PRIVILEGE_POLICY.replace(&format!("\"{path}\""), "\"nothing\"");
        assert_ne!(fewer, LEAST_PRIVILEGE_POLICY);
        let error = with(&path.replace('/', "-"), &fewer).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Denied, "{path}: {error}");
        assert!(error.message().contains(&format!(" on {path} to")), "{path}: {error}");
    }
}

/// What each call takes, counted at the server: the table in the README.
#[tokio::test]
async fn every_call_asks_what_the_table_says() {
    let Some(bao) = OpenBao::start() else { return };
    bao.key("k", "");
    bao.key("s", "ed25519");
    let counter = Counter::start(bao.port());
    let provider = Vault::builder().address(counter.url()).auth(Auth::token(bao.root()));
    let provider = provider.sealing_key("k").signing_key("s").build().await.unwrap();
    let counts = |paths: &[&str]| -> (Vec<usize>, usize) {
        (paths.iter().map(|path| counter.count(path)).collect(), counter.total())
    };
    let built = ["sys/health", "auth/token/lookup-self", "transit/keys/k", "transit/keys/s"];
    assert_eq!(counts(&built), (vec![1; 4], 4));
    let (key, wrapped) = provider.generate_data_key(&context()).await.unwrap();
    provider.wrap_data_key(&key, &context()).await.unwrap();
    provider.unwrap_data_key(&wrapped, &context()).await.unwrap();
    let direct = provider.encrypt(b"x", &context()).await.unwrap();
    provider.decrypt(&direct, &context()).await.unwrap();
    let moved = ["transit/encrypt/k", "transit/decrypt/k"];
    assert_eq!(counts(&moved), (vec![3, 2], 9));
    provider.reencrypt(&direct, &context(), &context()).await.unwrap();
    assert_eq!(counts(&moved), (vec![4, 3], 11));
    let public = provider.public_keys().await.unwrap().remove(0);
    let input = SigningInput::new(SigningAlgorithm::Ed25519, b"m");
    let signature = provider.sign(&public, &input).await.unwrap();
    provider.verify(&public, &input, &signature).unwrap();
    assert_eq!(counts(&["transit/keys/s", "transit/sign/s"]), (vec![2, 1], 13));
    provider.health().await.unwrap();
    assert_eq!(counts(&["transit/keys/k"]), (vec![2], 14));
    provider.describe_keys().await;
    assert_eq!(counts(&[]).1, 16);
    // What is refused here is not asked there.
    let other = EncryptionContext::from_pairs([("tenant", "evil")]).unwrap();
    assert!(provider.encrypt(&[0; 4097], &context()).await.is_err());
    let cut = Wrapped { blob: wrapped.blob[..88].to_vec(), ..wrapped.clone() };
    assert!(provider.unwrap_data_key(&cut, &context()).await.is_err());
    assert_eq!(counts(&[]).1, 16);
    // What it refuses takes one more, to tell why.
    assert!(provider.unwrap_data_key(&wrapped, &other).await.is_err());
    assert_eq!(counts(&[]).1, 18);
    provider.close().await.unwrap();
    assert_eq!(counts(&[]).1, 18, "a token that was given is left alone");
    let server = Vault::builder().address(counter.url()).auth(Auth::token(bao.root()));
    let server = server.server_data_keys().sealing_key("k").build().await.unwrap();
    let (key, wrapped) = server.generate_data_key(&context()).await.unwrap();
    assert_eq!(counts(&["transit/datakey/plaintext/k"]), (vec![1], 22));
    assert!(server.unwrap_data_key(&wrapped, &context()).await.unwrap().ct_eq(&key));
}
