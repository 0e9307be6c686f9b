//! The conformance suite in full, for keys of each kind.

#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
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
use bulla_testworld::CloudKms;
use tokio::sync::Mutex;

#[global_allocator]
static ALLOCATOR: AllocCounter = alloc_counter::COUNTER;

/// One case counts what the process allocates, so one test runs at a time.
static ALONE: Mutex<()> = Mutex::const_new(());

async fn conforms(level: &str, pair: &str) {
    let _alone = ALONE.lock().await;
    let Some(kms) = CloudKms::start() else { return };
    let seals = |name| {
        let algorithm = "GOOGLE_SYMMETRIC_ENCRYPTION";
        kms.key(CloudKms::LOCATION, name, "ENCRYPT_DECRYPT", algorithm, level)
    };
    let signs = kms.signing_key("signs", pair);
    let one = world::builder(&kms).sealing_key(seals("one")).signing_key(signs);
    let two = world::builder(&kms).sealing_key(seals("two"));
    let (one, two) = (one.build().await.unwrap(), two.build().await.unwrap());
    let env = Env::new(Arc::new(one), Arc::new(two)).allocated(alloc_counter::allocated);
    let report = run(&env).await;
    eprintln!("{report}");
    report.assert_passed();
    assert_eq!(report.passed().count(), CASES.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_in_software_conform() {
    conforms("SOFTWARE", "EC_SIGN_P256_SHA256").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_in_an_hsm_conform() {
    conforms("HSM", "EC_SIGN_P384_SHA384").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_beside_ed25519_conform() {
    conforms("SOFTWARE", "EC_SIGN_ED25519").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_beside_rsa_conform() {
    conforms("SOFTWARE", "RSA_SIGN_PSS_2048_SHA256").await;
}
