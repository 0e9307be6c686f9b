//! The conformance suite on SoftHSM, in full, for both ways in which AES keys wrap.

#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "helpers of tests are tests too")]

mod world;

use std::sync::Arc;

use bulla_conformance::{
    CASES, Env,
    alloc_counter::{self, AllocCounter},
    run,
};
use bulla_testworld::{SoftHsm, tokens};

#[global_allocator]
static ALLOCATOR: AllocCounter = alloc_counter::COUNTER;

async fn conforms(hsm: &SoftHsm, gcm: bool) {
    let (_context, session) = tokens::session(hsm);
    tokens::aes(&session, "one", &[1], gcm);
    tokens::aes(&session, "two", &[2], gcm);
    let one = world::builder(hsm).sealing_key("one").build().await.unwrap();
    let two = world::builder(hsm).sealing_key("two").build().await.unwrap();
    let env = Env::new(Arc::new(one), Arc::new(two)).allocated(alloc_counter::allocated);
    let report = run(&env).await;
    eprintln!("{report}");
    report.assert_passed();
    assert_eq!(report.passed().count(), CASES.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_with_aes_gcm_conform() {
    let Some(hsm) = SoftHsm::in_child("keys_with_aes_gcm_conform") else { return };
    conforms(&hsm, true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_with_aes_key_wrap_conform() {
    let Some(hsm) = SoftHsm::in_child("keys_with_aes_key_wrap_conform") else { return };
    conforms(&hsm, false).await;
}
