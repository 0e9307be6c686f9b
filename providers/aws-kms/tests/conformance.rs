//! The conformance suite on both emulators, each for what it is honest about, and on a KMS by the
//! book for what neither is.

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

use bulla::CryptoProvider;
use bulla_conformance::{Env, Report, run};
use bulla_testworld::{Ministack, Moto, Python};

async fn report(url: &str, skipped: &[(&'static str, &'static str)]) -> Report {
    let (one, two) = (world::symmetric(url).await, world::symmetric(url).await);
    let [one, two] =
        [world::provider(url, &one).await, world::provider(url, &two).await].map(|provider| {
            let shared: Arc<dyn CryptoProvider> = Arc::new(provider);
            shared
        });
    let env = skipped.iter().fold(Env::new(one, two), |env, (name, why)| env.skip(name, why));
    let report = run(&env).await;
    eprintln!("{report}");
    report
}

#[tokio::test(flavor = "multi_thread")]
async fn ministack() {
    let Some(python) = Python::for_aws() else { return };
    let server = Ministack::start(&python, false);
    report(&server.url(), &[]).await.assert_passed();
}

#[tokio::test(flavor = "multi_thread")]
async fn moto() {
    let Some(python) = Python::for_aws() else { return };
    let server = Moto::start(&python);
    report(&server.url(), &[]).await.assert_passed();
}
