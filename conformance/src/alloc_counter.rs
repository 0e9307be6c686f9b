//! An allocator that counts, for tests of how much memory something takes.
//!
//! It is this process's allocator where a test says so, and counts nothing elsewhere. Whatever else
//! allocates in the process is counted too, so such a test stands alone in its binary:
//!
//! ```
//! use bulla_conformance::alloc_counter::{self, AllocCounter};
//!
//! #[global_allocator]
//! static ALLOCATOR: AllocCounter = alloc_counter::COUNTER;
//!
//! # fn main() {
//! let before = alloc_counter::allocated();
//! drop(vec![0_u8; 4096]);
//! assert!(alloc_counter::allocated() - before >= 4096);
//! # }
//! ```

use std::alloc::System;

use stats_alloc::{INSTRUMENTED_SYSTEM, Stats, StatsAlloc};

/// The system's allocator, with counts. The only one is [`COUNTER`].
pub type AllocCounter = &'static StatsAlloc<System>;

/// What a test declares as its global allocator.
pub static COUNTER: AllocCounter = &INSTRUMENTED_SYSTEM;

/// Bytes allocated so far, given back or not. Fit for [`Env::allocated`](crate::Env::allocated).
///
/// # Panics
/// If [`COUNTER`] is not the allocator of this process: a test that counted nothing would pass.
#[must_use]
pub fn allocated() -> usize {
    stats().bytes_allocated
}

/// Bytes allocated and not given back. Read while others allocate: roughly.
///
/// # Panics
/// As for [`allocated`].
#[must_use]
pub fn in_use() -> usize {
    let stats = stats();
    stats.bytes_allocated.saturating_sub(stats.bytes_deallocated)
}

fn stats() -> Stats {
    let stats = COUNTER.stats();
    assert!(stats.allocations > 0, "declare alloc_counter::COUNTER as the #[global_allocator]");
    stats
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[should_panic(expected = "global_allocator")]
    fn where_nothing_counts_nothing_is_told() {
        let _ = allocated();
    }
}
