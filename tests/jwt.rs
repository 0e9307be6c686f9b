//! Tokens signed by the local key store, through every algorithm and every rotation.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "helpers of tests are tests too"
)]
#![cfg(feature = "aws-lc-rs")]

use std::{sync::Arc, time::Duration};

use bulla::{
    CryptoProvider, CryptoProviderExt, ErrorKind, SharedProvider, SigningAlgorithm,
    jwt::{
        Claims, InvalidToken, Jwk, JwkSet, ProviderKeys, Signer, Verified, Verifier,
        VerifierBuilder,
    },
    key::KeyState,
    resilience::{Policy, Resilient},
};
use bulla_conformance::Memory;
use bulla_local::{ExportFormat, KeyType, Local, Protection, Store};
use serde_json::Value;

struct Place {
    _dir: tempfile::TempDir,
    store: Store,
}

impl Place {
    fn new(key_type: KeyType) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::at(dir.path().join("store"));
        store.create_key("k", key_type, &Protection::None).unwrap();
        Self { _dir: dir, store }
    }

    fn vault(&self) -> Arc<Local> {
        Arc::new(Local::builder(self.store.clone()).signing_key("k").build().unwrap())
    }
}

fn claims() -> Claims {
    Claims::new().unwrap().with_issuer("us").with_audience("them").with_subject("ada")
}

fn expected() -> VerifierBuilder {
    Verifier::builder().issuer("us").audience("them").typ("JWT")
}

fn kid(token: &str) -> String {
    let header = bulla::jwt::decode_unverified(token).unwrap().header().clone();
    header["kid"].as_str().unwrap().to_owned()
}

/// Every algorithm of every type of key, with the keys as their provider has them, as published,
/// and as exported.
#[tokio::test]
async fn every_algorithm_signs_and_verifies() {
    let verifier = expected().build().unwrap();
    let mut seen = Vec::new();
    for key_type in KeyType::ALL.into_iter().filter(|key_type| !key_type.seals()) {
        let place = Place::new(key_type);
        for algorithm in key_type.signing_algorithms().iter().copied() {
            let keys = Arc::new(ProviderKeys::builder(place.vault()).algorithm(algorithm).build());
            let signer = Signer::builder(Arc::clone(&keys)).verify_signatures().build().unwrap();
            let token = signer.sign(&claims()).await.unwrap();
            let verified: Verified<Claims> = verifier.verify(&token, &*keys).await.unwrap();
            assert_eq!(verified.header().algorithm(), algorithm);
            assert_eq!(verified.claims().subject(), Some("ada"));

            let published = JwkSet::from_json(keys.jwk_set().await.unwrap().to_json()).unwrap();
            assert_eq!(published.find(&kid(&token)).unwrap().algorithm(), Some(algorithm));
            verifier.verify_with::<Claims>(&token, &published).unwrap();
            verifier.verify::<Claims>(&token, &Arc::new(published)).await.unwrap();

            // As exported, an RSA key has no algorithm, and verifies with those named alone.
            let jwk = place.store.export_public("k", None, ExportFormat::Jwk).unwrap();
            let pem = place.store.export_public("k", None, ExportFormat::Pem).unwrap();
            for key in [Jwk::from_json(jwk).unwrap(), Jwk::from_pem(&pem).unwrap()] {
                assert_eq!(key.thumbprint(), kid(&token));
                let set = JwkSet::new([key.with_kid(kid(&token))]).unwrap();
                let named = expected().algorithms([algorithm]).build().unwrap();
                named.verify_with::<Claims>(&token, &set).unwrap();
                let unnamed = verifier.verify_with::<Claims>(&token, &set);
                assert_eq!(unnamed.is_ok(), key_type.signing_algorithms().len() == 1);
            }
            seen.push(algorithm);

            // Every other algorithm of the same key is refused.
            for other in key_type.signing_algorithms().iter().filter(|other| **other != algorithm) {
                let keys = ProviderKeys::builder(place.vault()).algorithm(*other).build();
                let error = verifier.verify::<Claims>(&token, &keys).await.unwrap_err();
                assert_eq!(InvalidToken::of(&error), Some(InvalidToken::Algorithm));
            }
        }
    }
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen.len(), 10);
}

