//! JWT-SVIDs and bundles: issued, published, verified.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "helpers of tests are tests too"
)]

mod bundles;
mod go_spiffe;
mod issuing;
mod kms;
mod publishing;
mod rings;

use std::{sync::Arc, time::Duration};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use bulla::{
    Sign as _, SigningAlgorithm, SigningInput,
    jwt::{Jwk, JwkSet, ProviderKeys},
};
use bulla_local::{KeyType, Local, Protection, Store};
use bulla_spiffe::{Bundle, BundleSet, trust_domain};
use serde_json::Value;
use tempfile::TempDir;

/// A key that signs, and whatever it is told to.
struct Key {
    _dir: TempDir,
    local: Arc<Local>,
    algorithm: SigningAlgorithm,
}

impl Key {
    fn new(kind: KeyType) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::at(dir.path().join("bulla"));
        store.create_key("id", kind, &Protection::None).unwrap();
        let local = Arc::new(Local::builder(store).signing_key("id").build().unwrap());
        Self { _dir: dir, local, algorithm: kind.signing_algorithms()[0] }
    }

    async fn jwk(&self, kid: &str) -> Jwk {
        let keys = self.local.public_keys().await.unwrap();
        Jwk::from_spki(&keys[0].spki).unwrap().with_kid(kid)
    }

    fn provider_keys(&self) -> Arc<ProviderKeys<Arc<Local>>> {
        Arc::new(ProviderKeys::new(Arc::clone(&self.local)))
    }

    /// A token of these two, as they are.
    async fn forge(&self, header: &Value, claims: &Value) -> String {
        let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", encode(header), encode(claims));
        let keys = self.local.public_keys().await.unwrap();
        let input = SigningInput::new(self.algorithm, signed.as_bytes());
        let signature = self.local.sign(&keys[0], &input).await.unwrap();
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature.as_bytes()))
    }
}

/// The bundles of one trust domain, with these keys.
fn bundles_of(domain: &str, keys: impl IntoIterator<Item = Jwk>) -> BundleSet {
    let bundles = BundleSet::new();
    let keys = JwkSet::new(keys).unwrap();
    let bundle = Bundle::new(trust_domain(domain).unwrap());
    bundles.insert(bundle.with_jwt_authorities(&keys).unwrap());
    bundles
}

const fn minutes(n: u64) -> Duration {
    Duration::from_secs(n * 60)
}

/// A part of a token, decoded.
fn part(token: &str, at: usize) -> Value {
    let text = token.split('.').nth(at).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(text).unwrap()).unwrap()
}
