//! Many calls in one process: memory and sockets stay as they are. 4,000 operations, or 100,000 where
//! `BULLA_LONG_TESTS` is set, as `cargo xtask test --all` does.
//!
//! One test alone in its process: whatever else allocates would be counted too.

#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    reason = "helpers of tests are tests too"
)]

mod world;

use std::{fs, sync::Arc};

use bulla::{
    CryptoProvider, DataKeys, Encrypt, EncryptionContext, Sign, SigningAlgorithm, SigningInput,
    resilience::{Policy, Resilient},
};
use bulla_conformance::alloc_counter::{self, AllocCounter, in_use};
use bulla_testworld::OpenBao;
use bulla_vault::{Auth, LEAST_PRIVILEGE_POLICY, Vault};
use futures_util::future::join_all;
use serde_json::json;

#[global_allocator]
static ALLOCATOR: AllocCounter = alloc_counter::COUNTER;

const CALLERS: usize = 16;

/// What may come and go: buffers of connections, and answers on their way.
const SLACK: usize = 512 * 1024;

fn operations() -> usize {
    if std::env::var_os("BULLA_LONG_TESTS").is_some() { 100_000 } else { 4000 }
}

fn open_files() -> usize {
    fs::read_dir("/proc/self/fd").map_or(0, Iterator::count)
}

/// Five operations.
async fn five(provider: &Resilient) {
    let context = EncryptionContext::from_pairs([("tenant", "acme")]).unwrap();
    let (key, wrapped) = provider.generate_data_key(&context).await.unwrap();
    assert!(provider.unwrap_data_key(&wrapped, &context).await.unwrap().ct_eq(&key));
    let direct = provider.encrypt(b"pin", &context).await.unwrap();
    assert_eq!(&*provider.decrypt(&direct, &context).await.unwrap(), b"pin");
    let keys = provider.public_keys().await.unwrap();
    let current = keys.iter().find(|key| key.current).unwrap();
    let input = SigningInput::new(SigningAlgorithm::Es256, b"m");
    let signature = provider.sign(current, &input).await.unwrap();
    bulla::signing::verify(current, &input, &signature).unwrap();
}

async fn run(provider: &Arc<Resilient>, operations: usize) {
    let caller = |_| async move {
        for _ in 0..operations / 5 / CALLERS {
            five(provider).await;
        }
    };
    join_all((0..CALLERS).map(caller)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn memory_and_sockets_stay_as_they_are() {
    let Some(bao) = OpenBao::start() else { return };
    bao.key("orders", "");
    bao.key("tokens", "ecdsa-p256");
    bao.policy("app", LEAST_PRIVILEGE_POLICY);
    let settings = json!({"token_policies": "app", "token_ttl": "20s", "token_max_ttl": "60s"});
    let (role, secret) = bao.app_role("app", &settings);
    let vault = Vault::builder().address(bao.url()).auth(Auth::app_role(role, secret));
    let vault = vault.sealing_key("orders").signing_key("tokens").build().await.unwrap();
    let provider = Arc::new(Resilient::new(Arc::new(vault), Policy::default()));
    run(&provider, 1000).await;
    let (memory, files) = (in_use(), open_files());
    let all = operations();
    for part in 1..=10 {
        run(&provider, all / 10).await;
        let (now, files_now) = (in_use(), open_files());
        eprintln!("{} operations: {now} bytes, {files_now} files", part * all / 10);
        assert!(now < memory + SLACK, "{memory} bytes became {now}");
        assert!(files_now <= files + CALLERS, "{files} open files became {files_now}");
    }
    provider.close().await.unwrap();
    drop(provider);
    // Tasks that served connections end by themselves.
    for _ in 0..200 {
        if open_files() < files {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("{} files are open still", open_files());
}
