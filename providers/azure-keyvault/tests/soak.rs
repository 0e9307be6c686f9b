//! Many calls in one process: memory and sockets stay as they are. 4,000 operations, or 100,000 where
//! `BULLA_LONG_TESTS` is set, as `cargo xtask test --all` does.
//!
//! One test alone in its process: whatever else allocates would be counted too. The service is counted as
//! well, as it is in this process.

#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    reason = "helpers of tests are tests too"
)]

mod world;

use std::{fs, sync::Arc, time::Duration};

use bulla::{
    CryptoProvider, DataKeys, Sign, SigningAlgorithm, SigningInput,
    resilience::{Policy, Resilient},
};
use bulla_conformance::alloc_counter::{self, AllocCounter, in_use};
use futures_util::future::join_all;
use world::{acme, context};

#[global_allocator]
static ALLOCATOR: AllocCounter = alloc_counter::COUNTER;

const CALLERS: usize = 16;

/// What may come and go: buffers of connections, and answers on their way.
const SLACK: usize = 1024 * 1024;

fn operations() -> usize {
    if std::env::var_os("BULLA_LONG_TESTS").is_some() { 100_000 } else { 4000 }
}

fn open_files() -> usize {
    fs::read_dir("/proc/self/fd").map_or(0, Iterator::count)
}

/// Four operations.
async fn four(provider: &Resilient) {
    let (key, wrapped) = provider.generate_data_key(&context()).await.unwrap();
    assert!(provider.unwrap_data_key(&wrapped, &context()).await.unwrap().ct_eq(&key));
    let keys = provider.public_keys().await.unwrap();
    let current = keys.iter().find(|key| key.current).unwrap();
    let input = SigningInput::new(SigningAlgorithm::Es256, b"m");
    let signature = provider.sign(current, &input).await.unwrap();
    bulla::signing::verify(current, &input, &signature).unwrap();
}

async fn run(provider: &Arc<Resilient>, operations: usize) {
    let caller = |_| async move {
        for _ in 0..operations / 4 / CALLERS {
            four(provider).await;
        }
    };
    join_all((0..CALLERS).map(caller)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn memory_and_sockets_stay_as_they_are() {
    let (azure, acme) = acme().await;
    let provider = Arc::new(Resilient::new(acme, Policy::default()));
    run(&provider, 1024).await;
    azure.forget();
    let (memory, files) = (in_use(), open_files());
    let all = operations();
    for part in 1..=10 {
        run(&provider, all / 10).await;
        azure.forget();
        let (now, files_now) = (in_use(), open_files());
        eprintln!("{} operations: {now} bytes, {files_now} files", part * all / 10);
        assert!(now < memory + SLACK, "{memory} bytes became {now}");
        // Each connection is one here, two at the proxy that leads to the service.
        assert!(files_now <= files + 3 * CALLERS, "{files} open files became {files_now}");
    }
    provider.close().await.unwrap();
    drop(provider);
    for _ in 0..200 {
        if open_files() < files {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("{} files are open still", open_files());
}
