//! The retry budget: calls pay in, retries take out.

/// What one retry costs. A call pays in as many of these as the policy has percent.
const RETRY: u64 = 100;

/// A token bucket. It starts full and never holds more than the reserve, so that over any span of
/// time retries are at most the reserve plus the given share of that span's calls.
#[derive(Debug)]
pub(super) struct Budget {
    balance: u64,
    full: u64,
    per_call: u64,
}

impl Budget {
    pub(super) fn new(percent: u32, reserve: u32) -> Self {
        // Without a reserve, calls still have to save up for one whole retry.
        let start = u64::from(reserve) * RETRY;
        Self { balance: start, full: start.max(RETRY), per_call: u64::from(percent) }
    }

    pub(super) fn deposit(&mut self) {
        self.balance = (self.balance + self.per_call).min(self.full);
    }

    /// Takes out one retry, if the balance has it.
    pub(super) fn withdraw(&mut self) -> bool {
        let rest = self.balance.checked_sub(RETRY);
        self.balance = rest.unwrap_or(self.balance);
        rest.is_some()
    }
}
