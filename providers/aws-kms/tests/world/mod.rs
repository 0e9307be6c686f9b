//! Providers over keys on the emulators.

use std::{collections::HashMap, time::Duration};

use bulla::{
    CryptoProvider, EncryptionContext,
    resilience::{Policy, PolicyBuilder},
};
use bulla_aws_kms::{AwsKms, AwsKmsBuilder};
#[allow(unused_imports, reason = "each test needs a part of it")]
pub(crate) use bulla_testworld::kms::{
    OTHER_REGION, REGION, client, config, make, pair, symmetric,
};

pub(crate) fn builder(url: &str) -> AwsKmsBuilder {
    AwsKms::builder().kms_config(config(url, REGION, "test", "test"))
}

pub(crate) async fn provider(url: &str, key: &str) -> AwsKms {
    builder(url).sealing_key(key).build().await.unwrap()
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
