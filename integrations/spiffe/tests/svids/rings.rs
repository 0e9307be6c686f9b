//! Keys of a ring: one call to the KMS for each, however many workloads there are.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use bulla::{ErrorKind, Opener, Sealer};
use bulla_local::KeyType;
use bulla_spiffe::{
    BundleSet, BundleSource as _, JwtSvidIssuer, JwtSvidRequest, JwtSvidVerifier, LocalBundle,
    TrustDomain, refresh_hint, ring_policy, spiffe_id, trust_domain,
};
use bulla_tokens::ring::{
    Change, KeyRing, MemoryRing, RingKeys, RotationPolicy, SealedMaker, Waits,
};

use super::{
    kms::{Kms, SharedKms},
    minutes, part,
};

/// 2026-11-01 in UTC.
const START: u64 = 1_793_491_200;

/// In milliseconds.
#[derive(Clone)]
struct Clock(Arc<AtomicU64>);

impl Clock {
    fn now(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_millis(self.0.load(SeqCst))
    }

    fn forward(&self, time: Duration) {
        self.0.fetch_add(u64::try_from(time.as_millis()).unwrap(), SeqCst);
    }
}

struct World {
    kms: SharedKms,
    clock: Clock,
    ring: KeyRing,
    maker: SealedMaker<SharedKms>,
}

impl World {
    async fn new(policy: RotationPolicy) -> Self {
        let kms = Kms::new();
        let clock = Clock(Arc::new(AtomicU64::new(START * 1000)));
        let own = clock.clone();
        let ring = KeyRing::new(MemoryRing::new()).with_clock(move || own.now());
        let maker =
            SealedMaker::new(Sealer::new(Arc::clone(&kms)).unwrap(), KeyType::P256).unwrap();
        ring.init("svids", policy, &maker).await.unwrap();
        Self { kms, clock, ring, maker }
    }

    /// What a process that issues has.
    fn process(&self) -> Arc<RingKeys> {
        Arc::new(RingKeys::new(self.ring.clone(), Opener::new([Arc::clone(&self.kms)])))
    }

    async fn issuer(&self, ring: &Arc<RingKeys>) -> JwtSvidIssuer {
        let clock = self.clock.clone();
        let issuer = JwtSvidIssuer::of_ring(domain(), Arc::clone(ring)).clock(move || clock.now());
        issuer.build().await.unwrap()
    }

    fn verifier(&self, bundles: BundleSet) -> JwtSvidVerifier {
        let clock = self.clock.clone();
        let verifier = JwtSvidVerifier::builder(bundles).audience("reports");
        verifier.clock(move || clock.now()).build().unwrap()
    }
}

fn domain() -> TrustDomain {
    trust_domain("example.org").unwrap()
}

