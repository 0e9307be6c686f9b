//! The metrics are those of the table in ARCHITECTURE.md, and they count right.

use std::collections::BTreeMap;

use bulla_oidc::RemoteKeys;
use metrics_util::debugging::{DebugValue, DebuggingRecorder};

use crate::world::{HOUR, Issuer, Reply, Server, Time, expected, unknown};

#[test]
fn uses_and_fetches_are_counted() {
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    metrics::with_local_recorder(&recorder, || {
        runtime.block_on(async {
            let (issuer, server, time) = (Issuer::new(), Server::new().await, Time::new());
            let set = issuer.set().await.to_json();
            server.reply("/keys", Reply::json(set).with("etag", "\"a\""));
            let builder = RemoteKeys::jwks(server.url("/keys")).label("id");
            let keys = time.give(builder).build().unwrap();
            let verifier = expected().build().unwrap();
            let token = issuer.token().await;
            let verify = async |token: &str| {
                drop(verifier.verify::<serde_json::Value>(token, &keys).await);
            };
            verify(&token).await; // fetched
            verify(&token).await; // hit
            verify(&unknown("x")).await; // fetched, not modified
            verify(&unknown("x")).await; // unknown
            server.reply("/keys", Reply::status(503));
            time.advance(HOUR);
            verify(&token).await; // stale
            time.advance(5 * HOUR);
            verify(&token).await; // failed
        });
    });
    let shown: BTreeMap<String, u64> = snapshotter
        .snapshot()
        .into_vec()
        .into_iter()
        .filter_map(|(key, _, _, value)| {
            let labels: Vec<_> = key.key().labels().map(|label| label.value()).collect();
            match value {
                DebugValue::Counter(count) => {
                    Some((format!("{} {}", key.key().name(), labels.join(" ")), count))
                }
                _ => None,
            }
        })
        .collect();
    for (name, count) in [
        ("bulla_issuer_keys_total id hit", 1),
        ("bulla_issuer_keys_total id fetched", 2),
        ("bulla_issuer_keys_total id unknown", 1),
        ("bulla_issuer_keys_total id stale", 1),
        ("bulla_issuer_keys_total id failed", 1),
        ("bulla_issuer_fetches_total id jwks ok", 1),
        ("bulla_issuer_fetches_total id jwks not_modified", 1),
        ("bulla_issuer_fetches_total id jwks unavailable", 2),
    ] {
        assert_eq!(shown.get(name), Some(&count), "{name} in {shown:#?}");
    }
    let table = include_str!("../../../../ARCHITECTURE.md");
    for name in shown.keys().filter(|name| name.starts_with("bulla_issuer")) {
        let metric = name.split(' ').next().unwrap();
        assert!(table.contains(&format!("| `{metric}` |")), "{metric} is not documented");
    }
}
