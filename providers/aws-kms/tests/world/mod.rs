//! Keys on the emulators, and providers over them.

use std::{collections::HashMap, time::Duration};

use aws_sdk_kms::{
    Client, Config,
    config::{BehaviorVersion, Credentials, Region},
    types::{KeySpec, KeyUsageType},
};
use bulla::{
    CryptoProvider, EncryptionContext,
    resilience::{Policy, PolicyBuilder},
};
use bulla_aws_kms::{AwsKms, AwsKmsBuilder};

pub(crate) const REGION: &str = "eu-west-1";
pub(crate) const OTHER_REGION: &str = "us-east-2";

/// A client of its own for what tests do to keys.
pub(crate) fn client(url: &str, region: &'static str) -> Client {
    Client::from_conf(config(url, region, "test", "test"))
}

pub(crate) fn config(url: &str, region: &'static str, id: &str, secret: &str) -> Config {
    Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(region))
        .endpoint_url(url)
        .credentials_provider(Credentials::new(id, secret, None, None, "test"))
        .build()
}

pub(crate) fn builder(url: &str) -> AwsKmsBuilder {
    AwsKms::builder().kms_config(config(url, REGION, "test", "test"))
}

pub(crate) async fn provider(url: &str, key: &str) -> AwsKms {
    builder(url).sealing_key(key).build().await.unwrap()
}

/// The ARN of a new key that seals.
pub(crate) async fn symmetric(url: &str) -> String {
    make(&client(url, REGION), KeySpec::SymmetricDefault, false).await
}

/// The ARN of a new key that signs.
pub(crate) async fn pair(url: &str, spec: KeySpec) -> String {
    make(&client(url, REGION), spec, false).await
}

/// The ARN of a new key.
pub(crate) async fn make(client: &Client, spec: KeySpec, multi_region: bool) -> String {
    let usage = match spec {
        KeySpec::SymmetricDefault => KeyUsageType::EncryptDecrypt,
        _ => KeyUsageType::SignVerify,
    };
    let call = client.create_key().key_spec(spec).key_usage(usage).multi_region(multi_region);
    call.send().await.unwrap().key_metadata.unwrap().arn.unwrap()
}

pub(crate) fn context(pairs: &[(&str, &str)]) -> EncryptionContext {
    EncryptionContext::from_pairs(pairs.iter().copied()).unwrap()
}

/// Fast enough for tests.
pub(crate) fn quick() -> PolicyBuilder {
    Policy::builder()
        .attempt_timeout(Duration::from_millis(500))
        .deadline(Duration::from_secs(5))
        .max_attempts(4)
        .backoff(Duration::from_millis(1), Duration::from_millis(10))
}

pub(crate) fn debug(provider: &dyn CryptoProvider) -> String {
    format!("{provider:?}")
}

pub(crate) fn map(pairs: &[(&str, &str)]) -> HashMap<String, String> {
    pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
}
