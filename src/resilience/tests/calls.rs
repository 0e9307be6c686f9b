//! Timeouts, retries, deadline and budget.

use tokio::time::Instant;

use super::*;
use crate::{Operation, resilience::BreakerState};

/// The time from the start of a call to each attempt.
fn gaps(fake: &Fake, start: Instant) -> Vec<Duration> {
    fake.attempts().iter().map(|(at, _)| *at - start).collect()
}

#[tokio::test(start_paused = true)]
async fn a_success_is_asked_for_once() {
    let fake = Fake::new();
    let wrapper = wrap(&fake, Policy::builder());
    fake.always(Step::Slow(secs(4)));
    fake::call(&*wrapper, Operation::Sign).await.unwrap();
    let counters = wrapper.snapshot().counters;
    assert_eq!((counters.calls, counters.attempts, counters.retries), (1, 1, 0));
}

#[tokio::test(start_paused = true)]
async fn availability_errors_are_retried_and_others_are_not() {
    for kind in [ErrorKind::Throttled, ErrorKind::Unavailable, ErrorKind::Timeout] {
        let fake = Fake::new();
        let wrapper = wrap(&fake, Policy::builder());
        fake.then([Step::Fail(kind), Step::Fail(kind)]);
        fake::call(&*wrapper, Operation::Encrypt).await.unwrap();
        let counters = wrapper.snapshot().counters;
        assert_eq!((counters.attempts, counters.retries), (3, 2), "{kind}");
    }
    for kind in [
        ErrorKind::Denied,
        ErrorKind::NotAuthentic,
        ErrorKind::NotFound,
        ErrorKind::QuotaExceeded,
        ErrorKind::Internal,
        ErrorKind::Closed,
        // Of a breaker further in.
        ErrorKind::CircuitOpen,
    ] {
        let fake = Fake::new();
        let wrapper = wrap(&fake, Policy::builder());
        fake.always(Step::Fail(kind));
        for _ in 0..20 {
            let error = fake::call(&*wrapper, Operation::Encrypt).await.unwrap_err();
            assert_eq!((error.kind(), error.message()), (kind, "as the script says"));
        }
        assert_eq!(fake.total(), 20, "{kind}");
        assert_eq!(wrapper.snapshot().state, BreakerState::Closed, "{kind}");
        assert_eq!(wrapper.snapshot().consecutive_failures, 0, "{kind}");
    }
}

#[tokio::test(start_paused = true)]
async fn stops_at_the_last_attempt_with_its_error() {
    let fake = Fake::new();
    let wrapper = wrap(&fake, Policy::builder());
    fake.always(Step::Fail(ErrorKind::Unavailable));
    let error = fake::call(&*wrapper, Operation::Encrypt).await.unwrap_err();
    assert_eq!((error.kind(), error.message()), (ErrorKind::Unavailable, "as the script says"));
    assert_eq!(fake.total(), 4);
    assert_eq!(wrapper.snapshot().consecutive_failures, 1);
}

#[tokio::test(start_paused = true)]
async fn one_attempt_is_cut_off_and_tried_again() {
    let fake = Fake::new();
    let wrapper = wrap(&fake, Policy::builder());
    fake.then([Step::Hang]);
    let start = Instant::now();
    fake::call(&*wrapper, Operation::Encrypt).await.unwrap();
    let took = start.elapsed();
    assert!((secs(5)..=ms(5_101)).contains(&took), "{took:?}");
    let counters = wrapper.snapshot().counters;
    assert_eq!((counters.attempts, counters.timeouts), (2, 1));
}

#[tokio::test(start_paused = true)]
async fn the_deadline_ends_a_call_in_the_middle_of_an_attempt() {
    let fake = Fake::new();
    let wrapper = wrap(&fake, Policy::builder().deadline(secs(12)));
    fake.always(Step::Hang);
    let start = Instant::now();
    let error = fake::call(&*wrapper, Operation::Decrypt).await.unwrap_err();
    let took = start.elapsed();
    assert!((secs(12)..=secs(12) + TICK).contains(&took), "{took:?}");
    assert_eq!(
        error.to_string(),
        "fake: decrypt: timed out: no answer to attempt 3; gave up 12.0 s after the call began"
    );
    assert_eq!(wrapper.snapshot().counters.timeouts, 3);
    assert_eq!(wrapper.snapshot().consecutive_failures, 1);
}

