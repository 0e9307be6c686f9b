//! Write policies: who must take part, who may be missing, and the repair.

use super::*;
use crate::{Rewrap, WritePolicy, provider::Availability};

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
        assert!(sealer.is_current(Head::split(&repaired).unwrap().0.header()));

        let begun = sealer.begin(&context()).await.unwrap();
        assert!(begun.missing().is_empty());
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
