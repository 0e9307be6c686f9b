//! Faults as AWS has them, by microburst before MiniStack, and what the wrapper makes of them.
//! Requests are counted at the server.

#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    reason = "helpers of tests are tests too"
)]

mod world;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use bulla::{
    Context, CryptoProvider, CryptoProviderExt, DataKeys, ErrorKind,
    provider::Availability,
    resilience::{BreakerState, PolicyBuilder, Resilient},
};
use bulla_testworld::{Counter, Microburst, Ministack, Python};
use futures_util::future::join_all;
use world::{builder, context, quick};

/// KMS, a count of the requests that reach it, and faults before both.
struct World {
    server: Ministack,
    counter: Counter,
    faults: Microburst,
    provider: Resilient,
}

impl World {
    async fn new(rules: &str, policy: PolicyBuilder) -> Option<Self> {
        let python = Python::for_aws()?;
        let server = Ministack::start(&python, false);
        let counter = Counter::start(server.port());
        let faults = Microburst::start(&python, &counter.url(), rules);
        let key = world::symmetric(&server.url()).await;
        let provider = builder(&faults.url()).sealing_key(&key).build().await.unwrap();
        let provider = Resilient::new(Arc::new(provider), policy.build().unwrap());
        Some(Self { server, counter, faults, provider })
    }

    async fn generate(&self) -> Result<(), ErrorKind> {
        self.provider.generate_data_key(&context(&[])).await.map(drop).map_err(|e| e.kind())
    }

    /// Requests at the server, attempts of the wrapper, faults injected.
    fn figures(&self) -> (usize, u64, usize) {
        let attempts = self.provider.snapshot().counters.attempts;
        (self.counter.count("GenerateDataKey"), attempts, self.faults.fired())
    }
}

#[tokio::test]
async fn two_throttles_and_a_success_are_one_success() {
    let rules = "- {service: kms, operation: GenerateDataKey, times: 2, \
                 error: {code: ThrottlingException}}";
    let Some(world) = World::new(rules, quick()).await else { return };
    assert_eq!(world.generate().await, Ok(()));
    assert_eq!(world.figures(), (1, 3, 2));
    assert_eq!(world.provider.snapshot().state, BreakerState::Closed);
}

#[tokio::test]
async fn a_connection_that_is_reset_is_tried_again() {
    let rules = "- {service: kms, operation: GenerateDataKey, times: 1, reset: true}";
    let Some(world) = World::new(rules, quick()).await else { return };
    assert_eq!(world.generate().await, Ok(()));
    assert_eq!(world.figures(), (1, 2, 1));
}

#[tokio::test]
async fn a_server_error_is_tried_again() {
    let rules = "- {service: kms, operation: GenerateDataKey, times: 1, \
                 error: {code: KMSInternalException, status: 500}}";
    let Some(world) = World::new(rules, quick()).await else { return };
    assert_eq!(world.generate().await, Ok(()));
    assert_eq!(world.figures(), (1, 2, 1));
}

