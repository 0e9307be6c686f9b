//! What goes when.

use std::time::Duration;

use bulla::ErrorKind;
use bulla_local::KeyType;
use bulla_tokens::ring::{
    Change, Due, FileRing, KeyRing, KidStyle, MemoryRing, Phase, RingStore as _, RotationPolicy,
    SealedMaker, Waits,
};

use crate::world::{Kms, World, world};

const HOUR: Duration = Duration::from_secs(3600);
const SECOND: Duration = Duration::from_secs(1);

fn phases(ring: &bulla_tokens::ring::Ring) -> Vec<(String, Phase)> {
    ring.keys().map(|key| (key.kid.to_string(), key.phase)).collect()
}

fn named(kid: &str, phase: Phase) -> (String, Phase) {
    (kid.to_owned(), phase)
}

#[tokio::test]
async fn a_key_goes_through_its_phases_and_no_step_comes_early() {
    let world = World::begun(RotationPolicy::default()).await;
    let (ring, maker) = (&world.ring, world.kms.maker());
    assert_eq!(phases(&ring.load().await.unwrap()), [named("2026-11", Phase::Signing)]);

    ring.publish(&maker).await.unwrap();
    let policy = *ring.load().await.unwrap().policy();
    world.clock.forward(policy.publish_wait() - SECOND);
    let early = ring.promote(Waits::Keep).await.unwrap_err();
    assert_eq!(early.kind(), ErrorKind::InvalidInput);
    assert!(early.message().starts_with("key 2026-11-2 may sign in 1s"), "{early}");
    world.clock.forward(SECOND);
    let changes = ring.promote(Waits::Keep).await.unwrap();
    let kid = |text: &str| text.parse_version();
    assert_eq!(changes, [Change::Signing(kid("2026-11-2")), Change::Retired(kid("2026-11"))]);

    world.clock.forward(policy.retire_wait() - SECOND);
    let early = ring.remove("2026-11", Waits::Keep).await.unwrap_err();
    assert!(early.message().contains("may be removed in 1s"), "{early}");
    world.clock.forward(SECOND);
    ring.remove("2026-11", Waits::Keep).await.unwrap();
    let all = ring.load().await.unwrap();
    assert_eq!(
        phases(&all),
        [named("2026-11", Phase::Removed), named("2026-11-2", Phase::Signing)]
    );
    // What is gone has neither half left.
    let gone = all.key("2026-11").unwrap();
    assert!(gone.spki().is_none() && gone.place().is_none());
    assert_eq!(ring.remove("2026-11", Waits::Keep).await.unwrap(), []);
}

trait ParseVersion {
    fn parse_version(&self) -> bulla::KeyVersion;
}

impl ParseVersion for str {
    fn parse_version(&self) -> bulla::KeyVersion {
        bulla::KeyVersion::parse(self).unwrap()
    }
}

#[tokio::test]
async fn the_schedule_publishes_in_time_and_leaves_nothing_behind() {
    let every = Duration::from_secs(30 * 24 * 3600);
    let world = World::begun(RotationPolicy::default().with_rotate_every(every)).await;
    let (ring, maker) = (&world.ring, world.kms.maker());
    let policy = *ring.load().await.unwrap().policy();
    assert_eq!(ring.rotate(&maker).await.unwrap(), []);

    world.clock.forward(every - policy.publish_wait() - SECOND);
    assert_eq!(ring.rotate(&maker).await.unwrap(), []);
    world.clock.forward(SECOND);
    assert_eq!(
        ring.rotate(&maker).await.unwrap(),
        [Change::Published("2026-11-2".parse_version())]
    );
    // It may sign, but not before its turn.
    world.clock.forward(policy.publish_wait());
    assert_eq!(ring.rotate(&maker).await.unwrap().len(), 2);
    let (when, due) = ring.load().await.unwrap().next_due().unwrap();
    assert_eq!(due, Due::Remove("2026-11".parse_version()));
    assert_eq!(when, world.clock.now() + policy.retire_wait());
    world.clock.forward(policy.retire_wait());
    assert_eq!(ring.rotate(&maker).await.unwrap(), [Change::Removed("2026-11".parse_version())]);
    // A rotator that was away for half a year does one step at a time, waits included.
    world.clock.forward(every * 6);
    assert_eq!(ring.rotate(&maker).await.unwrap(), [Change::Published("2027-05".parse_version())]);
    world.clock.forward(HOUR);
    assert_eq!(ring.rotate(&maker).await.unwrap(), []);
}

