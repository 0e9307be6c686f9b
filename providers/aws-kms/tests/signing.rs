//! Signatures, on MiniStack: the other emulator hashes digests again.

#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    reason = "helpers of tests are tests too"
)]

mod world;

use aws_sdk_kms::types::KeySpec;
use bulla::{
    CryptoProvider, Error, ErrorKind, PublicKey, Sign, Signature, SigningAlgorithm, SigningInput,
    key::KeyState,
};
use bulla_testworld::{Ministack, Python};
use world::{REGION, builder, client};

use SigningAlgorithm::*;

const KEYS: [(KeySpec, &[SigningAlgorithm], usize); 7] = [
    (KeySpec::Rsa2048, &[Rs256, Rs384, Rs512, Ps256, Ps384, Ps512], 256),
    (KeySpec::Rsa3072, &[Rs256, Rs384, Rs512, Ps256, Ps384, Ps512], 384),
    (KeySpec::Rsa4096, &[Rs256, Rs384, Rs512, Ps256, Ps384, Ps512], 512),
    (KeySpec::EccNistP256, &[Es256], 64),
    (KeySpec::EccNistP384, &[Es384], 96),
    (KeySpec::EccNistP521, &[Es512], 132),
    (KeySpec::EccNistEdwards25519, &[Ed25519], 64),
];

fn kind<T>(result: Result<T, Error>) -> ErrorKind {
    result.err().map(|error| error.kind()).unwrap()
}

#[tokio::test]
async fn every_algorithm_signs_and_verifies_here_and_there() {
    let Some(python) = Python::for_aws() else { return };
    let server = Ministack::start(&python, false);
    let url = server.url();
    for (spec, algorithms, len) in KEYS {
        let arn = world::pair(&url, spec).await;
        let provider = builder(&url).signing_key(&arn).build().await.unwrap();
        assert_eq!(provider.capabilities().signing, algorithms);
        let [key] = &provider.public_keys().await.unwrap()[..] else { panic!("one key") };
        assert_eq!((key.key.id(), key.version.as_str()), (arn.as_str(), "1"));
        assert!(key.current && key.state == KeyState::Active && key.algorithms == algorithms);
        // P-521: often a half is shorter than 66 bytes.
        for n in 0..if len == 132 { 24 } else { 2 } {
            for algorithm in algorithms {
                let message = format!("message {n}");
                let input = SigningInput::new(*algorithm, message.as_bytes());
                let signature = provider.sign(key, &input).await.unwrap();
                assert_eq!(signature.as_bytes().len(), len, "{algorithm}");
                provider.verify(key, &input, &signature).unwrap();
                provider.verify_remotely(key, &input, &signature).await.unwrap();
                if n == 0 {
                    refuses(&provider, key, *algorithm, &signature).await;
                }
            }
        }
        let foreign = if algorithms.contains(&Es256) { Es384 } else { Es256 };
        let input = SigningInput::new(foreign, b"message");
        assert_eq!(kind(provider.sign(key, &input).await), ErrorKind::InvalidInput);
        let none = Signature::new(vec![1; 64]);
        assert_eq!(kind(provider.verify(key, &input, &none)), ErrorKind::InvalidInput);
    }
}

async fn refuses(
    provider: &bulla_aws_kms::AwsKms,
    key: &PublicKey,
    algorithm: SigningAlgorithm,
    good: &Signature,
) {
    let input = SigningInput::new(algorithm, b"message 0");
    let other = SigningInput::new(algorithm, b"message X");
    assert_eq!(kind(provider.verify(key, &other, good)), ErrorKind::NotAuthentic);
    let there = provider.verify_remotely(key, &other, good).await;
    assert_eq!(kind(there), ErrorKind::NotAuthentic);
    let good = good.as_bytes();
    let mut flipped = good.to_vec();
    *flipped.last_mut().unwrap() ^= 1;
    for bad in [flipped, good[1..].to_vec(), [good, &[0]].concat(), vec![], vec![0; good.len()]] {
        let bad = Signature::new(bad);
        assert_eq!(kind(provider.verify(key, &input, &bad)), ErrorKind::NotAuthentic);
        let there = provider.verify_remotely(key, &input, &bad).await;
        assert_eq!(kind(there), ErrorKind::NotAuthentic, "{algorithm} {bad:?}");
    }
}

#[tokio::test]
async fn an_rsa_key_may_be_pinned_to_one_algorithm() {
    let Some(python) = Python::for_aws() else { return };
    let server = Ministack::start(&python, false);
    let arn = world::pair(&server.url(), KeySpec::Rsa2048).await;
    let provider = builder(&server.url()).signing_key(&arn).signing_algorithm(Ps256);
    let provider = provider.build().await.unwrap();
    let key = provider.public_keys().await.unwrap().remove(0);
    assert_eq!(key.algorithms, [Ps256]);
    provider.sign(&key, &SigningInput::new(Ps256, b"m")).await.unwrap();
    let refused = provider.sign(&key, &SigningInput::new(Rs256, b"m")).await;
    assert_eq!(kind(refused), ErrorKind::InvalidInput);
    // Another provider, without the pin, signs with the same key: that is not accepted here.
    let free = builder(&server.url()).signing_key(&arn).build().await.unwrap();
    let unpinned = free.public_keys().await.unwrap().remove(0);
    let input = SigningInput::new(Rs256, b"m");
    let signature = free.sign(&unpinned, &input).await.unwrap();
    free.verify(&unpinned, &input, &signature).unwrap();
    free.verify_remotely(&unpinned, &input, &signature).await.unwrap();
    // Nor there under the public key that was read here.
    for (provider, key) in [(&provider, &unpinned), (&provider, &key), (&free, &key)] {
        assert_eq!(kind(provider.verify(key, &input, &signature)), ErrorKind::InvalidInput);
        let there = provider.verify_remotely(key, &input, &signature).await;
        assert_eq!(kind(there), ErrorKind::InvalidInput);
    }
}

