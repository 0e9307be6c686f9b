//! From what the application said to a provider whose keys were looked at.

use std::{sync::Arc, time::Duration};

use aws_config::{BehaviorVersion, Region, timeout::TimeoutConfig};
use aws_sdk_kms::config::{Config, StalledStreamProtectionConfig, retry::RetryConfig};
use bulla::{Error, ErrorKind, Operation, Result, SigningAlgorithm, provider::Role};

use crate::{
    arn::{KeyArn, SCHEME},
    bound::{Bound, Keys},
    capabilities,
    client::Kms,
    plain_http::NoPlainHttp,
    provider::AwsKms,
    settings::{AwsKmsBuilder, Given},
};

/// For building a provider, and for those who go without a `Resilient`, whose timeouts are shorter.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(30);

/// All that is needed to ask for the keys. Nothing was asked yet.
#[derive(Debug)]
pub(crate) struct Prepared {
    pub(crate) label: Arc<str>,
    pub(crate) region: String,
    /// The keys in their canonical spelling, sealing key and signing key first.
    pub(crate) wanted: Vec<(String, Role)>,
    algorithm: Option<SigningAlgorithm>,
    kms: Kms,
}

impl AwsKmsBuilder {
    /// Asks KMS for every key, one DescribeKey each.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] if no key is bound, or one is not well-formed or of another
    /// region; [`ErrorKind::Unsupported`] for a key of the wrong kind or usage for its role;
    /// [`ErrorKind::NotFound`], [`ErrorKind::Disabled`], [`ErrorKind::PendingDeletion`] or
    /// [`ErrorKind::Unavailable`] for the state of a key; [`ErrorKind::Denied`], with the
    /// permission to grant, or if there are no credentials; otherwise why KMS could not be asked.
    pub async fn build(self) -> Result<AwsKms> {
        let label: Arc<str> = self.label.as_deref().unwrap_or(SCHEME).into();
        self.prepare(&label).await?.connect().await
    }

    /// Checks what was given and finds configuration and region.
    pub(crate) async fn prepare(self, label: &str) -> Result<Prepared> {
        let label: Arc<str> = self.label.as_deref().unwrap_or(label).into();
        let prepared = self.find_out(Arc::clone(&label)).await;
        prepared.map_err(|e| e.with_provider(label).with_operation(Operation::Build))
    }

    async fn find_out(self, label: Arc<str>) -> Result<Prepared> {
        let wanted = self.wanted()?;
        let algorithm = self.algorithm;
        let config = self.config(&wanted).await?;
        let region = config.region().map(|region| region.as_ref().to_owned()).ok_or_else(|| {
            let message = "no AWS region is known; give one, give the key's ARN, or set AWS_REGION";
            Error::new(ErrorKind::InvalidInput, message)
        })?;
        Ok(Prepared { label, region, wanted, algorithm, kms: Kms::new(config) })
    }

    async fn config(self, wanted: &[(String, Role)]) -> Result<Config> {
        let endpoint = self.endpoint.transpose()?;
        if let (Some(profile), Given::Sdk(_) | Given::Kms(_)) = (&self.profile, &self.given) {
            return Err(Error::new(
                ErrorKind::InvalidInput,
                format!("profile {profile:?} is not for a configuration that is loaded already"),
            ));
        }
        let region = self.region.or_else(|| {
            let mut arns = wanted.iter().filter(|(key, _)| key.starts_with("arn:"));
            arns.find_map(|(arn, _)| arn.split(':').nth(3).map(str::to_owned))
        });
        let mut config = match self.given {
            Given::Kms(config) => config.to_builder(),
            Given::Sdk(config) => (&config).into(),
            Given::Nothing => {
                let mut loader = aws_config::defaults(BehaviorVersion::latest());
                if let Some(profile) = self.profile {
                    loader = loader.profile_name(profile);
                }
                if let Some(region) = region.clone() {
                    loader = loader.region(Region::new(region));
                }
                (&loader.load().await).into()
            }
        };
        if let Some(region) = region {
            config = config.region(Region::new(region));
        }
        if let Some(endpoint) = &endpoint {
            config = config.endpoint_url(endpoint.as_str());
        }
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .operation_attempt_timeout(ATTEMPT_TIMEOUT);
        // Retries are for the wrapper, which counts them: here they would multiply.
        Ok(config
            .retry_config(RetryConfig::disabled())
            .timeout_config(timeouts.build())
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
            .interceptor(NoPlainHttp::but_for(endpoint.as_ref()))
            .build())
    }
}

impl Prepared {
    /// Asks KMS for every key.
    pub(crate) async fn connect(&self) -> Result<AwsKms> {
        let bound = self.ask_for_all().await.and_then(|keys| self.with(keys));
        bound.map_err(|e| e.with_provider(Arc::clone(&self.label)).with_operation(Operation::Build))
    }

    async fn ask_for_all(&self) -> Result<Keys> {
        let mut keys = Keys::default();
        for (key, role) in &self.wanted {
            let here = in_region(key, &self.region)?;
            let described = self.kms.describe(&here).await;
            let mut bound = Bound::new(described.map_err(|error| explain(error, key))?)?;
            if key.contains("alias/") {
                bound.aliases.push(key.clone());
            }
            keys.add(bound, *role)?;
        }
        Ok(keys)
    }

    /// The provider with these keys.
    pub(crate) fn with(&self, keys: Keys) -> Result<AwsKms> {
        let capabilities = capabilities::of(&keys, self.algorithm)?;
        Ok(AwsKms::new(Arc::clone(&self.label), capabilities, keys, self.kms.clone()))
    }
}

/// What to ask this region for: a multi-Region key has a replica in each.
fn in_region(key: &str, region: &str) -> Result<String> {
    let of_arn = key.strip_prefix("arn:").and_then(|rest| rest.split(':').nth(2));
    if of_arn.is_none_or(|own| own == region) {
        return Ok(key.to_owned());
    }
    match KeyArn::parse(key).filter(KeyArn::is_multi_region) {
        Some(arn) => Ok(arn.in_region(region)),
        None => Err(Error::new(
            ErrorKind::InvalidInput,
            format!("key {key} is in another region than this provider, which is in {region}"),
        )),
    }
}

/// Says more of what is found out first when a provider is built.
fn explain(error: Error, key: &str) -> Error {
    let more = match error.kind() {
        ErrorKind::NotFound if key.contains("mrk-") => {
            "; a multi-Region key must be replicated to this region first"
        }
        ErrorKind::NotFound => "; check id, alias, region and account",
        _ => return error,
    };
    let (kind, message) = (error.kind(), format!("{}{more}", error.message()));
    error.told_as(kind, message)
}