/// 1.5 s of latency against 500 ms of patience.
#[tokio::test]
async fn an_answer_that_is_late_is_not_waited_for() {
    let rules = "- {service: kms, operation: GenerateDataKey, latency: 1500}";
    let Some(world) = World::new(rules, quick().max_attempts(2)).await else { return };
    let start = Instant::now();
    assert_eq!(world.generate().await, Err(ErrorKind::Timeout));
    let took = start.elapsed();
    assert!(took < Duration::from_millis(1400), "{took:?}");
    assert_eq!(world.provider.snapshot().counters.timeouts, 2);
    // The injector holds requests back and passes them on when nobody waits for them any more.
    let patience = Instant::now() + Duration::from_secs(10);
    while world.figures().0 < 2 && Instant::now() < patience {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let (reached, attempts, _) = world.figures();
    assert_eq!((reached, attempts), (2, 2));
}

/// JSON that is damaged on the way is an outage, and not bad data.
#[tokio::test]
async fn corrupted_answers_are_tried_again() {
    let rules = "- {service: kms, operation: GenerateDataKey, times: 1, \
                 response: {truncate_frac: 0.5}}";
    let Some(world) = World::new(rules, quick()).await else { return };
    assert_eq!(world.generate().await, Ok(()));
    assert_eq!(world.figures(), (2, 2, 1));
}

#[tokio::test]
async fn answers_that_break_off_are_tried_again() {
    let rules = "- {service: kms, operation: GenerateDataKey, times: 1, \
                 response: {abort_frac: 0.3}}";
    let Some(world) = World::new(rules, quick()).await else { return };
    assert_eq!(world.generate().await, Ok(()));
    assert_eq!(world.figures(), (2, 2, 1));
}

/// Bytes flipped anywhere: a key that is damaged and passes for one would make a message that
/// nobody opens, but whatever is opened is what was sealed, or an error.
#[tokio::test]
async fn flipped_bytes_never_open_to_something_else() {
    let rules = "- {service: kms, operation: Decrypt, response: {corrupt_bytes: 16}}";
    let Some(world) = World::new(rules, quick().max_attempts(1).breaker_threshold(1000)).await
    else {
        return;
    };
    let context = Context::new();
    let sealed = world.provider.seal(b"secret", &context).await.unwrap();
    for _ in 0..40 {
        let opened = world.provider.open(&sealed, &context).await;
        match opened {
            Ok(plain) => assert_eq!(&*plain, b"secret"),
            Err(error) => assert!(
                matches!(error.kind(), ErrorKind::Unavailable | ErrorKind::NotAuthentic),
                "{error}"
            ),
        }
    }
    assert_eq!(world.counter.count("Decrypt"), 40);
}

#[tokio::test]
async fn denied_is_not_tried_again() {
    let rules =
        "- {service: kms, operation: GenerateDataKey, error: {code: AccessDeniedException}}";
    let Some(world) = World::new(rules, quick()).await else { return };
    for _ in 0..10 {
        assert_eq!(world.generate().await, Err(ErrorKind::Denied));
    }
    assert_eq!(world.figures(), (0, 10, 10));
    assert_eq!(world.provider.snapshot().state, BreakerState::Closed);
}

/// The process is killed and stays dead: once the breaker is open, no request is made.
#[tokio::test]
async fn a_server_that_is_gone_is_left_alone() {
    let policy = quick().max_attempts(2).breaker_threshold(3).cool_down(Duration::from_secs(60));
    let Some(mut world) = World::new("- {service: none, reset: true}", policy).await else {
        return;
    };
    assert_eq!(world.generate().await, Ok(()));
    world.server.kill();
    for _ in 0..3 {
        let kind = world.generate().await.unwrap_err();
        assert!(matches!(kind, ErrorKind::Unavailable | ErrorKind::Timeout), "{kind:?}");
    }
    assert_eq!(world.provider.snapshot().state, BreakerState::Open);
    let before = world.counter.total();
    let start = Instant::now();
    for _ in 0..1000 {
        assert_eq!(world.generate().await, Err(ErrorKind::CircuitOpen));
    }
    assert!(start.elapsed() < Duration::from_millis(500), "{:?}", start.elapsed());
    assert_eq!(world.counter.total(), before);
    assert_eq!(world.provider.availability(), Availability::Unavailable);
}

/// It comes back: of a hundred callers one probes, and then all are served.
#[tokio::test(flavor = "multi_thread")]
async fn recovery_takes_one_probe() {
    let cool_down = Duration::from_millis(1500);
    let policy = quick().max_attempts(1).breaker_threshold(3).cool_down(cool_down);
    let Some(python) = Python::for_aws() else { return };
    let server = Ministack::start(&python, false);
    let counter = Counter::start(server.port());
    let key = world::symmetric(&server.url()).await;
    let provider = builder(&counter.url()).sealing_key(&key).build().await.unwrap();
    let provider = Resilient::new(Arc::new(provider), policy.build().unwrap());
    let empty = context(&[]);
    let generate =
        async || provider.generate_data_key(&empty).await.map(drop).map_err(|e| e.kind());

    assert_eq!(generate().await, Ok(()));
    counter.set_down(true);
    for _ in 0..3 {
        assert_eq!(generate().await, Err(ErrorKind::Unavailable));
    }
    assert_eq!(generate().await, Err(ErrorKind::CircuitOpen));
    counter.set_down(false);
    let before = counter.total();
    assert_eq!(generate().await, Err(ErrorKind::CircuitOpen));
    assert_eq!(counter.total(), before);

    tokio::time::sleep(cool_down).await;
    let results = join_all((0..100).map(|_| generate())).await;
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1);
    assert_eq!(counter.total(), before + 1);
    assert_eq!(provider.snapshot().counters.probes, 1);
    assert_eq!(provider.snapshot().state, BreakerState::Closed);
    let results = join_all((0..10).map(|_| generate())).await;
    assert!(results.iter().all(Result::is_ok));
    assert_eq!(counter.total(), before + 11);
}
