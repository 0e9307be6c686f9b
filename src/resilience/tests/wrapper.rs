//! What a caller of the wrapper sees: every operation, cancellation, availability, `close`.

use std::{error::Error as _, panic::AssertUnwindSafe};

use futures_util::{FutureExt, future::join_all};
use tokio::time::{Instant, sleep, timeout};

use super::*;
use crate::{
    CryptoProvider, Error, KeyName, Operation,
    key::KeyState,
    provider::{Availability, KeyInfo},
    resilience::BreakerState,
};

#[tokio::test(start_paused = true)]
async fn every_operation_is_gated_and_counts() {
    for operation in fake::GATED {
        // Counts.
        let fake = Fake::new();
        let wrapper = wrap(&fake, brittle());
        fake.always(Step::Fail(ErrorKind::Unavailable));
        for _ in 0..2 {
            let error = fake::call(&*wrapper, operation).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Unavailable, "{operation}");
        }
        assert_eq!(wrapper.snapshot().state, BreakerState::Open, "{operation}");
        // Is refused.
        sleep(secs(10)).await;
        let error = fake::call(&*wrapper, operation).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::CircuitOpen, "{operation}");
        assert_eq!(error.retry_after(), Some(secs(20)), "{operation}");
        assert_eq!((error.operation(), error.provider()), (Some(operation), Some("fake")));
        let cause = error.source().and_then(|e| e.downcast_ref::<Error>()).unwrap();
        assert_eq!(cause.kind(), ErrorKind::Unavailable, "{operation}");
        assert_eq!(fake.total(), 2, "{operation}");
        // Probes.
        sleep(secs(20)).await;
        fake.always(Step::Ok);
        fake::call(&*wrapper, operation).await.unwrap();
        assert_eq!(wrapper.snapshot().state, BreakerState::Closed, "{operation}");
        assert_eq!(fake.attempts().last().unwrap().1, operation);
    }
}

