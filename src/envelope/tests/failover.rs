//! Write policies: who must take part, who may be missing, and the repair.

use super::*;
use std::{sync::Arc, time::Duration};

use tokio::time::Instant;

use crate::{
    CryptoProvider,
    envelope::{Hedge, Rewrap, WritePolicy},
    provider::Availability,
    resilience::{Policy, Resilient},
};

fn three() -> [Fake; 3] {
    ["a", "b", "c"].map(Fake::new)
}

fn sealer(fakes: &[Fake], policy: WritePolicy) -> Sealer<&Fake> {
    let builder = fakes.iter().fold(Sealer::builder(), |s, f| s.recipient(f));
    builder.write_policy(policy).build().unwrap()
}

#[tokio::test]
async fn all_means_all() {
    for down in 0..3 {
        let fakes = three();
        fakes[down].fail(ErrorKind::Unavailable);
        let sealed = sealer(&fakes, WritePolicy::All).seal(b"x", &context()).await;
        let error = sealed.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert_eq!(error.provider(), Some(fakes[down].name.id()));
    }
}

#[tokio::test]
async fn at_least_two_of_three() {
    for down in 0..3 {
        let fakes = three();
        fakes[down].fail(ErrorKind::Timeout);
        let sealer = sealer(&fakes, WritePolicy::AtLeast(2));
        let (sealed, missing) = sealer.seal_and_report(b"x", &context()).await.unwrap();
        assert_eq!(missing.len(), 1);
        assert_eq!(missing[0].key.as_ref(), Some(&fakes[down].name));
        assert_eq!(missing[0].error.kind(), ErrorKind::Timeout);
        for (n, fake) in fakes.iter().enumerate().filter(|(n, _)| *n != down) {
            assert_eq!(&*fake.open(&sealed, &context()).await.unwrap(), b"x", "{n}");
        }
        // Back again, a rewrap repairs it.
        *fakes[down].fails.lock().unwrap() = None;
        let key = missing[0].key.clone().unwrap();
        let back = fakes.iter().find(|f| f.name == key).unwrap();
        let plan = Rewrap::new().add_recipient(back);
        let repaired = Opener::new(&fakes).rewrap_value(&sealed, &plan).await.unwrap();
        assert_eq!(&*back.open(&repaired, &context()).await.unwrap(), b"x");
        assert!(sealer.is_current(Preamble::split(&repaired).unwrap().0.header()));

        let (_, missing) = sealer.begin_and_report(&context()).await.unwrap();
        assert!(missing.is_empty());
    }
}

#[tokio::test]
async fn too_few_is_an_error_that_may_pass() {
    let fakes = three();
    fakes[0].fail(ErrorKind::Denied);
    fakes[2].fail(ErrorKind::Unavailable);
    let sealer = sealer(&fakes, WritePolicy::AtLeast(2));
    let error = sealer.seal(b"x", &context()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.to_string().contains("2 must succeed"), "{error}");
    assert_eq!((error.provider(), error.request_id()), (Some("c"), Some("request to c")));
    fakes[1].fail(ErrorKind::Unavailable);
    assert_eq!(kind(sealer.seal(b"x", &context()).await), ErrorKind::Unavailable);
}

#[tokio::test]
async fn whoever_is_down_is_not_asked_to_generate_first() {
    let mut fakes = three();
    fakes[0].availability = Availability::Unavailable;
    fakes[0].fail(ErrorKind::CircuitOpen);
    let sealer = sealer(&fakes, WritePolicy::AtLeast(1));
    let (_, missing) = sealer.seal_and_report(b"x", &context()).await.unwrap();
    assert_eq!(missing.len(), 1);
    assert_eq!((fakes[0].calls(), fakes[1].calls()), ((0, 1, 0), (1, 0, 0)));
}

#[tokio::test]
async fn policies_that_can_not_be_met_are_refused() {
    let fakes = three();
    for least in [0, 4] {
        let builder = fakes.iter().fold(Sealer::builder(), |s, f| s.recipient(f));
        let built = builder.write_policy(WritePolicy::AtLeast(least)).build();
        assert_eq!(kind(built), ErrorKind::InvalidInput);
    }
}

fn slow(fake: &Fake, ms: u64) {
    *fake.takes.lock().unwrap() = Duration::from_millis(ms);
}

