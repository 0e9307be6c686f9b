//! Two years of virtual time: processes whose clocks differ, verifiers that cache, and outages of all that
//! can be out. Not one valid token is refused, and no key that was removed is accepted after its time.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    time::{Duration, SystemTime},
};

use bulla::{
    Error, ErrorKind,
    jwt::{Claims, JwkSet, KeySource as _, ProviderKeys, Signer, Verified, Verifier},
};
use bulla_tokens::ring::{Change, KeyRing, MakeKey as _, Phase, RingKeys, RotationPolicy};
use fastrand::Rng;

use crate::world::{ByKms, Clock, Flaky, World};

const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(24 * 3600);

/// Processes that sign and publish, with clocks that are so many seconds off.
const SKEWS: [i64; 3] = [-25, 0, 25];

struct Process {
    keys: Arc<ProviderKeys<Arc<RingKeys>>>,
    signer: Signer<Arc<RingKeys>>,
    store_out: Arc<AtomicBool>,
    skew: i64,
}

/// A verifier that keeps a set for `max-age` and asks for nothing in between.
struct Caching {
    verifier: Verifier,
    set: Option<(SystemTime, Arc<JwkSet>)>,
    /// The connection to whoever serves sets.
    out: bool,
    skew: i64,
}

struct Issued {
    token: String,
    /// Until when nobody may refuse it, however the clocks are.
    valid: SystemTime,
}

#[derive(Default, Debug)]
struct Counts {
    signed: usize,
    not_signed: usize,
    accepted: usize,
    no_keys: usize,
    forged_refused: usize,
    rotations: usize,
    removed: usize,
}

#[tokio::test]
async fn two_years_of_rotation() {
    let mut total = Counts::default();
    for (seed, days) in [(1, 180), (2, 30), (3, 7)] {
        let counts = two_years(seed, days * DAY).await;
        println!("{days} days: {counts:?}");
        // Four rotations of half a year; whoever rotates is away for up to half a day now and then.
        let expected = usize::try_from(2 * 365 / days).unwrap();
        assert!(counts.rotations >= expected * 9 / 10, "{counts:?}");
        assert!(counts.removed >= counts.rotations - 1, "{counts:?}");
        total.signed += counts.signed;
        total.not_signed += counts.not_signed;
        total.accepted += counts.accepted;
        total.no_keys += counts.no_keys;
        total.forged_refused += counts.forged_refused;
    }
    // The outages were long enough to be felt, and there was something to refuse.
    assert!(total.accepted > 10_000 && total.signed > 3_000, "{total:?}");
    assert!(total.not_signed > 0 && total.no_keys > 0 && total.forged_refused > 1_000, "{total:?}");
}

async fn two_years(seed: u64, every: Duration) -> Counts {
    let mut rng = Rng::with_seed(seed);
    let mut counts = Counts::default();
    let policy = RotationPolicy::default().with_rotate_every(every);
    let world = World::begun(policy).await;
    let processes: Vec<_> = SKEWS.iter().map(|skew| process(&world, *skew)).collect();
    let mut verifiers: Vec<_> = SKEWS.iter().map(|skew| caching(&world.clock, *skew)).collect();
    let rotators: Vec<_> = SKEWS
        .iter()
        .map(|skew| {
            let store = Flaky::new(world.store.inner.clone());
            let out = Arc::clone(&store.out);
            (KeyRing::new(store).with_clock(world.clock.skewed(*skew)), out)
        })
        .collect();
    let mut tokens: Vec<Issued> = Vec::new();
    let mut forged: HashMap<String, String> = HashMap::new();
    let mut gone: HashMap<String, SystemTime> = HashMap::new();
    let end = world.clock.now() + 2 * 365 * DAY;
    while world.clock.now() < end {
        let ring = world.ring.load().await.unwrap();
        let busy = ring.live().any(|key| key.phase != Phase::Signing);
        let most = if busy { 180 } else { 4 * 3600 };
        world.clock.forward(Duration::from_secs(rng.u64(1..=most)));

        // Outages begin and end by chance.
        for out in processes.iter().map(|p| &p.store_out).chain(rotators.iter().map(|(_, out)| out))
        {
            out.store(chance(&mut rng, out.load(SeqCst)), SeqCst);
        }
        world.kms.out.store(chance(&mut rng, world.kms.out.load(SeqCst)), SeqCst);
        for verifier in &mut verifiers {
            verifier.out = chance(&mut rng, verifier.out);
        }

        for (rotator, _) in &rotators {
            if rng.u8(..4) != 0 {
                continue;
            }
            match rotator.rotate(&ByKms(Arc::clone(&world.kms))).await {
                Ok(changes) => note(&changes, &world, &policy, &mut counts, &mut gone),
                Err(error) => assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}"),
            }
        }

        let process = &processes[rng.usize(..processes.len())];
        match issue(&world, process, &policy, &mut rng).await {
            Ok(issued) => {
                counts.signed += 1;
                tokens.push(issued);
            }
            Err(error) => {
                counts.not_signed += 1;
                assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
            }
        }
        // A thief has got hold of each key that signs, and makes a token of it that never ends.
        let signing = ring.signing().unwrap().kid.to_string();
        if let std::collections::hash_map::Entry::Vacant(entry) = forged.entry(signing)
            && let Ok(token) = forge(&world, process, entry.key()).await
        {
            entry.insert(token);
        }

        tokens.retain(|issued| world.clock.now() < issued.valid);
        if tokens.len() > 60 {
            tokens.remove(rng.usize(..tokens.len()));
        }
        for verifier in &mut verifiers {
            let Some(set) = verifier.set(&world, &processes, &policy, &mut rng).await else {
                counts.no_keys += 1;
                continue;
            };
            if let Some(issued) = rng.choice(&tokens) {
                let verified = verifier.verifier.verify_with::<Claims>(&issued.token, &set);
                let valid = verified.unwrap_or_else(|error| {
                    let reason = bulla::jwt::InvalidToken::of(&error);
                    panic!("a valid token was refused: {reason:?} {ring:?}")
                });
                assert!(valid.header().kid().is_some());
                counts.accepted += 1;
            }
            for (kid, since) in &gone {
                let Some(token) = forged.get(kid) else { continue };
                let verified: Result<Verified<Claims>, Error> =
                    verifier.verifier.verify_with(token, &set);
                if world.clock.now() >= *since + policy.removal_lag() {
                    assert!(verified.is_err(), "key {kid} was accepted after its time");
                    counts.forged_refused += 1;
                }
            }
        }
        // Those that are long gone have been refused often enough.
        let now = world.clock.now();
        gone.retain(|_, since| now < *since + 20 * DAY);
    }
    counts
}

