//! An allocator that counts.

use std::alloc::System;

use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

#[global_allocator]
static GLOBAL: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Bytes allocated so far, given back or not.
pub(crate) fn allocated() -> usize {
    GLOBAL.stats().bytes_allocated
}
