//! The conformance suite by the book, in full, for both ways in which keys wrap.

#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "helpers of tests are tests too"
)]

mod world;

use std::sync::Arc;

use bulla_conformance::{
    CASES, Env,
    alloc_counter::{self, AllocCounter},
    run,
};
use bulla_testworld::azure::{Azure, Kind};
use tokio::sync::Mutex;
use world::{HSM, SIGNS, VAULT, WRAPS};

#[global_allocator]
static ALLOCATOR: AllocCounter = alloc_counter::COUNTER;

/// One case counts what the process allocates, so one test runs at a time.
static ALONE: Mutex<()> = Mutex::const_new(());

async fn conforms(vault: &str, kind: Kind, pair: Kind) {
    let _alone = ALONE.lock().await;
    let azure = Azure::start();
    azure.key(vault, "one", kind, &WRAPS);
    azure.key(vault, "two", kind, &WRAPS);
    azure.key(vault, "signs", pair, &SIGNS);
    let builder = || world::builder(&azure, vault).accept_public_key_wraps();
    let one = builder().sealing_key("one").signing_key("signs").build().await.unwrap();
    let two = builder().sealing_key("two").build().await.unwrap();
    let env = Env::new(Arc::new(one), Arc::new(two)).allocated(alloc_counter::allocated);
    let report = run(&env).await;
    eprintln!("{report}");
    report.assert_passed();
    assert_eq!(report.passed().count(), CASES.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn rsa_keys_conform() {
    conforms(VAULT, Kind::Rsa(2048), Kind::P256).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rsa_keys_of_an_hsm_conform() {
    conforms(HSM, Kind::RsaHsm(3072), Kind::RsaHsm(2048)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn aes_keys_of_an_hsm_conform() {
    conforms(HSM, Kind::Oct, Kind::P521).await;
}