#[tokio::test(start_paused = true)]
async fn every_operation_times_out_and_all_but_health_are_retried() {
    for operation in fake::GATED {
        let fake = Fake::new();
        let wrapper = wrap(&fake, Policy::builder());
        fake.always(Step::Hang);
        let start = Instant::now();
        let error = fake::call(&*wrapper, operation).await.unwrap_err();
        assert_eq!((error.kind(), error.operation()), (ErrorKind::Timeout, Some(operation)));
        let once = operation == Operation::Health;
        let expected = if once { secs(5) } else { secs(15) };
        assert!((expected..=expected + TICK).contains(&start.elapsed()), "{operation}");
        assert_eq!(fake.total() == 1, once, "{operation}");
        assert_eq!(wrapper.snapshot().consecutive_failures, 1, "{operation}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_refusal_says() {
    let fake = Fake::new();
    let wrapper = opened(&fake).await;
    sleep(ms(1_500)).await;
    let error = fake::call(&*wrapper, Operation::Sign).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "fake: sign: circuit breaker open: not asked: 2 calls in a row failed; open for 1.5 s, \
         tried again in 28.5 s (retry after 28.5 s)"
    );
}

#[tokio::test(start_paused = true)]
async fn one_probe_of_one_attempt_among_a_hundred_callers() {
    let fake = Fake::new();
    let wrapper = wrap(&fake, Policy::builder().breaker_threshold(2));
    fake.always(Step::Fail(ErrorKind::Unavailable));
    for _ in 0..2 {
        fake::call(&*wrapper, Operation::Encrypt).await.unwrap_err();
    }
    let spent = fake.total();
    for (round, step, kind) in [
        (1, Step::FailAfter(SECOND, ErrorKind::Unavailable), Some(ErrorKind::Unavailable)),
        (2, Step::Hang, Some(ErrorKind::Timeout)),
        (3, Step::Slow(SECOND), None),
    ] {
        sleep(secs(30)).await;
        fake.always(step);
        let calls = (0..100).map(|_| fake::call(&*wrapper, Operation::UnwrapDataKey));
        let results = join_all(calls).await;
        let (refused, others): (Vec<_>, Vec<_>) = results
            .into_iter()
            .map(|result| result.err().map(|error| error.kind()))
            .partition(|kind| *kind == Some(ErrorKind::CircuitOpen));
        assert_eq!((refused.len(), others), (99, vec![kind]));
        assert_eq!(fake.total() - spent, round);
    }
    assert_eq!(wrapper.snapshot().state, BreakerState::Closed);
    assert_eq!(fake.seen.violations.load(std::sync::atomic::Ordering::Relaxed), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_probe_among_threads_too() {
    let fake = Fake::new();
    let wrapper = wrap(&fake, brittle().breaker_threshold(1).cool_down(ms(1)));
    fake.then([Step::Fail(ErrorKind::Unavailable)]);
    fake.always(Step::Slow(ms(300)));
    fake::call(&*wrapper, Operation::Encrypt).await.unwrap_err();
    sleep(ms(5)).await;
    let calls = (0..100).map(|_| {
        let wrapper = Arc::clone(&wrapper);
        tokio::spawn(async move { fake::call(&*wrapper, Operation::Encrypt).await })
    });
    let results = join_all(calls).await;
    assert_eq!(results.iter().filter(|result| matches!(result, Ok(Ok(())))).count(), 1);
    assert_eq!(fake.total(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_caller_who_gives_up_says_nothing() {
    let fake = Fake::new();
    let wrapper = wrap(&fake, brittle());
    fake.always(Step::Hang);
    for _ in 0..20 {
        timeout(secs(1), fake::call(&*wrapper, Operation::Encrypt)).await.unwrap_err();
    }
    assert_eq!(wrapper.snapshot().consecutive_failures, 0);
    assert_eq!(wrapper.snapshot().state, BreakerState::Closed);
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_probe_gives_its_place_back() {
    let fake = Fake::new();
    let wrapper = opened(&fake).await;
    sleep(secs(30)).await;
    fake.always(Step::Hang);
    for _ in 0..3 {
        timeout(SECOND, fake::call(&*wrapper, Operation::Encrypt)).await.unwrap_err();
        assert_eq!(wrapper.snapshot().state, BreakerState::HalfOpen);
    }
    // A future that was never polled took no place.
    drop(fake::call(&*wrapper, Operation::Encrypt));
    fake.always(Step::Ok);
    fake::call(&*wrapper, Operation::Encrypt).await.unwrap();
    assert_eq!(wrapper.snapshot().state, BreakerState::Closed);
    assert_eq!(wrapper.snapshot().counters.probes, 4);
}

#[tokio::test(start_paused = true)]
async fn a_panic_says_nothing_and_gives_the_place_back() {
    let fake = Fake::new();
    let wrapper = opened(&fake).await;
    sleep(secs(30)).await;
    for step in [Step::Panic, Step::PanicAfter(SECOND)] {
        fake.always(step);
        let call = AssertUnwindSafe(fake::call(&*wrapper, Operation::Encrypt));
        assert!(call.catch_unwind().await.is_err());
        assert_eq!(wrapper.snapshot().state, BreakerState::HalfOpen);
    }
    fake.always(Step::Ok);
    fake::call(&*wrapper, Operation::Encrypt).await.unwrap();
    fake.always(Step::Panic);
    for _ in 0..10 {
        let call = AssertUnwindSafe(fake::call(&*wrapper, Operation::Encrypt));
        assert!(call.catch_unwind().await.is_err());
    }
    assert_eq!(wrapper.snapshot().state, BreakerState::Closed);
    assert_eq!(wrapper.snapshot().consecutive_failures, 0);
}

#[tokio::test(start_paused = true)]
async fn a_probe_that_is_kept_but_not_polled_blocks_for_a_while_only() {
    let fake = Fake::new();
    let wrapper = opened(&fake).await;
    sleep(secs(30)).await;
    fake.always(Step::Hang);
    let mut kept = Box::pin(fake::call(&*wrapper, Operation::Encrypt));
    assert!(kept.as_mut().now_or_never().is_none());
    fake.always(Step::Ok);
    sleep(secs(9)).await;
    let error = fake::call(&*wrapper, Operation::Encrypt).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::CircuitOpen);
    sleep(secs(1)).await;
    fake::call(&*wrapper, Operation::Encrypt).await.unwrap();
    assert_eq!(kept.await.unwrap_err().kind(), ErrorKind::Timeout);
    assert_eq!(wrapper.snapshot().state, BreakerState::Closed);
    assert_eq!(wrapper.snapshot().consecutive_failures, 0);
}

#[tokio::test(start_paused = true)]
async fn a_probe_found_wanting_by_itself_keeps_the_breaker_half_open() {
    // No recipient: found without a network call, so it says nothing about the network.
    let fake = Fake::new();
    let wrapper = opened(&fake).await;
    sleep(secs(30)).await;
    fake.always(Step::Fail(ErrorKind::NoRecipient));
    fake::call(&*wrapper, Operation::Decrypt).await.unwrap_err();
    assert_eq!(wrapper.snapshot().state, BreakerState::HalfOpen);
    fake.always(Step::Fail(ErrorKind::Denied));
    fake::call(&*wrapper, Operation::Decrypt).await.unwrap_err();
    assert_eq!(wrapper.snapshot().state, BreakerState::Closed);
}

#[tokio::test(start_paused = true)]
async fn availability_follows_the_breaker_and_the_provider() {
    let fake = Fake::new();
    let wrapper = wrap(&fake, brittle());
    assert_eq!(wrapper.availability(), Availability::Available);
    *fake.availability.lock().unwrap() = Availability::Unavailable;
    assert_eq!(wrapper.availability(), Availability::Unavailable);
    *fake.availability.lock().unwrap() = Availability::Available;
    fake.always(Step::Fail(ErrorKind::Unavailable));
    fake::call(&*wrapper, Operation::Encrypt).await.unwrap_err();
    assert_eq!(wrapper.availability(), Availability::Degraded);
    fake::call(&*wrapper, Operation::Encrypt).await.unwrap_err();
    assert_eq!(wrapper.availability(), Availability::Unavailable);
    sleep(secs(30)).await;
    assert_eq!(wrapper.availability(), Availability::Degraded);
    fake.always(Step::Ok);
    fake::call(&*wrapper, Operation::Health).await.unwrap();
    assert_eq!(wrapper.availability(), Availability::Available);
}

#[tokio::test(start_paused = true)]
async fn close_passes_an_open_breaker_and_is_final() {
    let fake = Fake::new();
    let wrapper = opened(&fake).await;
    fake.always(Step::Ok);
    wrapper.close().await.unwrap();
    wrapper.close().await.unwrap();
    assert_eq!(fake.total(), 4);
    for operation in fake::GATED {
        let error = fake::call(&*wrapper, operation).await.unwrap_err();
        assert_eq!((error.kind(), error.operation()), (ErrorKind::Closed, Some(operation)));
    }
    assert_eq!(fake.total(), 4);
    assert_eq!(wrapper.availability(), Availability::Unavailable);
}

#[tokio::test(start_paused = true)]
async fn close_has_the_time_of_one_attempt() {
    let fake = Fake::new();
    let wrapper = wrap(&fake, Policy::builder());
    fake.always(Step::Hang);
    let start = Instant::now();
    let error = wrapper.close().await.unwrap_err();
    assert_eq!((error.kind(), error.operation()), (ErrorKind::Timeout, Some(Operation::Close)));
    assert!(start.elapsed() <= secs(5) + TICK);
    assert_eq!((fake.total(), wrapper.snapshot().consecutive_failures), (1, 0));
    let error = fake::call(&*wrapper, Operation::Sign).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Closed);
}

#[tokio::test(start_paused = true)]
async fn described_keys_are_remembered_for_the_time_they_cannot_be() {
    let name = |id: &str| KeyName::new("fake", id).unwrap();
    let info = |id| KeyInfo::new(name(id), KeyState::Active, "fake");
    let error = |kind| Error::new(kind, "as the test says");
    let fake = Fake::new();
    let wrapper = wrap(&fake, Policy::builder());

    // One key out of two: it answered.
    let mixed = vec![(name("a"), Ok(info("a"))), (name("b"), Err(error(ErrorKind::Unavailable)))];
    *fake.keys.lock().unwrap() = Some(mixed);
    let keys = wrapper.describe_keys().await;
    assert!(keys[0].1.is_ok() && keys[1].1.is_err());
    assert_eq!((fake.total(), wrapper.snapshot().consecutive_failures), (1, 0));

    // None, and not for want of an answer.
    let denied = vec![
        (name("a"), Err(error(ErrorKind::Unavailable))),
        (name("b"), Err(error(ErrorKind::Denied))),
    ];
    *fake.keys.lock().unwrap() = Some(denied);
    let keys = wrapper.describe_keys().await;
    assert_eq!(keys[0].1.as_ref().unwrap_err().kind(), ErrorKind::Unavailable);
    assert_eq!(keys[1].1.as_ref().unwrap_err().kind(), ErrorKind::Denied);
    assert_eq!((fake.total(), wrapper.snapshot().consecutive_failures), (2, 0));

    // None at all, each with its own error.
    let down = vec![
        (name("a"), Err(error(ErrorKind::Unavailable))),
        (name("b"), Err(error(ErrorKind::Throttled))),
    ];
    *fake.keys.lock().unwrap() = Some(down);
    let keys = wrapper.describe_keys().await;
    assert_eq!(keys[1].1.as_ref().unwrap_err().kind(), ErrorKind::Throttled);
    assert_eq!((fake.total(), wrapper.snapshot().consecutive_failures), (6, 1));

    // No list: the names of the last one, though none of its errors.
    fake.then([Step::Ok]);
    fake.always(Step::Hang);
    let keys = wrapper.describe_keys().await;
    assert_eq!(keys.iter().map(|(name, _)| name.id()).collect::<Vec<_>>(), ["a", "b"]);
    for (_, info) in keys {
        assert_eq!(info.unwrap_err().kind(), ErrorKind::Timeout);
    }
}

#[tokio::test(start_paused = true)]
async fn what_needs_no_network_passes_through() {
    let fake = Fake::new();
    let wrapper = opened(&fake).await;
    let key = wrapper.sealing_key().unwrap().clone();
    assert_eq!((wrapper.label(), key.id()), ("fake", "key"));
    assert_eq!(wrapper.capabilities(), fake.capabilities());
    assert!(wrapper.opens(&key).is_some());
    assert!(wrapper.opens(&KeyName::new("fake", "other").unwrap()).is_none());
    assert!(format!("{wrapper:?}").contains("Open"));
}

#[tokio::test(start_paused = true)]
async fn wrappers_stack() {
    let fake = Fake::new();
    let inner = opened(&fake).await;
    let policy = Policy::builder().breaker_threshold(1).build().unwrap();
    let outer = Resilient::new(inner, policy);
    let error = fake::call(&outer, Operation::Encrypt).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::CircuitOpen);
    assert_eq!(outer.snapshot().state, BreakerState::Closed);
    assert_eq!(outer.snapshot().counters.attempts, 1);
    assert_eq!(outer.availability(), Availability::Unavailable);
}
