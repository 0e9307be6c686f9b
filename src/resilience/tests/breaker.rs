//! The state machine by itself.

use tokio::time::{Instant, advance};

use super::*;
use crate::{
    Error,
    resilience::{
        BreakerState,
        breaker::{Breaker, Pass, Verdict},
    },
};

const KINDS: [ErrorKind; ErrorKind::COUNT] = [
    ErrorKind::NotAuthentic,
    ErrorKind::Malformed,
    ErrorKind::ContextMismatch,
    ErrorKind::NoRecipient,
    ErrorKind::InvalidToken,
    ErrorKind::InvalidInput,
    ErrorKind::Unsupported,
    ErrorKind::NotFound,
    ErrorKind::AlreadyExists,
    ErrorKind::Denied,
    ErrorKind::Disabled,
    ErrorKind::PendingDeletion,
    ErrorKind::Destroyed,
    ErrorKind::Damaged,
    ErrorKind::Throttled,
    ErrorKind::QuotaExceeded,
    ErrorKind::Unavailable,
    ErrorKind::Timeout,
    ErrorKind::CircuitOpen,
    ErrorKind::Closed,
    ErrorKind::Io,
    ErrorKind::Internal,
];

struct Machine(Breaker);

impl Machine {
    /// Opens at the third failure, for 30 s; a probe may take 5 s.
    fn new() -> Self {
        Self(Breaker::new(&Policy::builder().breaker_threshold(3).build().unwrap()))
    }

    fn state(&self) -> BreakerState {
        self.0.state(Instant::now())
    }

    fn pass(&mut self) -> Pass {
        self.0.admit(Instant::now()).unwrap()
    }

    fn record(&mut self, pass: Pass, verdict: Verdict) {
        self.0.record(pass, verdict, None);
    }

    fn finish(&mut self, verdict: Verdict) {
        let pass = self.pass();
        self.record(pass, verdict);
    }

    /// Open, and the time is up.
    async fn half_open() -> Self {
        let mut machine = Self::new();
        for _ in 0..3 {
            machine.finish(Verdict::Down);
        }
        assert_eq!(machine.state(), BreakerState::Open);
        advance(secs(30)).await;
        assert_eq!(machine.state(), BreakerState::HalfOpen);
        machine
    }
}

#[test]
fn what_counts_against_the_provider_is_what_is_worth_a_retry() {
    for kind in KINDS {
        let down = kind.is_retryable() && kind != ErrorKind::CircuitOpen;
        assert_eq!(Verdict::of(kind) == Verdict::Down, down, "{kind}");
        assert_ne!(Verdict::of(kind), Verdict::Up, "{kind}");
    }
}

#[tokio::test(start_paused = true)]
async fn opens_at_the_threshold_of_failures_in_a_row() {
    let mut machine = Machine::new();
    for _ in 0..10 {
        machine.finish(Verdict::Down);
        machine.finish(Verdict::Down);
        machine.finish(Verdict::Up);
    }
    assert_eq!((machine.state(), machine.0.failures()), (BreakerState::Closed, 0));
    machine.finish(Verdict::Down);
    machine.finish(Verdict::Down);
    assert_eq!((machine.state(), machine.0.failures()), (BreakerState::Closed, 2));
    machine.finish(Verdict::Down);
    assert_eq!((machine.state(), machine.0.failures()), (BreakerState::Open, 3));
    assert_eq!(machine.0.next_try(Instant::now()), Some(secs(30)));
}

#[tokio::test(start_paused = true)]
async fn an_answered_or_unknown_call_neither_counts_nor_resets() {
    let mut machine = Machine::new();
    for _ in 0..100 {
        machine.finish(Verdict::Answered);
        machine.finish(Verdict::Unknown);
    }
    machine.finish(Verdict::Down);
    machine.finish(Verdict::Answered);
    machine.finish(Verdict::Down);
    machine.finish(Verdict::Unknown);
    assert_eq!((machine.state(), machine.0.failures()), (BreakerState::Closed, 2));
    machine.finish(Verdict::Down);
    assert_eq!(machine.state(), BreakerState::Open);
}

