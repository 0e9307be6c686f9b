//! Providers of keys on a Cloud KMS by the book.

use std::time::Duration;

use bulla::{
    EncryptionContext,
    resilience::{Policy, PolicyBuilder},
};
use bulla_gcp_kms::{GcpKms, GcpKmsBuilder};
use bulla_testworld::CloudKms;
use google_cloud_auth::{
    credentials::{CacheableResource, Credentials, CredentialsProvider, EntityTag},
    errors::CredentialsError,
};
use http::{Extensions, HeaderMap, HeaderValue, header::AUTHORIZATION};

/// Credentials that are one token.
#[derive(Debug)]
struct Token(String);

impl CredentialsProvider for Token {
    async fn headers(
        &self,
        _: Extensions,
    ) -> Result<CacheableResource<HeaderMap>, CredentialsError> {
        let value = HeaderValue::from_str(&format!("Bearer {}", self.0)).unwrap();
        let data = HeaderMap::from_iter([(AUTHORIZATION, value)]);
        Ok(CacheableResource::New { entity_tag: EntityTag::new(), data })
    }

    async fn universe_domain(&self) -> Option<String> {
        None
    }
}

pub(crate) fn token(token: &str) -> Credentials {
    Credentials::from(Token(token.to_owned()))
}

/// A builder for whoever may do everything.
pub(crate) fn builder(kms: &CloudKms) -> GcpKmsBuilder {
    GcpKms::builder().endpoint(kms.url()).credentials(token(CloudKms::OWNER))
}

pub(crate) fn context() -> EncryptionContext {
    EncryptionContext::from_pairs([("tenant", "acme")]).unwrap()
}

/// Fast enough for tests.
pub(crate) fn quick() -> PolicyBuilder {
    Policy::builder()
        .attempt_timeout(Duration::from_millis(1500))
        .deadline(Duration::from_secs(20))
        .max_attempts(4)
        .backoff(Duration::from_millis(1), Duration::from_millis(10))
}
