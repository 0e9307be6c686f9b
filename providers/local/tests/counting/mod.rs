//! An allocator that counts.
#![allow(dead_code, reason = "each test that counts needs a part of it")]

use std::alloc::System;

use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

#[global_allocator]
static GLOBAL: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Bytes allocated so far, given back or not.
pub(crate) fn allocated() -> usize {
    GLOBAL.stats().bytes_allocated
}

/// Bytes allocated and not given back. Read while others allocate: roughly.
pub(crate) fn in_use() -> usize {
    let stats = GLOBAL.stats();
    stats.bytes_allocated.saturating_sub(stats.bytes_deallocated)
}
