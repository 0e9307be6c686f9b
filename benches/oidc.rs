//! Verifying with the keys of an issuer, fetched and kept, beside the same keys at hand.
#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a benchmark")]

use std::{
    io::{Read, Write},
    net::TcpListener,
    sync::Arc,
    thread,
};

use bulla::jwt::{Claims, JwkSet, KeySource, ProviderKeys, Verifier};
use bulla_local::{KeyType, Local, Protection, Store};
use bulla_oidc::RemoteKeys;
use divan::{Bencher, black_box};
use tokio::runtime::{Builder, Runtime};

fn main() {
    divan::main();
}

const KEY_TYPES: [KeyType; 3] = [KeyType::Rsa2048, KeyType::P256, KeyType::Ed25519];

struct World {
    _dir: tempfile::TempDir,
    runtime: Runtime,
    token: String,
    at_hand: Arc<JwkSet>,
    remote: RemoteKeys,
    verifier: Verifier,
}

impl World {
    fn new(key_type: KeyType) -> Self {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let dir = tempfile::tempdir().unwrap();
        let store = Store::at(dir.path().join("store"));
        store.create_key("k", key_type, &Protection::None).unwrap();
        let vault = Local::builder(store).signing_key("k").build().unwrap();
        let algorithm = *key_type.signing_algorithms().first().unwrap();
        let keys = Arc::new(ProviderKeys::builder(Arc::new(vault)).algorithm(algorithm).build());
        let claims =
            Claims::new().unwrap().with_issuer("https://id.example").with_audience("orders");
        let (token, at_hand) = runtime.block_on(async {
            let token = bulla::jwt::Signer::new(Arc::clone(&keys)).sign(&claims).await.unwrap();
            (token, keys.jwk_set().await.unwrap())
        });
        let remote = RemoteKeys::jwks(serve(at_hand.to_json())).build().unwrap();
        runtime.block_on(remote.refresh()).unwrap();
        let rules = Verifier::builder().issuer("https://id.example").audience("orders").typ("JWT");
        Self { _dir: dir, runtime, token, at_hand, remote, verifier: rules.build().unwrap() }
    }

    fn verify(&self, keys: &impl KeySource) {
        let verified = self.verifier.verify::<Claims>(black_box(&self.token), keys);
        self.runtime.block_on(verified).unwrap();
    }
}

/// Answers one request with this set.
fn serve(set: String) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/keys", listener.local_addr().unwrap());
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let _ = stream.read(&mut [0; 4096]).unwrap();
        let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", set.len());
        stream.write_all((head + &set).as_bytes()).unwrap();
    });
    url
}

#[divan::bench(args = KEY_TYPES, sample_count = 500)]
fn verify_at_hand(bencher: Bencher<'_, '_>, key_type: KeyType) {
    let world = World::new(key_type);
    bencher.bench_local(|| world.verify(&world.at_hand));
}

#[divan::bench(args = KEY_TYPES, sample_count = 500)]
fn verify_remote(bencher: Bencher<'_, '_>, key_type: KeyType) {
    let world = World::new(key_type);
    bencher.bench_local(|| world.verify(&world.remote));
}

#[divan::bench(sample_count = 500)]
fn keys_at_hand(bencher: Bencher<'_, '_>) {
    let world = World::new(KeyType::P256);
    bencher.bench_local(|| world.runtime.block_on(world.at_hand.keys(black_box(None))).unwrap());
}

#[divan::bench(sample_count = 500)]
fn keys_remote(bencher: Bencher<'_, '_>) {
    let world = World::new(KeyType::P256);
    bencher.bench_local(|| world.runtime.block_on(world.remote.keys(black_box(None))).unwrap());
}
