//! OpenBao that is sealed, killed, throttles or changes its keys while calls are made, behind the wrapper.

#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    reason = "helpers of tests are tests too"
)]

mod world;

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    time::{Duration, Instant},
};

use bulla::{
    Context, CryptoProvider, CryptoProviderExt, DataKeys, EncryptionContext, ErrorKind,
    resilience::{BreakerState, Policy, PolicyBuilder, Resilient},
};
use bulla_testworld::{Counter, OpenBao};
use bulla_vault::{Auth, Vault};
use serde_json::json;
use tokio::{task::JoinSet, time::sleep};
use world::builder;

const PATIENCE: Duration = Duration::from_secs(60);

/// Patient enough for a server that starts again.
fn patient() -> PolicyBuilder {
    Policy::builder()
        .attempt_timeout(Duration::from_secs(5))
        .deadline(Duration::from_secs(60))
        .max_attempts(10)
        .backoff(Duration::from_millis(50), Duration::from_secs(2))
        .retry_budget(100, 10_000)
        .breaker_threshold(1_000_000)
}

/// Calls that go on until told otherwise: each seals a value and opens it.
struct Load {
    stop: Arc<AtomicBool>,
    done: Arc<AtomicUsize>,
    errors: Arc<Mutex<BTreeMap<&'static str, usize>>>,
    callers: JoinSet<()>,
}

impl Load {
    fn start(provider: &Arc<Resilient>, callers: usize) -> Self {
        let mut load = Self {
            stop: Arc::default(),
            done: Arc::default(),
            errors: Arc::default(),
            callers: JoinSet::new(),
        };
        for _ in 0..callers {
            let (stop, done) = (Arc::clone(&load.stop), Arc::clone(&load.done));
            let (provider, errors) = (Arc::clone(provider), Arc::clone(&load.errors));
            load.callers.spawn(async move {
                let context = Context::new().with_key("tenant", "acme").unwrap();
                while !stop.load(SeqCst) {
                    let both = async {
                        let sealed = provider.seal(b"secret", &context).await?;
                        provider.open(&sealed, &context).await
                    };
                    match both.await {
                        Ok(opened) => {
                            assert_eq!(&*opened, b"secret");
                            done.fetch_add(1, SeqCst);
                        }
                        Err(error) => {
                            *errors.lock().unwrap().entry(error.kind().as_str()).or_default() += 1;
                        }
                    }
                }
            });
        }
        load
    }

    /// Waits for so many more.
    async fn more(&self, count: usize) {
        let (before, start) = (self.done.load(SeqCst), Instant::now());
        while self.done.load(SeqCst) < before + count {
            assert!(start.elapsed() < PATIENCE, "{:?}", self.errors.lock().unwrap());
            sleep(Duration::from_millis(10)).await;
        }
    }

    /// Ends it: what went wrong, by kind.
    async fn end(mut self) -> BTreeMap<&'static str, usize> {
        self.stop.store(true, SeqCst);
        while let Some(ended) = self.callers.join_next().await {
            ended.unwrap();
        }
        self.errors.lock().unwrap().clone()
    }
}

async fn wrapped(vault: Vault, policy: PolicyBuilder) -> Arc<Resilient> {
    Arc::new(Resilient::new(Arc::new(vault), policy.build().unwrap()))
}

/// `kill -9` under load, and the same data on the same port a while later: every call is answered.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_killed_and_comes_back_loses_no_call() {
    let Some(mut bao) = OpenBao::persistent() else { return };
    bao.key("k", "");
    let provider = builder(&bao).sealing_key("k").build().await.unwrap();
    let provider = wrapped(provider, patient()).await;
    let load = Load::start(&provider, 8);
    load.more(50).await;
    bao.kill();
    sleep(Duration::from_millis(500)).await;
    tokio::task::block_in_place(|| bao.start_again());
    load.more(100).await;
    assert_eq!(load.end().await, BTreeMap::new());
}

/// Sealed under load: an outage, and over when it is unsealed.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_sealed_is_an_outage_until_it_is_unsealed() {
    let Some(bao) = OpenBao::persistent() else { return };
    bao.key("k", "");
    let provider = builder(&bao).sealing_key("k").build().await.unwrap();
    let provider = wrapped(provider, patient()).await;
    let load = Load::start(&provider, 8);
    load.more(50).await;
    bao.seal();
    let bare = builder(&bao).sealing_key("k").build().await.unwrap_err();
    assert_eq!(bare.kind(), ErrorKind::Unavailable, "{bare}");
    assert!(bare.message().contains("unseal it"), "{bare}");
    tokio::task::block_in_place(|| bao.unseal());
    load.more(100).await;
    assert_eq!(load.end().await, BTreeMap::new());
}