#[tokio::test(start_paused = true)]
async fn the_deadline_leaves_no_room_for_a_wait() {
    let fake = Fake::new();
    let policy = Policy::builder().attempt_timeout(secs(5)).deadline(secs(5));
    let wrapper = wrap(&fake, policy.backoff(secs(5), secs(5)));
    fake.always(Step::FailAfter(ms(4_999), ErrorKind::Unavailable));
    let start = Instant::now();
    let error = fake::call(&*wrapper, Operation::Encrypt).await.unwrap_err();
    // No sense in sleeping until the deadline to say the same.
    assert_eq!((error.kind(), start.elapsed()), (ErrorKind::Unavailable, ms(4_999)));
}

#[tokio::test(start_paused = true)]
async fn waits_are_full_jitter_and_grow_to_the_cap() {
    let mut longest = [Duration::ZERO; 5];
    let mut sum = [Duration::ZERO; 5];
    const RUNS: u32 = 400;
    for seed in 0..RUNS {
        let fake = Fake::new();
        fake.always(Step::Fail(ErrorKind::Unavailable));
        let policy = Policy::builder().backoff(ms(100), ms(500)).max_attempts(6);
        let policy = policy.jitter_seed(seed.into()).build().unwrap();
        let wrapper = Resilient::new(Arc::clone(&fake) as _, policy);
        let start = Instant::now();
        fake::call(&wrapper, Operation::Encrypt).await.unwrap_err();
        let at = gaps(&fake, start);
        assert_eq!(at.len(), 6);
        for (n, pair) in at.windows(2).enumerate() {
            longest[n] = longest[n].max(pair[1] - pair[0]);
            sum[n] += pair[1] - pair[0];
        }
    }
    for (n, most) in [100, 200, 400, 500, 500].map(ms).into_iter().enumerate() {
        assert!(longest[n] <= most + TICK, "retry {n} waited {:?}", longest[n]);
        assert!(longest[n] >= most * 9 / 10, "retry {n} waited {:?} at most", longest[n]);
        let mean = sum[n] / RUNS;
        assert!((most * 4 / 10..most * 6 / 10).contains(&mean), "retry {n} waited {mean:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_same_seed_waits_the_same() {
    let mut runs = Vec::new();
    for seed in [1, 1, 2] {
        let fake = Fake::new();
        fake.always(Step::Fail(ErrorKind::Unavailable));
        let policy = Policy::builder().jitter_seed(seed).build().unwrap();
        let wrapper = Resilient::new(Arc::clone(&fake) as _, policy);
        let start = Instant::now();
        fake::call(&wrapper, Operation::Encrypt).await.unwrap_err();
        runs.push(gaps(&fake, start));
    }
    assert_eq!(runs[0], runs[1]);
    assert_ne!(runs[0], runs[2]);
}

#[tokio::test(start_paused = true)]
async fn waits_at_least_as_long_as_the_provider_asks() {
    let fake = Fake::new();
    let wrapper = wrap(&fake, Policy::builder());
    fake.then([Step::Throttle(secs(3)), Step::Throttle(secs(4))]);
    let start = Instant::now();
    fake::call(&*wrapper, Operation::Encrypt).await.unwrap();
    let at = gaps(&fake, start);
    assert!((secs(3)..=ms(3_101)).contains(&(at[1] - at[0])), "{at:?}");
    assert!((secs(4)..=ms(4_201)).contains(&(at[2] - at[1])), "{at:?}");
}

#[tokio::test(start_paused = true)]
async fn gives_up_at_once_if_the_provider_asks_for_too_long() {
    for wait in [secs(15), secs(3600), Duration::MAX] {
        let fake = Fake::new();
        let wrapper = wrap(&fake, Policy::builder());
        fake.always(Step::Throttle(wait));
        let start = Instant::now();
        let error = fake::call(&*wrapper, Operation::Encrypt).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Throttled);
        assert_eq!(error.retry_after(), Some(wait));
        assert_eq!((start.elapsed(), fake.total()), (Duration::ZERO, 1));
        assert_eq!(wrapper.snapshot().consecutive_failures, 1);
    }
}

#[tokio::test(start_paused = true)]
async fn throttling_that_outlasts_the_retries_opens_the_breaker() {
    let fake = Fake::new();
    let wrapper = wrap(&fake, Policy::builder());
    fake.always(Step::Fail(ErrorKind::Throttled));
    for _ in 0..5 {
        fake::call(&*wrapper, Operation::Encrypt).await.unwrap_err();
    }
    assert_eq!(wrapper.snapshot().state, BreakerState::Open);
}

#[tokio::test(start_paused = true)]
async fn retries_stay_within_the_budget() {
    let fake = Fake::new();
    let wrapper = wrap(&fake, Policy::builder().breaker_threshold(1_000_000));
    fake.always(Step::Fail(ErrorKind::Unavailable));
    for _ in 0..1_000 {
        fake::call(&*wrapper, Operation::Encrypt).await.unwrap_err();
    }
    let counters = wrapper.snapshot().counters;
    assert_eq!(fake.total(), counters.attempts);
    assert!((200..=210).contains(&counters.retries), "{counters:?}");
    assert!(counters.over_budget >= 700, "{counters:?}");
}

#[tokio::test(start_paused = true)]
async fn a_budget_of_zero_means_no_retries() {
    let fake = Fake::new();
    let policy = Policy::builder().retry_budget(0, 0).breaker_threshold(100);
    let wrapper = wrap(&fake, policy);
    fake.always(Step::Fail(ErrorKind::Unavailable));
    for _ in 0..50 {
        fake::call(&*wrapper, Operation::Encrypt).await.unwrap_err();
    }
    assert_eq!(fake.total(), 50);
}

#[tokio::test(start_paused = true)]
async fn a_share_without_a_reserve_is_saved_up() {
    let fake = Fake::new();
    let policy = Policy::builder().retry_budget(25, 0).breaker_threshold(1_000);
    let wrapper = wrap(&fake, policy);
    fake.always(Step::Fail(ErrorKind::Unavailable));
    for _ in 0..100 {
        fake::call(&*wrapper, Operation::Encrypt).await.unwrap_err();
    }
    assert_eq!(wrapper.snapshot().counters.retries, 25);
}

#[tokio::test(start_paused = true)]
async fn health_checks_pay_for_no_retries() {
    let fake = Fake::new();
    let wrapper = wrap(&fake, Policy::builder().retry_budget(10, 0));
    for _ in 0..50 {
        fake::call(&*wrapper, Operation::Health).await.unwrap();
    }
    fake.then([Step::Fail(ErrorKind::Unavailable)]);
    fake::call(&*wrapper, Operation::Encrypt).await.unwrap_err();
    assert_eq!(wrapper.snapshot().counters.over_budget, 1);
    for _ in 0..8 {
        fake::call(&*wrapper, Operation::Encrypt).await.unwrap();
    }
    // The tenth call.
    fake.then([Step::Fail(ErrorKind::Unavailable)]);
    fake::call(&*wrapper, Operation::Encrypt).await.unwrap();
    assert_eq!(wrapper.snapshot().counters.retries, 1);
}

#[tokio::test(start_paused = true)]
async fn a_retry_does_not_outlive_the_breaker() {
    let fake = Fake::new();
    let wrapper = wrap(&fake, Policy::builder().breaker_threshold(1));
    // The first call waits to try again, when the second one's failure opens the breaker.
    fake.then([Step::Throttle(secs(2)), Step::Throttle(secs(20))]);
    let (first, second) = tokio::join!(
        fake::call(&*wrapper, Operation::Encrypt),
        fake::call(&*wrapper, Operation::Encrypt),
    );
    assert_eq!(first.unwrap_err().retry_after(), Some(secs(2)));
    assert_eq!(second.unwrap_err().retry_after(), Some(secs(20)));
    assert_eq!((fake.total(), wrapper.snapshot().state), (2, BreakerState::Open));
}

#[test]
fn a_call_that_is_ready_needs_no_timer() {
    // A runtime without timers, and none at all.
    let fake = Fake::new();
    let wrapper = wrap(&fake, Policy::builder());
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(fake::call(&*wrapper, Operation::Encrypt)).unwrap();
    futures_util::FutureExt::now_or_never(fake::call(&*wrapper, Operation::Sign)).unwrap().unwrap();
    assert_eq!(wrapper.snapshot().counters.attempts, 2);
}
