//! The conformance suite, on keys in a store.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    reason = "helpers of tests are tests too"
)]

use std::sync::Arc;

use bulla::CryptoProvider;
use bulla_conformance::{
    CASES, Env,
    alloc_counter::{self, AllocCounter},
    run, unjudged,
};
use bulla_local::{KeyType, Local, Protection, Store};

#[global_allocator]
static ALLOCATOR: AllocCounter = alloc_counter::COUNTER;

fn provider(store: &Store, name: &str) -> Arc<dyn CryptoProvider> {
    store.create_key(name, KeyType::Aes256, &Protection::None).unwrap();
    Arc::new(Local::builder(store.clone()).sealing_key(name).build().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn conforms() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::at(dir.path().join("store"));
    let env = Env::new(provider(&store, "one"), provider(&store, "two"));
    let report = run(&env.allocated(alloc_counter::allocated)).await;
    report.assert_passed();
    assert_eq!(report.passed().count(), CASES.len());
    assert!(unjudged(&[report]).is_empty());
}
