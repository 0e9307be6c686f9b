//! What a call through `bulla-gcp-kms` takes beside the same call by a bare SDK client: wrapping and unwrapping a
//! data key, and signing, by 1, 8 and 64 callers at once. The bare client has checksums too, as Google asks of
//! everybody, and looks at those that it gets.
//!
//! Both ask the same server: `cloudkms`, which the lane `gcp` builds at `target/testworld/gcp/bin`, and which
//! `BULLA_GCP_BIN` names. Rounds of the two take turns, so that whatever else the machine does meets both.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a benchmark stops where it can't go on, and prints"
)]

#[path = "turns.rs"]
mod turns;

use std::{sync::Arc, time::Duration};

use bulla::{EncryptionContext, SigningAlgorithm, SigningInput, provider::KeyUse};
use bulla_gcp_kms::GcpKms;
use bulla_testworld::CloudKms;
use bytes::Bytes;
use crc32c::crc32c;
use google_cloud_auth::{
    credentials::{CacheableResource, Credentials, CredentialsProvider, EntityTag},
    errors::CredentialsError,
};
use google_cloud_gax::retry_policy::NeverRetry;
use google_cloud_kms_v1::{
    client::KeyManagementService,
    model::{Digest, digest},
};
use http::{Extensions, HeaderMap, HeaderValue, header::AUTHORIZATION};
use turns::{Bare, Call, MESSAGE, Ours};

/// Credentials that are one token.
#[derive(Debug)]
struct Owner;

impl CredentialsProvider for Owner {
    async fn headers(
        &self,
        _: Extensions,
    ) -> Result<CacheableResource<HeaderMap>, CredentialsError> {
        let value = HeaderValue::from_static("Bearer owner");
        let data = HeaderMap::from_iter([(AUTHORIZATION, value)]);
        Ok(CacheableResource::New { entity_tag: EntityTag::new(), data })
    }

    async fn universe_domain(&self) -> Option<String> {
        None
    }
}

fn main() {
    // `cargo test --benches` only wants to know that it starts.
    if !std::env::args().any(|arg| arg == "--bench") {
        return;
    }
    let Some(kms) = CloudKms::start() else { return };
    let threads = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    threads.block_on(measure(&kms));
}

struct World {
    bare: KeyManagementService,
    ours: Arc<Ours>,
    seals: String,
    version: String,
    aad: Bytes,
    digest: Bytes,
}

async fn measure(kms: &CloudKms) {
    let seals = kms.sealing_key("seal");
    let signs = kms.signing_key("sign", "EC_SIGN_P256_SHA256");
    let ours = GcpKms::builder().endpoint(kms.url()).credentials(Credentials::from(Owner));
    let ours = ours.sealing_key(&seals).signing_key(&signs).build().await.unwrap();
    let ours = Ours::new(ours).await;
    let bare = KeyManagementService::builder()
        .with_endpoint(kms.url())
        .with_credentials(Credentials::from(Owner))
        .with_retry_policy(NeverRetry)
        // As those who use it would: a request that never ends is no good.
        .with_attempt_timeout(Duration::from_secs(5))
        .build()
        .await
        .unwrap();
    let input = SigningInput::new(SigningAlgorithm::Es256, MESSAGE);
    let digest = Bytes::copy_from_slice(input.digest().unwrap());
    let aad = Bytes::from(KeyUse::DataKey.aad(&EncryptionContext::new()));
    let version = format!("{signs}/cryptoKeyVersions/1");
    let world = World { bare, ours: Arc::clone(&ours), seals, version, aad, digest };
    turns::compare(&ours, world).await;
}

fn crc(bytes: &[u8]) -> i64 {
    i64::from(crc32c(bytes))
}

impl Bare for World {
    async fn call(&self, call: Call) {
        match call {
            Call::Wrap => {
                let plain = Bytes::copy_from_slice(self.ours.key.expose());
                let call = self.bare.encrypt().set_name(&self.seals);
                let call = call.set_plaintext_crc32c(crc(&plain)).set_plaintext(plain);
                let call = call.set_additional_authenticated_data_crc32c(crc(&self.aad));
                let call = call.set_additional_authenticated_data(self.aad.clone());
                let answer = call.send().await.unwrap();
                assert_eq!(answer.ciphertext_crc32c, Some(crc(&answer.ciphertext)));
            }
            Call::Unwrap => {
                let blob = Bytes::copy_from_slice(&self.ours.wrapped.blob);
                let call = self.bare.decrypt().set_name(&self.seals);
                let call = call.set_ciphertext_crc32c(crc(&blob)).set_ciphertext(blob);
                let call = call.set_additional_authenticated_data_crc32c(crc(&self.aad));
                let call = call.set_additional_authenticated_data(self.aad.clone());
                let answer = call.send().await.unwrap();
                assert_eq!(answer.plaintext_crc32c, Some(crc(&answer.plaintext)));
            }
            Call::Sign => {
                let input = SigningInput::new(SigningAlgorithm::Es256, MESSAGE);
                let bytes = Bytes::copy_from_slice(input.digest().unwrap());
                assert_eq!(bytes, self.digest);
                let digest = Digest::new().set_digest(digest::Digest::Sha256(bytes));
                let call = self.bare.asymmetric_sign().set_name(&self.version);
                let call = call.set_digest_crc32c(crc(&self.digest)).set_digest(digest);
                let answer = call.send().await.unwrap();
                assert_eq!(answer.signature_crc32c, Some(crc(&answer.signature)));
            }
        }
    }
}
