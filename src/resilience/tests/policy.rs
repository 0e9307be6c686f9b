use super::*;

fn refused(builder: PolicyBuilder) -> String {
    let error = builder.build().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    error.message().to_owned()
}

#[test]
fn the_default_is_valid_and_what_the_documentation_says() {
    let policy = Policy::builder().build().unwrap();
    assert_eq!(policy, Policy::default());
    assert_eq!((policy.attempt_timeout, policy.deadline), (secs(5), secs(15)));
    assert_eq!((policy.backoff_base, policy.backoff_cap), (ms(100), secs(5)));
    assert_eq!((policy.retry_percent, policy.retry_reserve), (20, 10));
    assert_eq!((policy.max_attempts, policy.breaker_threshold, policy.cool_down), (4, 5, secs(30)));
}

#[test]
fn durations_are_neither_zero_nor_over_a_day() {
    let zero = Duration::ZERO;
    for (name, zero, long) in [
        (
            "attempt timeout",
            Policy::builder().attempt_timeout(zero),
            Policy::builder().attempt_timeout(Duration::MAX).deadline(Duration::MAX),
        ),
        ("deadline", Policy::builder().deadline(zero), Policy::builder().deadline(secs(86_401))),
        (
            "backoff base",
            Policy::builder().backoff(zero, SECOND),
            Policy::builder().backoff(Duration::MAX, Duration::MAX),
        ),
        (
            "backoff cap",
            Policy::builder().backoff(SECOND, zero),
            Policy::builder().backoff(SECOND, Duration::MAX),
        ),
        (
            "time the breaker stays open",
            Policy::builder().cool_down(zero),
            Policy::builder().cool_down(Duration::MAX),
        ),
    ] {
        assert!(refused(zero).contains(&format!("the {name} is 0ns")), "{name}");
        assert!(refused(long).contains(&format!("the {name} is ")), "{name}");
    }
}

#[test]
fn what_does_not_fit_together_is_refused() {
    let long = Policy::builder().attempt_timeout(secs(16));
    assert!(refused(long).contains("attempt timeout of 16s is over the deadline of 15s"));
    let inverted = Policy::builder().backoff(secs(2), secs(1));
    assert!(refused(inverted).contains("base of 2s is over its cap of 1s"));
    for attempts in [0, 11, u32::MAX] {
        assert!(refused(Policy::builder().max_attempts(attempts)).contains("from 1 to 10"));
    }
    assert!(refused(Policy::builder().breaker_threshold(0)).contains("threshold of 0"));
    assert!(refused(Policy::builder().retry_budget(101, 0)).contains("at most 100"));
}

#[test]
fn the_edges_are_allowed() {
    let day = Duration::from_hours(24);
    Policy::builder()
        .attempt_timeout(day)
        .deadline(day)
        .backoff(day, day)
        .cool_down(day)
        .max_attempts(10)
        .breaker_threshold(u32::MAX)
        .retry_budget(100, u32::MAX)
        .build()
        .unwrap();
    let tick = Duration::from_nanos(1);
    Policy::builder()
        .attempt_timeout(tick)
        .deadline(tick)
        .backoff(tick, tick)
        .cool_down(tick)
        .max_attempts(1)
        .breaker_threshold(1)
        .retry_budget(0, 0)
        .build()
        .unwrap();
}
