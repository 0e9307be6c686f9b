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
use bulla_vault::VaultBuilder;
use tokio::sync::Mutex;

#[global_allocator]
static ALLOCATOR: AllocCounter = alloc_counter::COUNTER;

/// One case counts what the process allocates, so one test runs at a time.
static ALONE: Mutex<()> = Mutex::const_new(());

async fn conforms(cipher: &str, pair: &str, adjust: fn(VaultBuilder) -> VaultBuilder) {
    let _alone = ALONE.lock().await;
    let Some(bao) = OpenBao::start() else { return };
    bao.key("one", cipher);
    bao.key("two", cipher);
    bao.key("signs", pair);
    let builder = || adjust(world::builder(&bao));
    let one = builder().sealing_key("one").signing_key("signs").build().await.unwrap();
    let two = builder().sealing_key("two").build().await.unwrap();
    let env = Env::new(Arc::new(one), Arc::new(two)).allocated(alloc_counter::allocated);
    let report = run(&env).await;
    eprintln!("{report}");
    report.assert_passed();
    assert_eq!(report.passed().count(), CASES.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn aes_keys_conform() {
    conforms("aes256-gcm96", "rsa-2048", |builder| builder).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn chacha20_keys_conform() {
    conforms("chacha20-poly1305", "ecdsa-p521", |builder| builder).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn xchacha20_keys_conform() {
    conforms("xchacha20-poly1305", "ed25519", |builder| builder).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn data_keys_of_the_server_conform() {
    conforms("aes256-gcm96", "ecdsa-p384", VaultBuilder::server_data_keys).await;
}