fn workload(n: usize) -> JwtSvidRequest {
    let id = spiffe_id(&format!("spiffe://example.org/workload/{n}")).unwrap();
    JwtSvidRequest::new(id, "reports")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_workloads_take_one_call_to_make_a_key_and_one_to_open_it() {
    let world = World::new(ring_policy(minutes(5), minutes(5))).await;
    assert_eq!(world.kms.calls(), 1, "the first key was made");
    let ring = world.process();
    let issuer = world.issuer(&ring).await;
    let bundle = Arc::new(LocalBundle::of_ring(domain(), Arc::clone(&ring)).build().unwrap());
    let bundles = BundleSet::new();
    bundles.insert_source(domain(), bundle);
    let verifier = world.verifier(bundles);
    assert_eq!(world.kms.calls(), 0, "publishing and looking at the key takes none");

    let mut kids = Vec::new();
    for round in 0..2 {
        for n in 0..10_000 {
            let svid = issuer.issue(&workload(n)).await.unwrap();
            if n % 500 == 0 {
                let verified = verifier.verify(svid.token()).await.unwrap();
                assert_eq!(verified.id(), workload(n).id());
                kids.push(verified.header().kid().unwrap().to_owned());
            }
        }
        // The first round opened the key that was made; the second one that which was made since, which
        // was opened in advance.
        assert_eq!(world.kms.calls(), 1, "round {round}");
        if round == 0 {
            world.ring.publish(&world.maker).await.unwrap();
            assert_eq!(world.kms.calls(), 1, "the next key was made");
            world.clock.forward(world.ring.load().await.unwrap().policy().publish_wait());
            world.ring.promote(Waits::Keep).await.unwrap();
            ring.invalidate();
        }
    }
    kids.dedup();
    assert_eq!(kids, ["2026-11", "2026-11-2"]);
}

#[tokio::test]
async fn a_key_is_published_for_several_hints_before_it_signs() {
    let hint = minutes(5);
    let policy = ring_policy(hint, minutes(5));
    let world = World::new(policy).await;
    let (signs, publishes) = (world.process(), world.process());
    let issuer = world.issuer(&signs).await;
    let bundle = LocalBundle::of_ring(domain(), Arc::clone(&publishes)).build().unwrap();
    let first = bundle.bundle().await.unwrap();
    assert_eq!(first.refresh_hint(), Some(hint));
    assert_eq!(first.jwt_authorities().len(), 1);

    world.ring.publish(&world.maker).await.unwrap();
    // A verifier that has looked just before.
    let bundles = BundleSet::new();
    bundles.insert(Arc::clone(&first));
    let verifier = world.verifier(bundles.clone());
    for hints in 1..=5 {
        world.clock.forward(hint);
        assert!(world.ring.promote(Waits::Keep).await.is_err(), "after {hints} hints");
        let svid = issuer.issue(&workload(hints)).await.unwrap();
        assert_eq!(part(svid.token(), 0)["kid"], "2026-11");
        verifier.verify(svid.token()).await.unwrap();
        let now = bundle.bundle().await.unwrap();
        assert_eq!(now.jwt_authorities().len(), 2, "known since the first look");
        assert!(now.sequence() > first.sequence());
    }
    world.clock.forward(policy.publish_wait() - 5 * hint);
    world.ring.promote(Waits::Keep).await.unwrap();
    bundles.insert(bundle.bundle().await.unwrap());
    signs.invalidate();
    let svid = issuer.issue(&workload(0)).await.unwrap();
    assert_eq!(part(svid.token(), 0)["kid"], "2026-11-2");
    verifier.verify(svid.token()).await.unwrap();
}

#[tokio::test]
async fn the_number_rises_with_each_change_and_is_the_same_for_all() {
    let world = World::new(ring_policy(minutes(5), minutes(5))).await;
    let (a, b) = (world.process(), world.process());
    let bundle = |ring: &Arc<RingKeys>| LocalBundle::of_ring(domain(), Arc::clone(ring)).build();
    let (of_a, of_b) = (bundle(&a).unwrap(), bundle(&b).unwrap());
    let mut last = of_a.bundle().await.unwrap();
    assert!(last.sequence().unwrap() < 1 << 53);
    let same = of_a.bundle().await.unwrap();
    assert!(Arc::ptr_eq(&last, &same), "made once while nothing changes");
    for step in 0..40 {
        // As if nothing took any time, every other step.
        let wait = if step % 2 == 0 { Duration::ZERO } else { minutes(90) };
        world.clock.forward(wait);
        let changes = match step % 4 {
            0 => world.ring.publish(&world.maker).await.unwrap(),
            1 => world.ring.promote(Waits::Keep).await.unwrap(),
            2 => {
                let ring = world.ring.load().await.unwrap();
                let retired = ring.keys().find(|key| key.retired.is_some() && key.is_live());
                world.ring.remove(retired.unwrap().kid.as_str(), Waits::Skip).await.unwrap()
            }
            _ => Vec::new(),
        };
        let alters_set = changes
            .iter()
            .any(|change| matches!(change, Change::Published(_) | Change::Removed(_)));
        a.invalidate();
        b.invalidate();
        let (now, elsewhere) = (of_a.bundle().await.unwrap(), of_b.bundle().await.unwrap());
        assert_eq!(now, elsewhere, "every process says the same");
        assert_eq!(now.sequence() > last.sequence(), alters_set, "step {step}: {changes:?}");
        assert_eq!(now.same_keys(&last), !alters_set, "step {step}");
        last = now;
    }
}

#[tokio::test]
async fn what_outlives_the_rings_waits_is_not_issued() {
    let policy = ring_policy(minutes(5), minutes(2));
    let world = World::new(policy).await;
    let ring = world.process();
    let error = JwtSvidIssuer::of_ring(domain(), Arc::clone(&ring)).build().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
    let issuer = JwtSvidIssuer::of_ring(domain(), Arc::clone(&ring)).ttl(minutes(2));
    let issuer = issuer.build().await.unwrap();
    issuer.issue(&workload(1)).await.unwrap();
    // The policy is changed under it.
    world.ring.set_policy(policy.with_token_life(minutes(1))).await.unwrap();
    ring.invalidate();
    assert_eq!(issuer.issue(&workload(1)).await.unwrap_err().kind(), ErrorKind::InvalidInput);
}

#[tokio::test]
async fn a_hint_that_the_rings_waits_do_not_cover_is_refused() {
    let world = World::new(RotationPolicy::default()).await;
    let policy = *world.ring.load().await.unwrap().policy();
    assert_eq!(refresh_hint(&policy), minutes(12));
    let ring = world.process();
    let with = |hint| LocalBundle::of_ring(domain(), Arc::clone(&ring)).refresh_hint(hint).build();
    with(minutes(24)).unwrap().bundle().await.unwrap();
    let error = with(minutes(25)).unwrap().bundle().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    for bad in [Duration::ZERO, Duration::from_millis(1500), minutes(60 * 24 * 31)] {
        assert_eq!(with(bad).unwrap_err().kind(), ErrorKind::InvalidInput);
    }
}
