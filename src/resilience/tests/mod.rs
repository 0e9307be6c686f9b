//! Virtual time throughout: `start_paused` lets tokio's clock jump from timer to timer.

mod breaker;
mod calls;
#[cfg(any(feature = "aws-lc-rs", feature = "rustcrypto"))]
mod failover;
mod fake;
mod policy;
mod properties;
mod simulation;
mod wrapper;

use std::{sync::Arc, time::Duration};

use self::fake::{Fake, Step};
use super::{Policy, PolicyBuilder, Resilient};
use crate::error::ErrorKind;

const SECOND: Duration = Duration::from_secs(1);

/// A tick of tokio's timers: a sleep may end that much late.
const TICK: Duration = Duration::from_millis(1);

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

const fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

fn wrap(fake: &Arc<Fake>, policy: PolicyBuilder) -> Arc<Resilient> {
    let policy = policy.jitter_seed(1).build().unwrap();
    let wrapper = Arc::new(Resilient::new(Arc::clone(fake) as _, policy));
    fake.watch(&wrapper);
    wrapper
}

/// One attempt per call, and a breaker that opens at the second failure for 30 s.
fn brittle() -> PolicyBuilder {
    Policy::builder().max_attempts(1).breaker_threshold(2)
}

/// A wrapper whose breaker is open.
async fn opened(fake: &Arc<Fake>) -> Arc<Resilient> {
    let wrapper = wrap(fake, brittle());
    fake.always(Step::Fail(ErrorKind::Unavailable));
    for _ in 0..2 {
        fake::call(&*wrapper, crate::Operation::Encrypt).await.unwrap_err();
    }
    assert_eq!(wrapper.snapshot().state, super::BreakerState::Open);
    wrapper
}