#[tokio::test(start_paused = true)]
async fn refuses_while_open_and_says_for_how_long() {
    let mut machine = Machine::new();
    machine.finish(Verdict::Down);
    machine.finish(Verdict::Down);
    let pass = machine.pass();
    machine.0.record(pass, Verdict::Down, Some(&Error::new(ErrorKind::Timeout, "the last one")));
    advance(secs(12)).await;
    let refusal = machine.0.admit(Instant::now()).unwrap_err();
    assert_eq!((refusal.open, refusal.retry_after), (secs(12), secs(18)));
    assert_eq!(refusal.cause.as_ref().map(Error::message), Some("the last one"));
    assert_eq!(
        refusal.to_string(),
        "not asked: 3 calls in a row failed; open for 12.0 s, tried again in 18.0 s"
    );
    advance(ms(17_999)).await;
    machine.0.admit(Instant::now()).unwrap_err();
    advance(ms(1)).await;
    assert!(machine.pass().probe);
}

#[tokio::test(start_paused = true)]
async fn half_open_lets_one_through() {
    let mut machine = Machine::half_open().await;
    let probe = machine.pass();
    assert!(probe.probe);
    for _ in 0..100 {
        let refusal = machine.0.admit(Instant::now()).unwrap_err();
        assert!(refusal.probing);
        assert_eq!(refusal.retry_after, secs(5));
        assert!(refusal.to_string().ends_with("finding out now, for at most 5.0 s"));
    }
    machine.record(probe, Verdict::Up);
    assert_eq!((machine.state(), machine.0.failures()), (BreakerState::Closed, 0));
    assert_eq!(machine.0.opened_since(), None);
    assert!(!machine.pass().probe);
}

#[tokio::test(start_paused = true)]
async fn a_probe_that_is_answered_closes() {
    let mut machine = Machine::half_open().await;
    machine.finish(Verdict::Answered);
    assert_eq!(machine.state(), BreakerState::Closed);
    // The count starts anew.
    machine.finish(Verdict::Down);
    machine.finish(Verdict::Down);
    assert_eq!(machine.state(), BreakerState::Closed);
}

#[tokio::test(start_paused = true)]
async fn a_probe_that_fails_opens_again() {
    let mut machine = Machine::half_open().await;
    let since = machine.0.opened_since();
    for round in 2..6 {
        machine.finish(Verdict::Down);
        assert_eq!((machine.state(), machine.0.opens), (BreakerState::Open, round));
        assert_eq!(machine.0.next_try(Instant::now()), Some(secs(30)));
        assert_eq!(machine.0.opened_since(), since);
        advance(secs(30)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_probe_without_an_answer_gives_its_place_back_and_does_not_close() {
    let mut machine = Machine::half_open().await;
    for _ in 0..3 {
        machine.finish(Verdict::Unknown);
        assert_eq!(machine.state(), BreakerState::HalfOpen);
        assert_eq!(machine.0.failures(), 3);
    }
    assert!(machine.pass().probe);
    machine.0.admit(Instant::now()).unwrap_err();
}

#[tokio::test(start_paused = true)]
async fn a_probe_that_nobody_polls_loses_its_place() {
    let mut machine = Machine::half_open().await;
    let lost = machine.pass();
    advance(ms(9_999)).await;
    let refusal = machine.0.admit(Instant::now()).unwrap_err();
    assert_eq!(refusal.retry_after, Duration::ZERO);
    advance(ms(1)).await;
    let probe = machine.pass();
    assert!(probe.probe);
    // Whatever becomes of the lost one changes nothing.
    for verdict in [Verdict::Up, Verdict::Down, Verdict::Answered, Verdict::Unknown] {
        machine.record(lost, verdict);
        machine.0.admit(Instant::now()).unwrap_err();
    }
    machine.record(probe, Verdict::Up);
    assert_eq!(machine.state(), BreakerState::Closed);
}

#[tokio::test(start_paused = true)]
async fn late_results_change_nothing() {
    let mut machine = Machine::new();
    let before: Vec<_> = (0..8).map(|_| machine.pass()).collect();
    for pass in &before[..3] {
        machine.record(*pass, Verdict::Down);
    }
    let open = |machine: &Machine| (machine.state(), machine.0.next_try(Instant::now()));
    advance(secs(10)).await;
    machine.record(before[3], Verdict::Up);
    machine.record(before[4], Verdict::Down);
    assert_eq!(open(&machine), (BreakerState::Open, Some(secs(20))));
    advance(secs(20)).await;
    machine.record(before[5], Verdict::Answered);
    assert_eq!(machine.state(), BreakerState::HalfOpen);
    let probe = machine.pass();
    machine.record(before[6], Verdict::Up);
    assert_eq!(machine.state(), BreakerState::HalfOpen);
    machine.0.admit(Instant::now()).unwrap_err();
    machine.record(probe, Verdict::Up);
    machine.record(before[7], Verdict::Down);
    assert_eq!((machine.state(), machine.0.failures()), (BreakerState::Closed, 0));
}
