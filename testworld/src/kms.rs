//! Keys on the emulators of AWS KMS, and the way to them.

use aws_sdk_kms::{
    Client, Config,
    config::{BehaviorVersion, Credentials, Region},
    types::{KeySpec, KeyUsageType},
};

/// The region of keys, where a test needs one.
pub const REGION: &str = "eu-west-1";

/// The region of their replicas.
pub const OTHER_REGION: &str = "us-east-2";

/// A client of its own for what tests do to keys.
#[must_use]
pub fn client(url: &str, region: &'static str) -> Client {
    Client::from_conf(config(url, region, "test", "test"))
}

/// A configuration for the server at this URL, under this access key.
#[must_use]
pub fn config(url: &str, region: &'static str, id: &str, secret: &str) -> Config {
    Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(region))
        .endpoint_url(url)
        .credentials_provider(Credentials::new(id, secret, None, None, "test"))
        .build()
}

/// The ARN of a new key that seals, in [`REGION`].
pub async fn symmetric(url: &str) -> String {
    make(&client(url, REGION), KeySpec::SymmetricDefault, false).await
}

/// The ARN of a new key that signs, in [`REGION`].
pub async fn pair(url: &str, spec: KeySpec) -> String {
    make(&client(url, REGION), spec, false).await
}

/// The ARN of a new key.
pub async fn make(client: &Client, spec: KeySpec, multi_region: bool) -> String {
    let usage = match spec {
        KeySpec::SymmetricDefault => KeyUsageType::EncryptDecrypt,
        _ => KeyUsageType::SignVerify,
    };
    let call = client.create_key().key_spec(spec).key_usage(usage).multi_region(multi_region);
    call.send().await.unwrap().key_metadata.unwrap().arn.unwrap()
}
