//! Signing with a ring, and publishing it.

use std::{
    sync::{Arc, atomic::Ordering::SeqCst},
    time::Duration,
};

use bulla::{
    ErrorKind, Registry, Sign as _, SigningAlgorithm, SigningInput,
    jwt::{Claims, Signer, Verified, Verifier},
};
use bulla_local::{KeyType, LocalScheme, Protection, Store};
use bulla_tokens::ring::{
    KeyRing, MemoryRing, OpenByRegistry, ProviderMaker, RingKeys, RotationPolicy, Waits,
};

use crate::world::{World, world};

fn claims() -> Claims {
    Claims::new().unwrap().with_issuer("https://id.example").with_audience("orders")
}

fn verifier() -> Verifier {
    Verifier::builder().issuer("https://id.example").audience("orders").typ("JWT").build().unwrap()
}

#[tokio::test]
async fn tokens_of_both_keys_verify_across_a_rotation() {
    let world = World::begun(RotationPolicy::default()).await;
    let keys = world.process(0, &world.store).provider_keys();
    let signer = Signer::new(Arc::clone(&keys));
    let old = signer.sign(&claims()).await.unwrap();
    world.ring.publish(&world.kms.maker()).await.unwrap();
    let policy = *world.ring.load().await.unwrap().policy();
    world.clock.forward(policy.publish_wait());
    world.ring.promote(Waits::Keep).await.unwrap();
    // Signers look at the ring, and learn of it.
    world.clock.forward(policy.refresh());
    let new = signer.sign(&claims()).await.unwrap();
    for (token, kid) in [(&old, "2026-11"), (&new, "2026-11-2")] {
        let verified: Verified<Claims> = verifier().verify(token, &*keys).await.unwrap();
        assert_eq!(verified.header().kid(), Some(kid));
    }
    assert_eq!(world.kms.opened.load(SeqCst), 2, "one call for each key");
}

#[tokio::test]
async fn the_next_key_is_opened_before_its_turn() {
    let world = World::begun(RotationPolicy::default()).await;
    let keys = world.process(0, &world.store).provider_keys();
    let signer = Signer::new(Arc::clone(&keys));
    signer.sign(&claims()).await.unwrap();
    world.ring.publish(&world.kms.maker()).await.unwrap();
    let policy = *world.ring.load().await.unwrap().policy();
    world.clock.forward(policy.publish_wait());
    signer.sign(&claims()).await.unwrap();
    while world.kms.opened.load(SeqCst) < 2 {
        tokio::task::yield_now().await;
    }
    // The KMS is out when the key's turn comes, which nobody notices.
    world.kms.out.store(true, SeqCst);
    world.ring.promote(Waits::Keep).await.unwrap();
    world.clock.forward(policy.refresh());
    let token = signer.sign(&claims()).await.unwrap();
    let verified: Verified<Claims> = verifier().verify(&token, &*keys).await.unwrap();
    assert_eq!(verified.header().kid(), Some("2026-11-2"));
}

#[tokio::test]
async fn publishing_opens_nothing() {
    let world = World::begun(RotationPolicy::default()).await;
    world.kms.out.store(true, SeqCst);
    let keys = world.process(0, &world.store).provider_keys();
    assert_eq!(keys.jwk_set().await.unwrap().len(), 1);
    let error = Signer::new(keys).sign(&claims()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert_eq!(world.kms.opened.load(SeqCst), 0);
}

#[tokio::test]
async fn a_store_that_is_out_stops_nothing_until_what_is_known_is_stale() {
    let world = World::begun(RotationPolicy::default()).await;
    let keys = Arc::new(world.process(0, &world.store));
    let signer = Signer::new(Arc::new(RingKeys::keys_of(Arc::clone(&keys))));
    signer.sign(&claims()).await.unwrap();
    let policy = *world.ring.load().await.unwrap().policy();
    world.store.out.store(true, SeqCst);
    world.clock.forward(policy.staleness - Duration::from_secs(1));
    signer.sign(&claims()).await.unwrap();
    world.clock.forward(Duration::from_secs(1));
    assert_eq!(signer.sign(&claims()).await.unwrap_err().kind(), ErrorKind::Unavailable);
    assert_eq!(keys.public_keys().await.unwrap_err().kind(), ErrorKind::Unavailable);
    world.store.out.store(false, SeqCst);
    signer.sign(&claims()).await.unwrap();
}

/// It is looked at by the policy's clock, however many ask.
#[tokio::test]
async fn the_store_is_read_seldom() {
    let world = World::begun(RotationPolicy::default()).await;
    let keys = Arc::new(world.process(0, &world.store));
    world.store.reads.store(0, SeqCst);
    for _ in 0..100 {
        let asks = (0..10).map(|_| {
            let keys = Arc::clone(&keys);
            tokio::spawn(async move { keys.public_keys().await.unwrap().len() })
        });
        for ask in asks.collect::<Vec<_>>() {
            assert_eq!(ask.await.unwrap(), 1);
        }
    }
    assert_eq!(world.store.reads.load(SeqCst), 1);
    keys.invalidate();
    keys.public_keys().await.unwrap();
    assert_eq!(world.store.reads.load(SeqCst), 2);
}

#[tokio::test]
async fn only_the_key_that_signs_signs() {
    let world = World::begun(RotationPolicy::default()).await;
    world.ring.publish(&world.kms.maker()).await.unwrap();
    let keys = world.process(0, &world.store);
    let public = keys.public_keys().await.unwrap();
    let input = SigningInput::new(SigningAlgorithm::Es256, b"message");
    keys.sign(&public[0], &input).await.unwrap();
    let error = keys.sign(&public[1], &input).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Disabled);
    let mut other = public[0].clone();
    other.key = bulla::KeyName::new("ring", "other").unwrap();
    assert_eq!(keys.sign(&other, &input).await.unwrap_err().kind(), ErrorKind::Disabled);
    let input = SigningInput::new(SigningAlgorithm::Es384, b"message");
    let error = keys.sign(&public[0], &input).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
}

