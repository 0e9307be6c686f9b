//! Ten thousand outages in virtual time: several providers, callers that overlap, cancel and meet
//! panics, and a scheduled mood for each provider. The rules are checked by the fake, which sees
//! every attempt, and by the callers, who see every result; `Counters` must agree with both.

use std::{
    panic::AssertUnwindSafe,
    sync::{Mutex, atomic::Ordering::Relaxed},
};

use fastrand::Rng;
use futures_util::{
    FutureExt,
    future::{join, join_all},
};
use tokio::time::{Instant, advance, sleep, timeout};

use super::*;
use crate::{
    Operation, Result,
    resilience::{BreakerState, Snapshot},
};

const SCHEDULES: u64 = 10_000;

/// What a provider goes through.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Weather {
    /// Everything there is, changing over time.
    Mixed,
    /// It answers, with errors that are the caller's; callers cancel; it panics.
    CallerErrors,
    /// It hangs.
    Hangs,
    /// Every attempt fails, in one way or another.
    Down,
    /// Nothing happens to it: only its neighbours are in trouble.
    Fine,
}

#[derive(Debug, Default)]
struct Tally {
    schedules: u64,
    providers: u64,
    calls: u64,
    attempts: u64,
    retries: u64,
    over_budget: u64,
    timeouts: u64,
    refused: u64,
    opens: u64,
    probes: u64,
    succeeded: u64,
    failed: u64,
    cancelled: u64,
    panicked: u64,
    crowds: u64,
    longest: Duration,
}

/// What the callers of one provider saw.
#[derive(Debug, Default)]
struct Results {
    ok: u64,
    refused: u64,
    /// Unavailable, throttled or timed out.
    down: u64,
    answered: u64,
    cancelled: u64,
    panicked: u64,
    longest: Duration,
}

struct World {
    weather: Weather,
    policy: Policy,
    fake: Arc<Fake>,
    wrapper: Arc<Resilient>,
    results: Mutex<Results>,
}

fn random_policy(rng: &mut Rng) -> Policy {
    let attempt = rng.u64(1_000..=5_000);
    let base = rng.u64(50..=200);
    Policy::builder()
        .attempt_timeout(ms(attempt))
        .deadline(ms(attempt + rng.u64(0..=15_000)))
        .max_attempts(rng.u32(1..=6))
        .backoff(ms(base), ms(base + rng.u64(0..=5_000)))
        .retry_budget(rng.u32(0..=50), rng.u32(0..=10))
        .breaker_threshold(rng.u32(1..=6))
        .cool_down(ms(rng.u64(2_000..=40_000)))
        .jitter_seed(rng.u64(..))
        .build()
        .unwrap()
}

fn down(rng: &mut Rng) -> Step {
    match rng.u32(0..6) {
        0 => Step::Hang,
        // Over any attempt timeout.
        5 => Step::Slow(ms(rng.u64(5_010..=9_000))),
        1 => Step::Throttle(ms(rng.u64(0..=10_000))),
        2 => Step::FailAfter(ms(rng.u64(1..=900)), ErrorKind::Unavailable),
        3 => Step::Fail(ErrorKind::Throttled),
        _ => Step::Fail(ErrorKind::Unavailable),
    }
}

fn up(rng: &mut Rng) -> Step {
    if rng.bool() { Step::Ok } else { Step::Slow(ms(rng.u64(1..=900))) }
}

fn answered(rng: &mut Rng) -> Step {
    let kinds = [ErrorKind::Denied, ErrorKind::NotAuthentic, ErrorKind::NotFound];
    let kind = rng.choice(kinds).unwrap();
    if rng.bool() { Step::Fail(kind) } else { Step::FailAfter(ms(rng.u64(1..=900)), kind) }
}

fn nothing_said(rng: &mut Rng) -> Step {
    match rng.u32(0..3) {
        0 => Step::Panic,
        1 => Step::PanicAfter(ms(rng.u64(1..=900))),
        _ => Step::Fail(ErrorKind::NoRecipient),
    }
}

impl World {
    fn new(weather: Weather, rng: &mut Rng) -> Self {
        let policy = random_policy(rng);
        let fake = Fake::new();
        let wrapper = Arc::new(Resilient::new(Arc::clone(&fake) as _, policy.clone()));
        fake.watch(&wrapper);
        let mut rng = rng.fork();
        // In mixed weather, the mood lasts for a while; each has some odd attempts.
        let mut mood = 0;
        let mut until = Instant::now();
        fake.rule(move |now| match weather {
            Weather::Fine => up(&mut rng),
            Weather::Hangs => Step::Hang,
            Weather::Down => down(&mut rng),
            Weather::CallerErrors => match rng.u32(0..4) {
                0 => up(&mut rng),
                1 => nothing_said(&mut rng),
                _ => answered(&mut rng),
            },
            Weather::Mixed => {
                if now >= until {
                    mood = rng.u32(0..4);
                    until = now + ms(rng.u64(1_000..=30_000));
                }
                match if rng.u32(0..5) == 0 { rng.u32(0..4) } else { mood } {
                    0 => up(&mut rng),
                    1 => answered(&mut rng),
                    2 => nothing_said(&mut rng),
                    _ => down(&mut rng),
                }
            }
        });
        Self { weather, policy, fake, wrapper, results: Mutex::default() }
    }