#[tokio::test]
async fn an_rsa_key_needs_an_algorithm_named() {
    let vault = Place::new(KeyType::Rsa2048);
    let keys = Arc::new(ProviderKeys::new(vault.vault()));
    let error = Signer::new(Arc::clone(&keys)).sign(&claims()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(error.message().contains("RS256"), "{error}");
    assert_eq!(keys.jwk_set().await.unwrap().iter().next().unwrap().algorithm(), None);
    let wrong = ProviderKeys::builder(vault.vault()).algorithm(SigningAlgorithm::Es256).build();
    let error = Signer::new(Arc::new(wrong)).sign(&claims()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
}

/// A token of the old version verifies as long as the version may, and the new one signs.
#[tokio::test]
async fn tokens_through_a_rotation() {
    let place = Place::new(KeyType::P256);
    let vault = place.vault();
    let keys = Arc::new(ProviderKeys::new(Arc::clone(&vault)));
    let signer = Signer::new(Arc::clone(&keys));
    let verifier = expected().build().unwrap();
    let old = signer.sign(&claims()).await.unwrap();
    place.store.rotate("k", &Protection::None).unwrap();
    keys.invalidate();
    let new = signer.sign(&claims()).await.unwrap();
    assert_ne!(kid(&old), kid(&new));
    for token in [&old, &new] {
        verifier.verify::<Claims>(token, &*keys).await.unwrap();
    }
    place.store.set_state("k", Some(1), KeyState::Disabled).unwrap();
    vault.reload().unwrap();
    keys.invalidate();
    let error = verifier.verify::<Claims>(&old, &*keys).await.unwrap_err();
    assert_eq!(InvalidToken::of(&error), Some(InvalidToken::UnknownKey));
    verifier.verify::<Claims>(&new, &*keys).await.unwrap();
}

/// With a second key on the list, only the signing key signs; both verify.
#[tokio::test]
async fn further_keys_verify_and_do_not_sign() {
    let place = Place::new(KeyType::P256);
    place.store.create_key("other", KeyType::Ed25519, &Protection::None).unwrap();
    let other = Local::builder(place.store.clone()).signing_key("other").build().unwrap();
    let foreign = other.sign_jwt(&claims()).await.unwrap();
    let both = Local::builder(place.store.clone()).signing_key("k").also_open("other");
    let keys = Arc::new(ProviderKeys::new(Arc::new(both.build().unwrap())));
    let own = Signer::new(Arc::clone(&keys)).sign(&claims()).await.unwrap();
    let verifier = expected().build().unwrap();
    for (token, algorithm) in [(own, SigningAlgorithm::Es256), (foreign, SigningAlgorithm::Ed25519)]
    {
        let verified: Verified<Value> = verifier.verify(&token, &*keys).await.unwrap();
        assert_eq!(verified.header().algorithm(), algorithm);
    }
}

#[tokio::test]
async fn any_provider_signs_through_any_pointer() {
    let place = Place::new(KeyType::Ed25519);
    let shared: SharedProvider = place.vault();
    let wrapped: SharedProvider = Arc::new(Resilient::new(place.vault(), Policy::default()));
    let borrowed: &dyn CryptoProvider = &*shared;
    let verifier = expected().build().unwrap();
    let keys = ProviderKeys::builder(Arc::clone(&shared)).ttl(Duration::from_secs(1)).build();
    for token in [
        shared.sign_jwt(&claims()).await.unwrap(),
        borrowed.sign_jwt(&claims()).await.unwrap(),
        Signer::new(Arc::new(ProviderKeys::new(wrapped))).sign(&claims()).await.unwrap(),
    ] {
        verifier.verify::<Claims>(&token, &keys).await.unwrap();
    }
}

#[tokio::test]
async fn a_provider_without_a_signing_key_says_so() {
    let memory = Arc::new(Memory::new("m"));
    let error = memory.sign_jwt(&claims()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    memory.close().await.unwrap();
    let keys = ProviderKeys::new(memory);
    let token = "eyJhbGciOiJFZDI1NTE5In0.e30.AA";
    let verifier = expected().build().unwrap();
    let error = verifier.verify::<Claims>(token, &keys).await.unwrap_err();
    assert_eq!((error.kind(), InvalidToken::of(&error)), (ErrorKind::Closed, None));
}