/// Whoever may write to the store says which keys are published; but a private half that is not the
/// published one never signs.
#[tokio::test]
async fn a_public_half_that_was_swapped_is_noticed() {
    use bulla_tokens::ring::RingStore as _;

    let (ours, theirs) = (World::begun(RotationPolicy::default()).await, world());
    theirs.ring.init("tokens", RotationPolicy::default(), &theirs.kms.maker()).await.unwrap();
    let text = ours.store.load().await.unwrap().unwrap();
    let other = String::from_utf8(theirs.store.load().await.unwrap().unwrap()).unwrap();
    let public = |text: &str| {
        let at = text.find("\"public\"").unwrap();
        text[at..].lines().next().unwrap().to_owned()
    };
    let swapped = String::from_utf8(text.clone()).unwrap();
    let swapped = swapped.replace(&public(&swapped), &public(&other));
    assert!(ours.store.replace(Some(&text), swapped.as_bytes()).await.unwrap());
    let signer = Signer::new(ours.process(0, &ours.store).provider_keys());
    let error = signer.sign(&claims()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Damaged, "{error}");
}

/// From a local key to another of the same store, as it would be to one in a KMS, and on to a sealed one.
#[tokio::test]
async fn a_ring_moves_between_providers() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::at(dir.path().join("bulla"));
    store.create_key("first", KeyType::P256, &Protection::None).unwrap();
    store.create_key("second", KeyType::Ed25519, &Protection::None).unwrap();
    let scheme = Arc::new(LocalScheme::new(store));
    let registry = Arc::new(Registry::builder().scheme("local", scheme).build());
    let world = world();
    let ring = KeyRing::new(MemoryRing::new()).with_clock(world.clock.skewed(0));
    let of = |uri: &str| ProviderMaker::new(Arc::clone(&registry), uri.parse().unwrap());
    ring.init("tokens", RotationPolicy::default(), &of("local:first")).await.unwrap();
    let open = OpenByRegistry::new(
        Arc::clone(&registry),
        bulla::Opener::new([registry.get("local:first").unwrap()]),
    );
    let keys = RingKeys::new(ring.clone(), open).provider_keys();
    let signer = Signer::new(Arc::clone(&keys));
    let mut tokens = vec![signer.sign(&claims()).await.unwrap()];

    let taken = ring.publish(&of("local:first")).await.unwrap_err();
    assert_eq!(taken.kind(), ErrorKind::AlreadyExists, "{taken}");
    ring.publish(&of("local:second")).await.unwrap();
    world.clock.forward(RotationPolicy::default().publish_wait());
    ring.promote(Waits::Keep).await.unwrap();
    world.clock.forward(Duration::from_secs(60));
    tokens.push(signer.sign(&claims()).await.unwrap());
    for (token, alg) in tokens.iter().zip([SigningAlgorithm::Es256, SigningAlgorithm::Ed25519]) {
        let verified: Verified<Claims> = verifier().verify(token, &*keys).await.unwrap();
        assert_eq!(verified.header().algorithm(), alg);
    }
}
