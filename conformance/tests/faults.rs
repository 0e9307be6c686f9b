//! The suite finds faults: every case fails at least once, and every fault is found.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    reason = "helpers of tests are tests too"
)]

use std::collections::BTreeSet;

use bulla_conformance::{
    CASES,
    alloc_counter::{self, AllocCounter},
    faulty::{FAULTS, env},
    run,
};

#[global_allocator]
static ALLOCATOR: AllocCounter = alloc_counter::COUNTER;

#[tokio::test]
async fn every_case_fails_once_and_every_fault_is_found() {
    let mut found = BTreeSet::new();
    for fault in FAULTS {
        let report = run(&env(Some(*fault)).allocated(alloc_counter::allocated)).await;
        let failed: Vec<_> = report.failed().collect();
        println!("{fault:?}: {}", failed.join(", "));
        assert!(!failed.is_empty(), "{fault:?} passes the suite");
        found.extend(failed);
    }
    let all: BTreeSet<_> = CASES.iter().map(|case| case.name).collect();
    let idle: Vec<_> = all.difference(&found).collect();
    assert!(idle.is_empty(), "cases that no fault fails: {idle:?}");
}
