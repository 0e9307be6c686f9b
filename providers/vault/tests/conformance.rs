//! The conformance suite on OpenBao, in full, for each type of key that seals.

#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "helpers of tests are tests too")]

mod world;

use std::sync::Arc;

use bulla_conformance::{
    CASES, Env,
    alloc_counter::{self, AllocCounter},
    run,
};
use bulla_testworld::OpenBao;
use tokio::sync::Mutex;

#[global_allocator]
static ALLOCATOR: AllocCounter = alloc_counter::COUNTER;

/// One case counts what the process allocates, so one test runs at a time.
static ALONE: Mutex<()> = Mutex::const_new(());

async fn conforms(cipher: &str, pair: &str) {
    let _alone = ALONE.lock().await;
    let Some(bao) = OpenBao::start() else { return };
    bao.key("one", cipher);
    bao.key("two", cipher);
    bao.key("signs", pair);
    let one = world::builder(&bao).sealing_key("one").signing_key("signs").build().await.unwrap();
    let two = world::builder(&bao).sealing_key("two").build().await.unwrap();
    let env = Env::new(Arc::new(one), Arc::new(two)).allocated(alloc_counter::allocated);
    let report = run(&env).await;
    eprintln!("{report}");
    report.assert_passed();
    assert_eq!(report.passed().count(), CASES.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn aes_keys_conform() {
    conforms("aes256-gcm96", "rsa-2048").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn chacha20_keys_conform() {
    conforms("chacha20-poly1305", "ecdsa-p521").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn xchacha20_keys_conform() {
    conforms("xchacha20-poly1305", "ed25519").await;
}
