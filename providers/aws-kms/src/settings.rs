//! What the application says: which keys, and where.

use aws_config::SdkConfig;
use aws_sdk_kms::Config;
use bulla::{Result, SigningAlgorithm, key::AwsKmsUri};

use crate::{endpoint::Endpoint, provider::AwsKms};

/// Binds keys of AWS KMS to an [`AwsKms`] provider.
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct AwsKmsBuilder {
    pub(crate) label: Option<String>,
    pub(crate) sealing_key: Option<String>,
    pub(crate) signing_key: Option<String>,
    pub(crate) any_key: Option<String>,
    pub(crate) also_open: Vec<String>,
    pub(crate) algorithm: Option<SigningAlgorithm>,
    pub(crate) region: Option<String>,
    pub(crate) profile: Option<String>,
    /// Parsed where it was given; what is wrong with it is told by `build`.
    pub(crate) endpoint: Option<Result<Endpoint>>,
    pub(crate) given: Given,
}

/// A configuration that the application has loaded.
#[derive(Clone, Debug, Default)]
pub(crate) enum Given {
    #[default]
    Nothing,
    Sdk(SdkConfig),
    Kms(Config),
}

impl AwsKms {
    /// A provider by the SDK's own configuration: environment, profile files, roles.
    pub fn builder() -> AwsKmsBuilder {
        AwsKmsBuilder::default()
    }
}

impl AwsKmsBuilder {
    /// The name in errors, logs and metrics. `awskms` if none is given.
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = Some(label.into());
        self
    }

    /// The symmetric key that new data is sealed to: a key id, an alias, or an ARN of either. It
    /// may open too.
    pub fn sealing_key(mut self, key: impl Into<String>) -> Self {
        self.sealing_key = Some(key.into());
        self
    }

    /// The asymmetric key that signs.
    pub fn signing_key(mut self, key: impl Into<String>) -> Self {
        self.signing_key = Some(key.into());
        self
    }

    /// One more key: a symmetric one to open with, or an asymmetric one to verify with.
    pub fn also_open(mut self, key: impl Into<String>) -> Self {
        self.also_open.push(key.into());
        self
    }

    /// Key, region, profile and endpoint of a key URI. The key becomes the sealing or the signing
    /// key, whichever it can be.
    pub fn uri(mut self, uri: &AwsKmsUri) -> Self {
        self.any_key = Some(uri.key().to_owned());
        self.region = uri.region().map(str::to_owned).or(self.region);
        self.profile = uri.profile().map(str::to_owned).or(self.profile);
        self.endpoint = Endpoint::of(uri).map(Ok).or(self.endpoint);
        self
    }

    /// The one algorithm that an RSA signing key is used with. Without it, all six are.
    pub fn signing_algorithm(mut self, algorithm: SigningAlgorithm) -> Self {
        self.algorithm = Some(algorithm);
        self
    }

    /// The region. Without it, that of the first key that is given by its ARN, or else what the
    /// SDK finds (`AWS_REGION`, the profile, the instance).
    pub fn region(mut self, region: impl Into<String>) -> Self {
        self.region = Some(region.into());
        self
    }

    /// The profile of the SDK's configuration files.
    pub fn profile(mut self, profile: impl Into<String>) -> Self {
        self.profile = Some(profile.into());
        self
    }

    /// The URL to call instead of the region's own, such as that of a VPC endpoint. `http` for
    /// loopback addresses only: KMS returns data keys in the clear.
    pub fn endpoint(mut self, url: impl Into<String>) -> Self {
        self.endpoint = Some(Endpoint::parse(&url.into()));
        self
    }

    /// Credentials, region and HTTP client of an application that has loaded them already. Retries
    /// and timeouts in it are not used. A [`profile`](Self::profile) can't be given besides.
    pub fn sdk_config(mut self, config: SdkConfig) -> Self {
        self.given = Given::Sdk(config);
        self
    }

    /// The same from a configuration for KMS alone, such as that of a client at hand
    /// (`client.config().clone()`).
    pub fn kms_config(mut self, config: Config) -> Self {
        self.given = Given::Kms(config);
        self
    }
}