/// Whether an outage begins, or goes on: some last longer than all that is kept.
fn chance(rng: &mut Rng, is_out: bool) -> bool {
    if is_out { rng.u8(..12) != 0 } else { rng.u8(..40) == 0 }
}

fn note(
    changes: &[Change],
    world: &World,
    policy: &RotationPolicy,
    counts: &mut Counts,
    gone: &mut HashMap<String, SystemTime>,
) {
    for change in changes {
        match change {
            Change::Signing(_) => counts.rotations += 1,
            Change::Removed(kid) => {
                counts.removed += 1;
                // By the clock of all, whatever the rotator's says.
                gone.insert(kid.to_string(), world.clock.now());
            }
            _ => {}
        }
    }
    assert!(changes.len() <= 3, "no step is skipped: {changes:?} {policy:?}");
}

fn process(world: &World, skew: i64) -> Process {
    let store = Flaky::new(world.store.inner.clone());
    let keys = world.process(skew, &store).provider_keys();
    Process { signer: Signer::new(Arc::clone(&keys)), keys, store_out: store.out, skew }
}

fn caching(clock: &Clock, skew: i64) -> Caching {
    let verifier = Verifier::builder()
        .issuer("https://id.example")
        .audience("orders")
        .typ("JWT")
        .leeway(MINUTE)
        .clock(clock.skewed(skew))
        .build()
        .unwrap();
    Caching { verifier, set: None, out: false, skew }
}

impl Caching {
    /// What it has, or gets from whoever serves it: a cache in between may have kept it for a while, and the
    /// verifier keeps it for what is left of `max-age`.
    async fn set(
        &mut self,
        world: &World,
        processes: &[Process],
        policy: &RotationPolicy,
        rng: &mut Rng,
    ) -> Option<Arc<JwkSet>> {
        let now = world.clock.now();
        if let Some((fetched, set)) = &self.set
            && now < *fetched + policy.jwks_max_age
        {
            return Some(Arc::clone(set));
        }
        self.set = None;
        if self.out {
            return None;
        }
        let from = &processes[rng.usize(..processes.len())];
        // What is kept by the real time is not the subject here, but what is by the policy's.
        from.keys.invalidate();
        let set = from.keys.keys(None).await.ok()?;
        self.set = Some((now, Arc::clone(&set)));
        assert!(self.skew.abs() + from.skew.abs() <= 50);
        Some(set)
    }
}

async fn issue(
    world: &World,
    process: &Process,
    policy: &RotationPolicy,
    rng: &mut Rng,
) -> bulla::Result<Issued> {
    let life = Duration::from_secs(rng.u64(60..=policy.token_life.as_secs()));
    let now = world.clock.skewed(process.skew)();
    let claims = Claims::new_at(now)?.with_issuer("https://id.example").with_audience("orders");
    let token = process.signer.sign(&claims.with_ttl(life)).await?;
    // By a verifier's clock that is ahead, within its leeway of a minute.
    Ok(Issued { token, valid: now + life })
}

async fn forge(world: &World, process: &Process, kid: &str) -> bulla::Result<String> {
    let claims = Claims::new_at(world.clock.skewed(process.skew)())?
        .with_issuer("https://id.example")
        .with_audience("orders")
        .with_ttl(10 * 365 * DAY);
    let token = process.signer.sign(&claims).await?;
    // It may know of another key that signs.
    let header = bulla::jwt::decode_unverified(&token)?;
    match header.header()["kid"] == kid {
        true => Ok(token),
        false => Err(Error::new(ErrorKind::NotFound, "another key signed")),
    }
}

/// The simulation finds what it looks for: with a wait that is too short, a valid token is refused.
#[tokio::test]
async fn a_wait_that_is_skipped_has_tokens_refused() {
    use bulla_tokens::ring::Waits;

    let world = World::begun(RotationPolicy::default()).await;
    let process = process(&world, 0);
    let set = process.keys.keys(None).await.unwrap();
    let maker = ByKms(Arc::clone(&world.kms));
    maker.make("tokens", None, world.clock.now()).await.unwrap();
    world.ring.publish(&maker).await.unwrap();
    world.ring.promote(Waits::Skip).await.unwrap();
    world.clock.forward(MINUTE);
    let policy = RotationPolicy::default();
    let issued = issue(&world, &process, &policy, &mut Rng::with_seed(1)).await.unwrap();
    let verifier = caching(&world.clock, 0).verifier;
    let refused = verifier.verify_with::<Claims>(&issued.token, &set).map(|_| ()).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::NotAuthentic);
}