    /// One call, perhaps given up by its caller.
    async fn call(&self, operation: Operation, patience: Option<Duration>) {
        let start = Instant::now();
        let asked = self.fake.total();
        let call = AssertUnwindSafe(fake::call(&*self.wrapper, operation)).catch_unwind();
        let outcome = timeout(patience.unwrap_or(Duration::MAX), call).await;
        let took = start.elapsed();
        // The deadline and the poll after it.
        assert!(took <= self.policy.deadline + TICK, "took {took:?}");
        let mut results = self.results.lock().unwrap();
        results.longest = results.longest.max(took);
        match outcome {
            Err(_) => results.cancelled += 1,
            Ok(Err(_)) => results.panicked += 1,
            Ok(Ok(Ok(()))) => results.ok += 1,
            Ok(Ok(Err(error))) => match error.kind() {
                ErrorKind::CircuitOpen => {
                    results.refused += 1;
                    assert_eq!((took, self.fake.total()), (Duration::ZERO, asked));
                    let wait = error.retry_after().unwrap();
                    assert!(wait <= self.policy.cool_down.max(self.policy.attempt_timeout));
                }
                ErrorKind::Unavailable | ErrorKind::Throttled | ErrorKind::Timeout => {
                    results.down += 1;
                }
                _ => results.answered += 1,
            },
        }
    }

    async fn caller(&self, mut rng: Rng) {
        let patient = matches!(self.weather, Weather::Hangs | Weather::Down | Weather::Fine);
        for _ in 0..rng.u32(4..=8) {
            if rng.bool() {
                sleep(ms(rng.u64(0..=3_000))).await;
            }
            let patience = (!patient && rng.u32(0..6) == 0).then(|| ms(rng.u64(1..=6_000)));
            let operation = rng.choice(fake::GATED).unwrap();
            self.call(operation, patience).await;
        }
    }

    async fn callers(&self, mut rng: Rng) {
        let rngs: Vec<_> = (0..rng.u32(1..=5)).map(|_| rng.fork()).collect();
        join_all(rngs.into_iter().map(|rng| self.caller(rng))).await;
    }

    /// Lets a hundred callers in on a breaker that is half-open, and back to an open or closed one.
    async fn crowd(&self, step: Step) -> Snapshot {
        advance(self.wrapper.snapshot().next_try.unwrap()).await;
        assert_eq!(self.wrapper.snapshot().state, BreakerState::HalfOpen);
        self.fake.always(step.clone());
        let (before, asked) = (self.wrapper.snapshot().counters, self.fake.total());
        let patience = (step == Step::Slow(ms(500))).then_some(ms(400));
        join_all((0..100).map(|n| self.call(fake::GATED[n % 9], patience))).await;
        let after = self.wrapper.snapshot();
        assert_eq!(self.fake.total() - asked, 1, "{step:?}");
        assert_eq!(after.counters.attempts - before.attempts, 1);
        assert_eq!(after.counters.probes - before.probes, 1);
        assert_eq!(after.counters.refused - before.refused, 99);
        after
    }

    /// Whatever happened: the breaker comes back, with one attempt to find out.
    async fn recover(&self, rng: &mut Rng) -> u64 {
        let mut crowds = 0;
        if self.wrapper.snapshot().state != BreakerState::Closed {
            let rehearsals = [
                (Step::Hang, BreakerState::Open),
                (Step::Fail(ErrorKind::Throttled), BreakerState::Open),
                (Step::PanicAfter(ms(5)), BreakerState::HalfOpen),
                // Longer than its caller waits.
                (Step::Slow(ms(500)), BreakerState::HalfOpen),
            ];
            let (step, expected) = rng.choice(&rehearsals).unwrap().clone();
            assert_eq!(self.crowd(step).await.state, expected);
            let last = rng.choice([Step::Slow(ms(5)), Step::FailAfter(ms(5), ErrorKind::Denied)]);
            assert_eq!(self.crowd(last.unwrap()).await.state, BreakerState::Closed);
            crowds = 2;
        }
        self.fake.always(Step::Ok);
        for operation in fake::GATED {
            fake::call(&*self.wrapper, operation).await.unwrap();
        }
        assert_eq!(self.wrapper.snapshot().state, BreakerState::Closed);
        assert_eq!(self.wrapper.snapshot().consecutive_failures, 0);
        crowds
    }

