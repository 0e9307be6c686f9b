//! The metrics are those of the table in ARCHITECTURE.md, and they count right.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests are tests too")]

use std::{collections::BTreeMap, sync::Arc};

use bulla::{
    Context, CryptoProvider, CryptoProviderExt, DataKeys, EncryptionContext, KeyName, Opener,
    Sealer, Wrapped,
    envelope::CachePolicy,
    key::WrapAlgorithm,
    provider::Disabled,
    resilience::{Policy, Resilient},
};
use bulla_conformance::Memory;
use metrics_util::debugging::{DebugValue, DebuggingRecorder, Snapshotter};

/// Metric and labels, and what it shows.
fn shown(snapshotter: &Snapshotter) -> BTreeMap<String, f64> {
    let metrics = snapshotter.snapshot().into_vec().into_iter();
    metrics
        .map(|(key, _, _, value)| {
            let labels: Vec<_> = key.key().labels().map(|l| l.value().to_owned()).collect();
            let value = match value {
                #[allow(clippy::cast_precision_loss, reason = "small numbers")]
                DebugValue::Counter(count) => count as f64,
                DebugValue::Gauge(value) => value.into_inner(),
                #[allow(clippy::cast_precision_loss, reason = "small numbers")]
                DebugValue::Histogram(values) => values.len() as f64,
            };
            (format!("{} {}", key.key().name(), labels.join(" ")), value)
        })
        .collect()
}

/// A signer that has no keys, and says so.
#[cfg(feature = "jwt")]
struct NoKeys;

#[cfg(feature = "jwt")]
#[async_trait::async_trait]
impl bulla::Sign for NoKeys {
    async fn public_keys(&self) -> bulla::Result<Vec<bulla::PublicKey>> {
        Ok(Vec::new())
    }

    async fn sign(
        &self,
        _: &bulla::PublicKey,
        _: &bulla::SigningInput<'_>,
    ) -> bulla::Result<bulla::Signature> {
        Err(bulla::Error::new(bulla::ErrorKind::Unsupported, "no key"))
    }
}

#[test]
fn calls_outcomes_bytes_and_the_breaker_are_counted() {
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    metrics::with_local_recorder(&recorder, || {
        runtime.block_on(async {
            let policy = Policy::builder().breaker_threshold(2).max_attempts(1).build().unwrap();
            let vault = Resilient::new(Arc::new(Memory::new("vault")), policy.clone());
            for _ in 0..3 {
                let sealed = vault.seal(&[7; 100_000], &Context::new()).await.unwrap();
                vault.open(&sealed, &Context::new()).await.unwrap();
            }
            let none = EncryptionContext::new();
            let (_, good) = vault.generate_data_key(&none).await.unwrap();
            let bad = Wrapped { blob: vec![0; 104], ..good };
            for _ in 0..5 {
                vault.unwrap_data_key(&bad, &none).await.unwrap_err();
            }
            let off = Resilient::new(Arc::new(Disabled), policy);
            off.health().await.unwrap_err();
            let key = KeyName::new("memory", "x").unwrap();
            let record =
                Wrapped { key, version: None, algorithm: WrapAlgorithm::Native, blob: vec![1] };
            off.unwrap_data_key(&record, &none).await.unwrap_err();
            drop(off.health()); // never polled: no call

            let memory = Arc::new(Memory::new("cached"));
            let policy = CachePolicy::default();
            let sealer = Sealer::builder().recipient(Arc::clone(&memory)).cache(policy);
            let sealer = sealer.build().unwrap();
            let opener = Opener::builder().provider(memory).cache(policy).build();
            for _ in 0..3 {
                let sealed = sealer.seal(b"", &Context::new()).await.unwrap();
                opener.open(&sealed, &Context::new()).await.unwrap();
            }
            #[cfg(feature = "jwt")]
            {
                let keys = bulla::jwt::ProviderKeys::new(&NoKeys);
                for _ in 0..3 {
                    keys.jwk_set().await.unwrap();
                }
            }
        });
    });
    let shown = shown(&snapshotter);
    let expected = [
        ("bulla_calls_total vault generate_data_key ok", 4.0),
        ("bulla_calls_total vault unwrap_data_key ok", 3.0),
        ("bulla_calls_total vault unwrap_data_key not_authentic", 5.0),
        ("bulla_calls_total disabled health disabled", 1.0),
        ("bulla_calls_total disabled unwrap_data_key disabled", 1.0),
        ("bulla_call_seconds vault generate_data_key", 4.0),
        ("bulla_call_seconds vault unwrap_data_key", 8.0),
        ("bulla_call_seconds disabled health", 1.0),
        ("bulla_call_seconds disabled unwrap_data_key", 1.0),
        ("bulla_breaker_state vault", 0.0),
        ("bulla_breaker_state disabled", 0.0),
        ("bulla_data_key_cache_total seal miss", 1.0),
        ("bulla_data_key_cache_total seal hit", 2.0),
        ("bulla_data_key_cache_total open miss", 1.0),
        ("bulla_data_key_cache_total open hit", 2.0),
        ("bulla_plaintext_bytes_total sealed", 300_000.0),
        ("bulla_plaintext_bytes_total opened", 300_000.0),
    ];
    #[cfg(feature = "jwt")]
    let expected = expected
        .into_iter()
        .chain([("bulla_key_cache_total hit", 2.0), ("bulla_key_cache_total miss", 1.0)]);
    for (name, value) in expected {
        assert_eq!(shown.get(name), Some(&value), "{name} in {shown:#?}");
    }
    let table = include_str!("../ARCHITECTURE.md");
    for name in shown.keys() {
        let metric = name.split(' ').next().unwrap();
        assert!(table.contains(&format!("| `{metric}` |")), "{metric} is not documented");
    }
}
