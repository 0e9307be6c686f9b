//! The reference provider passes everything. Alone in its process, since one case counts what the
//! process allocates.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    reason = "helpers of tests are tests too"
)]

use std::sync::Arc;

use bulla_conformance::{
    CASES, Env, Memory,
    alloc_counter::{self, AllocCounter},
    faulty, run, unjudged,
};

#[global_allocator]
static ALLOCATOR: AllocCounter = alloc_counter::COUNTER;

#[tokio::test]
async fn the_reference_passes_everything() {
    let env = Env::new(Arc::new(Memory::new("one")), Arc::new(Memory::new("two")));
    let report = run(&env.allocated(alloc_counter::allocated)).await;
    report.assert_passed();
    assert_eq!(report.passed().count(), CASES.len());
    assert!(unjudged(&[report]).is_empty());

    // So does the faulty one when it has no fault: what fails there is the fault's doing.
    run(&faulty::env(None).allocated(alloc_counter::allocated)).await.assert_passed();

    // A case that was skipped everywhere is named.
    let two = Env::new(Arc::new(Memory::new("one")), Arc::new(Memory::new("two")));
    let report = run(&two.skip("large_stream", "takes long")).await;
    assert_eq!(unjudged(&[report]), ["large_stream", "hostile_lengths"]);
}
