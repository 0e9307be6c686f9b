//! Rotating by the schedule.

use std::time::Duration;

use super::{KeyRing, MakeKey};

/// The longest time between two looks at the schedule.
const MAX_INTERVAL: Duration = Duration::from_secs(3600);

/// The first pause after a failure; each further one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_secs(5);

impl KeyRing {
    /// Rotates by the schedule, for as long as it is polled: spawn it, and abort it to stop. Any number
    /// of processes may do so for one ring.
    ///
    /// A step that fails is tried again, from after 5 seconds on and then ever more seldom, up to an hour;
    /// each failure and each change is an event of `tracing`. A key that could not be replaced in time
    /// goes on signing.
    pub async fn keep_rotating(&self, maker: impl MakeKey) {
        let mut pause = FIRST_PAUSE;
        loop {
            let wait = match self.rotate(&maker).await {
                Ok(changes) => {
                    pause = FIRST_PAUSE;
                    for change in &changes {
                        tracing::info!(?change, "the ring was rotated");
                    }
                    self.until_next().await.unwrap_or(FIRST_PAUSE)
                }
                Err(error) => {
                    tracing::warn!(%error, "the ring could not be rotated; trying again");
                    let wait = pause;
                    pause = (pause * 2).min(MAX_INTERVAL);
                    wait
                }
            };
            // Not all at the same time, or all but one would have made a key for nothing.
            tokio::time::sleep(wait.mul_f64(1.0 + fastrand::f64() / 10.0)).await;
        }
    }

    /// How long nothing is due for.
    async fn until_next(&self) -> Option<Duration> {
        let (when, _) = self.load().await.ok()?.next_due()?;
        let wait = when.duration_since(self.now()).unwrap_or_default();
        Some(wait.clamp(Duration::from_secs(1), MAX_INTERVAL))
    }
}