    fn check(&self) {
        let Self { fake, policy, .. } = self;
        let counters = self.wrapper.snapshot().counters;
        let results = self.results.lock().unwrap();
        let seen = &fake.seen;
        // Nothing asked while open, never two probes, nothing left behind.
        assert_eq!(seen.violations.load(Relaxed), 0);
        assert_eq!((seen.in_flight.load(Relaxed), seen.probes_in_flight.load(Relaxed)), (0, 0));
        // A probe is one attempt.
        assert_eq!(seen.probes.load(Relaxed), counters.probes);
        assert_eq!((fake.total(), results.refused), (counters.attempts, counters.refused));
        assert_eq!(counters.attempts, counters.calls - counters.refused + counters.retries);
        let paid = 100 * u64::from(policy.retry_reserve)
            + u64::from(policy.retry_percent) * (counters.calls - counters.refused);
        assert!(100 * counters.retries <= paid);

        let threshold = u64::from(policy.breaker_threshold);
        if counters.opens > 0 {
            assert!(results.down >= threshold + counters.opens - 1);
        }
        match self.weather {
            Weather::Fine => {
                assert_eq!((results.refused, results.down, results.answered), (0, 0, 0));
                assert_eq!((counters.opens, counters.retries), (0, 0));
            }
            Weather::CallerErrors => {
                assert_eq!((results.refused, results.down), (0, 0));
                assert_eq!((counters.opens, counters.retries), (0, 0));
            }
            Weather::Hangs | Weather::Down => {
                // Nobody cancels here, so that every call that was not refused failed.
                let all = results.down + results.refused;
                assert_eq!((results.ok, results.answered), (0, 0));
                assert_eq!(counters.opens > 0, all >= threshold);
                let hangs = self.weather == Weather::Hangs;
                assert!(!hangs || counters.timeouts == counters.attempts);
            }
            Weather::Mixed => {}
        }
    }
}

async fn schedule(seed: u64, tally: &mut Tally) -> Result<()> {
    let mut rng = Rng::with_seed(seed);
    let kinds = [Weather::Mixed, Weather::CallerErrors, Weather::Hangs, Weather::Down];
    let mut worlds = Vec::new();
    for _ in 0..rng.usize(1..=2) {
        // Mixed more often than not.
        let weather = if rng.bool() { Weather::Mixed } else { rng.choice(kinds).unwrap() };
        worlds.push(World::new(weather, &mut rng));
    }
    worlds.push(World::new(Weather::Fine, &mut rng));
    let all: Vec<_> = worlds.iter().map(|world| world.callers(rng.fork())).collect();
    // All of them at the same time, and something that runs beside them.
    join(join_all(all), sleep(ms(1))).await;
    tally.schedules += 1;
    for world in &worlds {
        world.check();
        tally.crowds += world.recover(&mut rng).await;
        let (results, counters) =
            (world.results.lock().unwrap(), world.wrapper.snapshot().counters);
        tally.providers += 1;
        tally.calls += counters.calls;
        tally.attempts += counters.attempts;
        tally.retries += counters.retries;
        tally.over_budget += counters.over_budget;
        tally.timeouts += counters.timeouts;
        tally.refused += counters.refused;
        tally.opens += counters.opens;
        tally.probes += counters.probes;
        tally.succeeded += results.ok;
        tally.failed += results.down + results.answered;
        tally.cancelled += results.cancelled;
        tally.panicked += results.panicked;
        tally.longest = tally.longest.max(results.longest);
        assert_eq!(world.fake.seen.violations.load(Relaxed), 0);
        assert_eq!(world.fake.seen.probes.load(Relaxed), counters.probes);
        assert_eq!(world.fake.seen.in_flight.load(Relaxed), 0);
    }
    Ok(())
}

#[test]
fn ten_thousand_outages() {
    let mut tally = Tally::default();
    let builder = tokio::runtime::Builder::new_current_thread();
    let runtime = { builder }.enable_time().start_paused(true).build().unwrap();
    for seed in 0..SCHEDULES {
        let run = AssertUnwindSafe(schedule(seed, &mut tally)).catch_unwind();
        match runtime.block_on(run) {
            Ok(result) => result.unwrap(),
            Err(panic) => {
                println!("schedule {seed} broke a rule");
                std::panic::resume_unwind(panic);
            }
        }
    }
    println!("{tally:#?}");
    // It did simulate what it is about.
    assert!(tally.schedules >= 10_000 && tally.opens > 5_000 && tally.crowds > 5_000);
    assert!(tally.timeouts > 5_000 && tally.retries > 5_000 && tally.over_budget > 1_000);
    assert!(tally.cancelled > 1_000 && tally.panicked > 1_000 && tally.refused > 100_000);
}