/// A key that only verifies does not keep the others from signing when it is gone.
#[tokio::test]
async fn keys_that_are_gone_are_not_published() {
    let Some(python) = Python::for_aws() else { return };
    let server = Ministack::start(&python, false);
    let url = server.url();
    let signs = world::pair(&url, KeySpec::EccNistP256).await;
    let gone = world::pair(&url, KeySpec::EccNistP384).await;
    let provider = builder(&url).signing_key(&signs).also_open(&gone).build().await.unwrap();
    let admin = client(&url, REGION);
    admin.schedule_key_deletion().key_id(&gone).send().await.unwrap();
    let keys = provider.public_keys().await.unwrap();
    assert!(keys.iter().all(|key| key.key.id() == signs || key.state != KeyState::Active));
    let key = keys.iter().find(|key| key.current).unwrap();
    provider.sign(key, &SigningInput::new(Es256, b"m")).await.unwrap();
    // That the signing key is gone is told.
    admin.schedule_key_deletion().key_id(&signs).send().await.unwrap();
    let fresh = builder(&url).signing_key(&signs).build().await;
    assert_eq!(fresh.unwrap_err().kind(), ErrorKind::PendingDeletion);
}

#[tokio::test]
async fn ed25519_has_a_limit() {
    let Some(python) = Python::for_aws() else { return };
    let server = Ministack::start(&python, false);
    let arn = world::pair(&server.url(), KeySpec::EccNistEdwards25519).await;
    let provider = builder(&server.url()).signing_key(&arn).build().await.unwrap();
    let key = provider.public_keys().await.unwrap().remove(0);
    let most = vec![7; 4096];
    let input = SigningInput::new(Ed25519, &most);
    let signature = provider.sign(&key, &input).await.unwrap();
    provider.verify(&key, &input, &signature).unwrap();
    for len in [0, 4097] {
        let message = vec![7; len];
        let error = provider.sign(&key, &SigningInput::new(Ed25519, &message)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(error.message().contains("1 to 4096 bytes"), "{error}");
    }
}

/// Keys to verify with, and keys that are none.
#[tokio::test]
async fn several_keys_verify_and_one_signs() {
    let Some(python) = Python::for_aws() else { return };
    let server = Ministack::start(&python, false);
    let url = server.url();
    let old = world::pair(&url, KeySpec::EccNistP384).await;
    let new = world::pair(&url, KeySpec::EccNistP256).await;
    let before = builder(&url).signing_key(&old).build().await.unwrap();
    let old_key = before.public_keys().await.unwrap().remove(0);
    let input = SigningInput::new(Es384, b"m");
    let signature = before.sign(&old_key, &input).await.unwrap();

    let now = builder(&url).signing_key(&new).also_open(&old).build().await.unwrap();
    let keys = now.public_keys().await.unwrap();
    assert_eq!(keys.iter().map(|key| key.current).collect::<Vec<_>>(), [true, false]);
    now.verify(&keys[1], &input, &signature).unwrap();
    assert_eq!(kind(now.sign(&keys[1], &input).await), ErrorKind::InvalidInput);
    let only_new = builder(&url).signing_key(&new).build().await.unwrap();
    assert_eq!(kind(only_new.verify(&old_key, &input, &signature)), ErrorKind::InvalidInput);

    // The old key is disabled: it is shown so, and its signatures verify still, here.
    client(&url, REGION).disable_key().key_id(&old).send().await.unwrap();
    let keys = now.public_keys().await.unwrap();
    assert_eq!(keys[1].state, KeyState::Disabled);
    now.verify(&keys[1], &input, &signature).unwrap();
    let there = now.verify_remotely(&keys[1], &input, &signature).await;
    assert_eq!(kind(there), ErrorKind::Disabled);
}

/// That KMS is down says nothing about a signature.
#[tokio::test]
async fn an_outage_is_no_bad_signature() {
    let Some(python) = Python::for_aws() else { return };
    let mut server = Ministack::start(&python, false);
    let arn = world::pair(&server.url(), KeySpec::EccNistP256).await;
    let provider = builder(&server.url()).signing_key(&arn).build().await.unwrap();
    let key = provider.public_keys().await.unwrap().remove(0);
    let input = SigningInput::new(Es256, b"m");
    let signature = provider.sign(&key, &input).await.unwrap();
    server.kill();
    provider.verify(&key, &input, &signature).unwrap();
    let there = provider.verify_remotely(&key, &input, &signature).await;
    assert_eq!(kind(there), ErrorKind::Unavailable);
    assert_eq!(kind(provider.sign(&key, &input).await), ErrorKind::Unavailable);
}