#[tokio::test(start_paused = true)]
async fn a_hedge_asks_the_second_when_the_first_is_late() {
    let fakes = three();
    let sealed = sealer(&fakes, WritePolicy::All).seal(b"x", &context()).await.unwrap();
    let opener = Opener::builder().providers(&fakes).hedge(Hedge::default()).build();
    fakes.iter().for_each(|fake| slow(fake, 20));
    for _ in 0..40 {
        opener.open(&sealed, &context()).await.unwrap();
    }
    assert_eq!((fakes[0].calls().2, fakes[1].calls().2), (40, 0), "nobody is late");

    slow(&fakes[0], 5000);
    let start = Instant::now();
    assert_eq!(&*opener.open(&sealed, &context()).await.unwrap(), b"x");
    assert_eq!(start.elapsed(), Duration::from_millis(40), "20 ms of patience, 20 ms of work");
    assert_eq!((fakes[0].calls().2, fakes[1].calls().2), (41, 1));

    // The budget is 5 % of the calls: two for the first forty, one of which is spent.
    opener.open(&sealed, &context()).await.unwrap();
    let start = Instant::now();
    opener.open(&sealed, &context()).await.unwrap();
    assert_eq!(start.elapsed(), Duration::from_secs(5), "out of budget, it waits");
    assert_eq!(fakes[1].calls().2, 2);
}

#[tokio::test(start_paused = true)]
async fn a_hedge_falls_through_and_stops_as_ever() {
    let fakes = three();
    let sealed = sealer(&fakes, WritePolicy::All).seal(b"x", &context()).await.unwrap();
    let opener =
        Opener::builder().providers(&fakes).hedge(Hedge::new(100, Duration::ZERO).unwrap()).build();
    fakes.iter().for_each(|fake| slow(fake, 20));
    for _ in 0..30 {
        opener.open(&sealed, &context()).await.unwrap();
    }
    // The first is late, the second fails at once: the third is not asked until the first fails.
    slow(&fakes[0], 100);
    slow(&fakes[1], 1);
    fakes[1].fail(ErrorKind::Unavailable);
    let start = Instant::now();
    assert_eq!(&*opener.open(&sealed, &context()).await.unwrap(), b"x");
    assert_eq!(start.elapsed(), Duration::from_millis(100));
    fakes[0].fail(ErrorKind::Denied);
    assert_eq!(&*opener.open(&sealed, &context()).await.unwrap(), b"x");
    fakes[2].fail(ErrorKind::NotAuthentic);
    assert_eq!(kind(opener.open(&sealed, &context()).await), ErrorKind::Unavailable);
}

/// Sealed to two providers, each behind its own breaker: data opens while either answers, and once
/// the breaker of the dead one is open, it is not asked any more.
#[tokio::test(start_paused = true)]
async fn data_opens_while_either_provider_answers() {
    let fakes = ["a", "b"].map(|id| Arc::new(Fake::new(id)));
    let policy = Policy::builder().max_attempts(1).breaker_threshold(2).build().unwrap();
    let providers = fakes.each_ref().map(|fake| -> Arc<dyn CryptoProvider> {
        Arc::new(Resilient::new(Arc::<Fake>::clone(fake), policy.clone()))
    });
    let builder = providers.iter().fold(Sealer::builder(), |s, p| s.recipient(Arc::clone(p)));
    let sealer = builder.write_policy(WritePolicy::AtLeast(1)).build().unwrap();
    let opener = Opener::new(providers.clone());
    let sealed = sealer.seal(b"x", &context()).await.unwrap();

    fakes[0].fail(ErrorKind::Unavailable);
    for _ in 0..10 {
        assert_eq!(&*opener.open(&sealed, &context()).await.unwrap(), b"x");
    }
    // One failure makes it the second choice, so the first provider was asked once and no more.
    assert_eq!((fakes[0].calls().2, fakes[1].calls().2), (1, 10));
    let (partial, missing) = sealer.seal_and_report(b"y", &context()).await.unwrap();
    assert_eq!(missing[0].error.kind(), ErrorKind::Unavailable);
    assert_eq!(providers[0].availability(), Availability::Unavailable, "two failures: open");
    sealer.seal(b"z", &context()).await.unwrap();
    assert_eq!(fakes[0].calls(), (1, 1, 1), "an open breaker asks nothing");

    // Back again: after the open time it takes part, and a rewrap repairs what lacks it.
    *fakes[0].fails.lock().unwrap() = None;
    tokio::time::advance(Duration::from_secs(31)).await;
    let plan = Rewrap::new().add_recipient(Arc::clone(&providers[0]));
    let repaired = opener.rewrap_value(&partial, &plan).await.unwrap();
    fakes[1].fail(ErrorKind::Unavailable);
    assert_eq!(&*opener.open(&repaired, &context()).await.unwrap(), b"y");
}