/// Once the breaker is open, a sealed server is left alone.
#[tokio::test]
async fn a_sealed_server_opens_the_breaker() {
    let Some(bao) = OpenBao::persistent() else { return };
    bao.key("k", "");
    let counter = Counter::start(bao.port());
    let vault = Vault::builder().address(counter.url()).auth(Auth::token(bao.root()));
    let vault = vault.sealing_key("k").build().await.unwrap();
    let policy = patient().max_attempts(1).breaker_threshold(3);
    let provider = wrapped(vault, policy.cool_down(Duration::from_secs(600))).await;
    bao.seal();
    let context = EncryptionContext::new();
    for _ in 0..3 {
        let error = provider.generate_data_key(&context).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert!(error.message().contains("sealed"), "{error}");
    }
    assert_eq!(provider.snapshot().state, BreakerState::Open);
    let before = counter.total();
    for _ in 0..1000 {
        let error = provider.generate_data_key(&context).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::CircuitOpen);
    }
    assert_eq!(counter.total(), before);
}

/// Over a quota of the server, calls are throttled, and what is retried gets through.
#[tokio::test(flavor = "multi_thread")]
async fn a_quota_throttles_and_retries_get_through() {
    let Some(bao) = OpenBao::start() else { return };
    bao.key("k", "");
    let vault = builder(&bao).sealing_key("k").build().await.unwrap();
    let quota = json!({"path": "transit", "rate": 5, "interval": "1s"});
    bao.ok("POST", "sys/quotas/rate-limit/few", &quota);
    let context = EncryptionContext::new();
    let mut kinds = Vec::new();
    for _ in 0..100 {
        kinds.extend(vault.generate_data_key(&context).await.err().map(|error| error.kind()));
    }
    assert!(
        !kinds.is_empty() && kinds.iter().all(|kind| *kind == ErrorKind::Throttled),
        "{kinds:?}"
    );
    // Waits that are long beside the quota's second: none of ten attempts is to be the last one.
    let policy = patient().backoff(Duration::from_millis(500), Duration::from_secs(5));
    let provider = wrapped(vault, policy).await;
    let load = Load::start(&provider, 2);
    load.more(20).await;
    assert_eq!(load.end().await, BTreeMap::new());
    assert!(provider.snapshot().counters.attempts > 40);
}

/// Every token of the role revoked, several times under load: one login each time, and no call fails.
#[tokio::test(flavor = "multi_thread")]
async fn tokens_revoked_under_load_are_replaced() {
    let Some(bao) = OpenBao::start() else { return };
    bao.key("orders", "");
    bao.policy("app", bulla_vault::LEAST_PRIVILEGE_POLICY);
    let settings = json!({"token_policies": "app", "token_ttl": "1h", "token_max_ttl": "2h"});
    let (role, secret) = bao.app_role("app", &settings);
    let counter = Counter::start(bao.port());
    let vault = Vault::builder().address(counter.url()).auth(Auth::app_role(role, secret));
    let vault = vault.sealing_key("orders").build().await.unwrap();
    // Without retries of the wrapper: the call itself is made once more.
    let provider = wrapped(vault, patient().max_attempts(1)).await;
    let load = Load::start(&provider, 16);
    for _ in 0..3 {
        load.more(30).await;
        bao.ok("PUT", "sys/leases/revoke-prefix/auth/approle", &json!({}));
    }
    load.more(30).await;
    assert_eq!(load.end().await, BTreeMap::new());
    assert_eq!(counter.count("auth/approle/login"), 4);
}

/// Rotated under load: what was sealed before and after opens, and new data is of the new version.
#[tokio::test(flavor = "multi_thread")]
async fn keys_rotated_under_load_lose_no_call() {
    let Some(bao) = OpenBao::start() else { return };
    bao.key("k", "");
    let vault = builder(&bao).sealing_key("k").build().await.unwrap();
    let provider = wrapped(vault, patient().max_attempts(1)).await;
    let (key, old) = provider.generate_data_key(&EncryptionContext::new()).await.unwrap();
    let load = Load::start(&provider, 16);
    for _ in 0..10 {
        load.more(20).await;
        bao.rotate("k");
    }
    load.more(20).await;
    assert_eq!(load.end().await, BTreeMap::new());
    let (_, new) = provider.generate_data_key(&EncryptionContext::new()).await.unwrap();
    assert!(new.blob.starts_with(b"vault:v11:"), "{:?}", String::from_utf8_lossy(&new.blob));
    assert!(provider.is_current(&new) && !provider.is_current(&old));
    let opened = provider.unwrap_data_key(&old, &EncryptionContext::new()).await.unwrap();
    assert!(opened.ct_eq(&key));
}
