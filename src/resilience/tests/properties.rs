//! Properties that hold whatever happens.

use proptest::{collection::vec, prelude::*};
use tokio::time::{Instant, advance};

use super::*;
use crate::{
    Operation,
    resilience::{
        BreakerState,
        breaker::{Breaker, Pass, Verdict},
        budget::Budget,
    },
};

/// Runs a future to its end in virtual time.
fn paused<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = { runtime }.enable_time().start_paused(true).build().unwrap();
    runtime.block_on(future)
}

#[derive(Clone, Debug)]
enum Event {
    Admit,
    /// Ends one of the calls that are out.
    Finish(prop::sample::Index, Verdict),
    Wait(u64),
}

fn verdict() -> impl Strategy<Value = Verdict> {
    prop_oneof![
        2 => Just(Verdict::Up),
        4 => Just(Verdict::Down),
        1 => Just(Verdict::Answered),
        1 => Just(Verdict::Unknown),
    ]
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        4 => Just(Event::Admit),
        4 => (any::<prop::sample::Index>(), verdict()).prop_map(|(i, v)| Event::Finish(i, v)),
        1 => (0_u64..20_000).prop_map(Event::Wait),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        Just(Step::Ok),
        Just(Step::Hang),
        (0_u64..8_000).prop_map(|t| Step::Slow(ms(t))),
        (0_u64..20_000).prop_map(|t| Step::Throttle(ms(t))),
        (0_u64..4_000).prop_map(|t| Step::FailAfter(ms(t), ErrorKind::Unavailable)),
        Just(Step::Fail(ErrorKind::Denied)),
    ]
}

/// The rules of the breaker, restated over the whole history.
async fn check_breaker(threshold: u32, events: Vec<Event>) -> Result<(), TestCaseError> {
    let policy = Policy::builder().breaker_threshold(threshold).build().unwrap();
    let mut breaker = Breaker::new(&policy);
    let mut out: Vec<Pass> = Vec::new();
    // Failures since the last success, of calls admitted since the breaker last closed.
    let mut failures = 0;
    for event in events {
        let now = Instant::now();
        let before = breaker.state(now);
        match event {
            Event::Admit => match breaker.admit(now) {
                Ok(pass) => {
                    prop_assert_ne!(before, BreakerState::Open);
                    prop_assert_eq!(pass.probe, before == BreakerState::HalfOpen);
                    out.push(pass);
                    let probes = out.iter().filter(|p| p.probe && breaker.is_current(**p));
                    prop_assert_eq!(probes.count(), usize::from(pass.probe));
                }
                Err(refusal) => {
                    prop_assert_ne!(before, BreakerState::Closed);
                    prop_assert!(refusal.retry_after <= secs(30));
                }
            },
            Event::Finish(index, verdict) if !out.is_empty() => {
                let pass = out.swap_remove(index.index(out.len()));
                let current = breaker.is_current(pass);
                breaker.record(pass, verdict, None);
                let after = breaker.state(now);
                failures = match verdict {
                    _ if !current => failures,
                    Verdict::Up => 0,
                    Verdict::Down => failures + 1,
                    Verdict::Answered if pass.probe => 0,
                    Verdict::Answered | Verdict::Unknown => failures,
                };
                prop_assert_eq!(breaker.failures(), failures);
                let expected = match (current, pass.probe, verdict) {
                    (false, ..) => before,
                    (_, true, Verdict::Up | Verdict::Answered) => BreakerState::Closed,
                    (_, true, Verdict::Down) => BreakerState::Open,
                    (_, true, Verdict::Unknown) => BreakerState::HalfOpen,
                    (_, false, _) if failures >= threshold => BreakerState::Open,
                    (_, false, _) => BreakerState::Closed,
                };
                prop_assert_eq!(after, expected);
            }
            Event::Finish(..) => {}
            Event::Wait(millis) => advance(ms(millis)).await,
        }
    }
    // Nothing that was left behind blocks it for good.
    advance(secs(60)).await;
    prop_assert!(breaker.admit(Instant::now()).is_ok());
    Ok(())
}

/// One call with any script: never longer than its deadline, never more attempts than allowed.
async fn check_call(builder: PolicyBuilder, steps: Vec<Step>) -> Result<(), TestCaseError> {
    let Ok(policy) = builder.build() else { return Ok(()) };
    let fake = Fake::new();
    fake.then(steps.clone());
    let wrapper = Resilient::new(Arc::clone(&fake) as _, policy.clone());
    let start = Instant::now();
    let result = fake::call(&wrapper, Operation::Encrypt).await;
    let took = start.elapsed();
    prop_assert!(took <= policy.deadline + TICK, "{:?}", took);
    prop_assert!(fake.total() <= policy.max_attempts.into());
    let at = fake.attempts();
    for (pair, step) in at.windows(2).zip(&steps) {
        let gap = pair[1].0 - pair[0].0;
        match step {
            Step::Throttle(wait) => prop_assert!(gap >= *wait),
            Step::FailAfter(time, _) => prop_assert!(gap >= policy.attempt_timeout.min(*time)),
            Step::Hang | Step::Slow(_) => prop_assert!(gap >= policy.attempt_timeout),
            other => prop_assert!(false, "a retry after {:?}", other),
        }
    }
    let counters = wrapper.snapshot().counters;
    prop_assert_eq!(counters.attempts, fake.total());
    prop_assert_eq!(counters.retries + 1, fake.total());
    let failures = u32::from(result.is_err_and(|error| Verdict::of(error.kind()) == Verdict::Down));
    prop_assert_eq!(wrapper.snapshot().consecutive_failures, failures);
    Ok(())
}

proptest! {
    #[test]
    fn the_breaker_keeps_its_rules(threshold in 1_u32..5, events in vec(event(), 0..200)) {
        paused(check_breaker(threshold, events))?;
    }

    #[test]
    fn a_call_keeps_its_limits(
        (attempt, deadline, attempts) in (1_u64..8_000, 1_u64..20_000, 1_u32..=10),
        (base, cap) in (1_u64..3_000, 1_u64..6_000),
        steps in vec(step(), 10),
    ) {
        let builder = Policy::builder()
            .attempt_timeout(ms(attempt))
            .deadline(ms(deadline.max(attempt)))
            .max_attempts(attempts)
            .backoff(ms(base.min(cap)), ms(cap));
        paused(check_call(builder, steps))?;
    }

    /// `true` is a call, `false` a retry asked for. The bound holds over every span.
    #[test]
    fn the_budget_holds_over_every_span(
        percent in 0_u32..=100,
        reserve in 0_u32..20,
        events in vec(any::<bool>(), 0..300),
    ) {
        let mut budget = Budget::new(percent, reserve);
        let history: Vec<(u64, u64)> = events
            .iter()
            .map(|call| {
                if *call {
                    budget.deposit();
                    (1, 0)
                } else {
                    (0, u64::from(budget.withdraw()))
                }
            })
            .collect();
        let burst = 100 * u64::from(reserve.max(1));
        for start in 0..history.len() {
            let (mut calls, mut retries) = (0, 0);
            for (call, retry) in &history[start..] {
                (calls, retries) = (calls + call, retries + retry);
                prop_assert!(100 * retries <= burst + u64::from(percent) * calls);
            }
        }
        let (calls, retries) = history.iter().fold((0, 0), |a, b| (a.0 + b.0, a.1 + b.1));
        prop_assert!(100 * retries <= 100 * u64::from(reserve) + u64::from(percent) * calls);
    }
}
