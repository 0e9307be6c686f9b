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

mod paper;
mod world;

use std::sync::Arc;

use bulla::CryptoProvider;
use bulla_conformance::{
    CASES, Env, Report,
    alloc_counter::{self, AllocCounter},
    run, unjudged,
};
use bulla_testworld::{Ministack, Moto, Python};
use tokio::sync::Mutex;

#[global_allocator]
static ALLOCATOR: AllocCounter = alloc_counter::COUNTER;

/// What neither emulator is honest about.
const NEITHER: [&str; 2] = ["wrong_key", "direct_flips"];

/// One case counts what the process allocates, so one test runs at a time.
static ALONE: Mutex<()> = Mutex::const_new(());

async fn report(
    one: Arc<dyn CryptoProvider>,
    two: Arc<dyn CryptoProvider>,
    skipped: &[(&'static str, &'static str)],
) -> Report {
    let env = Env::new(one, two).allocated(alloc_counter::allocated);
    let env = skipped.iter().fold(env, |env, (name, why)| env.skip(name, why));
    let report = run(&env).await;
    eprintln!("{report}");
    report.assert_passed();
    assert_eq!(report.passed().count(), CASES.len() - skipped.len());
    report
}

async fn on_server(url: &str, skipped: &[(&'static str, &'static str)]) -> Report {
    let (one, two) = (world::symmetric(url).await, world::symmetric(url).await);
    let (one, two) = (world::provider(url, &one).await, world::provider(url, &two).await);
    report(Arc::new(one), Arc::new(two), skipped).await
}

async fn ministack(python: &Python) -> Report {
    let server = Ministack::start(python, false);
    let skipped = [
        ("wrong_key", "decrypts by whatever key is named, to garbage"),
        ("direct_flips", "decrypts altered ciphertext to altered plaintext"),
        ("direct_reencrypts", "has no ReEncrypt"),
    ];
    on_server(&server.url(), &skipped).await
}

async fn moto(python: &Python) -> Report {
    let server = Moto::start(python);
    let skipped = [
        ("wrong_key", "answers AccessDenied for another key's ciphertext"),
        ("header_flips", "answers AccessDenied where the key id in a ciphertext is altered"),
        ("hostile_lengths", "answers AccessDenied where the key id in a ciphertext is altered"),
        ("direct_flips", "answers AccessDenied where the key id in a ciphertext is altered"),
        ("context_in_the_wrap", "binds the concatenation of the pairs: a=bc is ab=c"),
    ];
    on_server(&server.url(), &skipped).await
}

async fn by_the_book() -> Report {
    report(paper::provider(paper::ONE).await, paper::provider(paper::TWO).await, &[]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_emulators_judge_all_but_two_cases() {
    let Some(python) = Python::for_aws() else { return };
    let _alone = ALONE.lock().await;
    let reports = [ministack(&python).await, moto(&python).await];
    assert_eq!(unjudged(&reports), NEITHER);
    let [ministack, moto] = reports;
    assert!(unjudged(&[ministack, moto, by_the_book().await]).is_empty());
}

/// Also where there is no Python, and for [`NEITHER`], of which no emulator can be asked.
#[tokio::test(flavor = "multi_thread")]
async fn conforms_by_the_book_where_no_emulator_is_honest() {
    let _alone = ALONE.lock().await;
    let report = by_the_book().await;
    assert!(NEITHER.iter().all(|case| report.passed().any(|passed| passed == *case)));
}