#[tokio::test]
async fn a_leaked_key_goes_at_once_if_that_is_said() {
    let world = World::begun(RotationPolicy::default()).await;
    let (ring, maker) = (&world.ring, world.kms.maker());
    let signs = ring.remove("2026-11", Waits::Skip).await.unwrap_err();
    assert_eq!(signs.kind(), ErrorKind::InvalidInput);
    ring.publish(&maker).await.unwrap();
    ring.promote(Waits::Skip).await.unwrap();
    ring.remove("2026-11", Waits::Skip).await.unwrap();
    assert_eq!(ring.load().await.unwrap().live().count(), 1);
}

#[tokio::test]
async fn a_key_that_never_signed_may_be_withdrawn() {
    let world = World::begun(RotationPolicy::default()).await;
    let (ring, maker) = (&world.ring, world.kms.maker());
    ring.publish(&maker).await.unwrap();
    let second = ring.publish(&maker).await.unwrap_err();
    assert_eq!(second.kind(), ErrorKind::AlreadyExists);
    ring.remove("2026-11-2", Waits::Keep).await.unwrap();
    // Its name is not given again.
    let changes = ring.publish(&maker).await.unwrap();
    assert_eq!(changes, [Change::Published("2026-11-3".parse_version())]);
    assert_eq!(ring.promote(Waits::Keep).await.unwrap_err().kind(), ErrorKind::InvalidInput);
}

#[tokio::test]
async fn of_two_who_rotate_at_once_one_does() {
    let world = World::begun(RotationPolicy::default()).await;
    let every = world.ring.load().await.unwrap().policy().rotate_every;
    world.clock.forward(every);
    for step in 0..3 {
        let rotators: Vec<_> = (0..8)
            .map(|_| {
                let (ring, maker) = (world.ring.clone(), world.kms.maker());
                tokio::spawn(async move { ring.rotate(&maker).await.unwrap() })
            })
            .collect();
        let mut changes = Vec::new();
        for rotator in rotators {
            changes.extend(rotator.await.unwrap());
        }
        let expected = [1, 2, 1][step];
        assert_eq!(changes.len(), expected, "step {step}: {changes:?}");
        let ring = world.ring.load().await.unwrap();
        assert_eq!(ring.live().count(), [2, 2, 1][step]);
        world.clock.forward(ring.policy().publish_wait().max(ring.policy().retire_wait()));
    }
}

/// The loser of a race decides anew, by the ring as it has become.
#[tokio::test]
async fn whoever_comes_second_sees_what_the_first_has_done() {
    let world = World::begun(RotationPolicy::default()).await;
    let (ring, maker) = (&world.ring, world.kms.maker());
    ring.publish(&maker).await.unwrap();
    // Between reading and replacing, somebody withdraws the key.
    let inner = KeyRing::new(world.store.inner.clone()).with_clock(world.clock.skewed(0));
    let hook = move || {
        futures_now(async move {
            inner.remove("2026-11-2", Waits::Keep).await.unwrap();
        })
    };
    *world.store.before.lock().unwrap() = Some(Box::new(hook));
    let error = ring.promote(Waits::Skip).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert_eq!(ring.load().await.unwrap().signing().unwrap().kid.as_str(), "2026-11");
}

/// A ring in memory never waits.
fn futures_now(work: impl Future<Output = ()>) {
    let mut work = std::pin::pin!(work);
    let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
    assert!(work.as_mut().poll(&mut cx).is_ready());
}

