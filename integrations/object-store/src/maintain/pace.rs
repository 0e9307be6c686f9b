//! Not faster than allowed.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::{Instant, sleep_until};

/// Lets so many units begin each second, evenly: nothing is saved up for later.
#[derive(Debug)]
pub(super) struct Pace {
    per_second: f64,
    next: Mutex<Option<Instant>>,
}

impl Pace {
    pub(super) fn new(per_second: f64) -> Self {
        Self { per_second, next: Mutex::default() }
    }

    /// Waits until `units` may begin. What comes after them waits for as long as they take.
    pub(super) async fn admit(&self, units: u64) {
        #[allow(clippy::cast_precision_loss, reason = "a wait may be off by a part in 2^53")]
        let takes = units as f64 / self.per_second;
        let takes = Duration::try_from_secs_f64(takes).unwrap_or(Duration::MAX);
        let begins = {
            let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
            let now = Instant::now();
            let begins = next.map_or(now, |next| next.max(now));
            // A wait beyond what the clock can count is one for ever.
            *next = begins.checked_add(takes).or(Some(begins));
            begins
        };
        sleep_until(begins).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn units_begin_evenly_and_nothing_is_saved_up() {
        let (pace, start) = (Pace::new(10.0), Instant::now());
        for _ in 0..5 {
            pace.admit(1).await;
        }
        assert_eq!(start.elapsed().as_millis(), 400);
        tokio::time::sleep(Duration::from_secs(60)).await;
        let start = Instant::now();
        pace.admit(20).await;
        pace.admit(1).await;
        pace.admit(1).await;
        assert_eq!(start.elapsed().as_millis(), 2100);
    }
}