#[tokio::test]
async fn a_ring_is_begun_once() {
    let world = World::begun(RotationPolicy::default()).await;
    let again = world.ring.init("other", RotationPolicy::default(), &world.kms.maker()).await;
    assert_eq!(again.unwrap_err().kind(), ErrorKind::AlreadyExists);
    assert_eq!(world.ring.load().await.unwrap().name(), "tokens");

    let none = KeyRing::new(MemoryRing::new());
    assert_eq!(none.load().await.unwrap_err().kind(), ErrorKind::NotFound);
    let begins = none.init("a b", RotationPolicy::default(), &world.kms.maker()).await;
    assert_eq!(begins.unwrap_err().kind(), ErrorKind::InvalidInput);
}

#[tokio::test]
async fn a_policy_whose_waits_don_t_fit_is_refused() {
    let (world, day) = (world(), Duration::from_secs(86_400));
    for policy in [
        RotationPolicy::default().with_rotate_every(HOUR),
        RotationPolicy::default().with_token_life(200 * day),
        RotationPolicy::default().with_token_life(Duration::ZERO),
        RotationPolicy::default().with_staleness(Duration::ZERO),
        RotationPolicy::default().with_jwks_max_age(Duration::from_millis(1500)),
        RotationPolicy::default().with_rotate_every(Duration::from_secs(1 << 40)),
    ] {
        let refused = world.ring.init("tokens", policy, &world.kms.maker()).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::InvalidInput, "{policy:?}");
    }
    assert!(world.store.inner.load().await.unwrap().is_none());
}

#[tokio::test]
async fn keys_are_called_by_month_or_by_thumbprint() {
    let kms = Kms::new();
    let ring = KeyRing::new(MemoryRing::new());
    let maker = SealedMaker::new(kms.sealer(), KeyType::Ed25519).unwrap();
    let maker = maker.kids(KidStyle::Thumbprint);
    let begun = ring.init("tokens", RotationPolicy::default(), &maker).await.unwrap();
    let key = begun.signing().unwrap();
    let jwk = bulla::jwt::Jwk::from_spki(key.spki().unwrap()).unwrap();
    assert_eq!(key.kid.as_str(), jwk.thumbprint());
    assert_eq!(key.algorithm, bulla::SigningAlgorithm::Ed25519);
}

/// Whatever was done to the document, no ring is made of it that is not one.
#[tokio::test]
async fn a_damaged_document_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("keyring.json");
    let ring = KeyRing::new(FileRing::new(&path));
    let kms = Kms::new();
    ring.init("tokens", RotationPolicy::default(), &kms.maker()).await.unwrap();
    ring.publish(&kms.maker()).await.unwrap();
    let good = std::fs::read_to_string(&path).unwrap();
    for (from, to) in [
        ("bulla-keyring/1", "bulla-keyring/2"),
        ("\"signing\"", "\"published\""),
        ("\"published\",", "\"signing\","),
        ("\"ES256\"", "\"HS256\""),
        ("-2\"", "\""),
        ("\"tokens\"", "\"to kens\""),
        ("\"public\": \"M", "\"public\": \"*"),
        ("\"policy\"", "\"politics\""),
        ("\"jwks_max_age\": 3600", "\"jwks_max_age\": -1"),
        ("\"rotate_every\": 15552000", "\"rotate_every\": 1"),
        ("\"sealed\"", "\"key\""),
    ] {
        let bad = good.replace(from, to);
        assert_ne!(bad, good, "{from}");
        std::fs::write(&path, bad).unwrap();
        let error = ring.load().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Damaged, "{from}: {error}");
    }
    for bad in ["", "{}", "null", &good[..good.len() / 2], &" ".repeat(2 << 20)] {
        std::fs::write(&path, bad).unwrap();
        assert_eq!(ring.load().await.unwrap_err().kind(), ErrorKind::Damaged);
        // And it is not replaced by a good one.
        ring.rotate(&kms.maker()).await.unwrap_err();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), bad);
    }
    std::fs::write(&path, &good).unwrap();
    ring.load().await.unwrap();
}
