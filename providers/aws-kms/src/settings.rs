//! From what the application says to a provider whose keys were looked at.

use std::{sync::Arc, time::Duration};

use aws_config::{BehaviorVersion, Region, SdkConfig, timeout::TimeoutConfig};
use aws_sdk_kms::config::{Config, StalledStreamProtectionConfig, retry::RetryConfig};
use bulla::{
    Error, ErrorKind, KeyUri, Operation, Result, SigningAlgorithm, key::AwsKmsUri,
    provider::Capabilities,
};

use crate::{
    arn::{KeyArn, SCHEME, canonical},
    bound::Bound,
    client::Kms,
    keys::Keys,
    metadata::Purpose,
    provider::AwsKms,
    seal,
    transmit::Transmit,
};

/// For building a provider, and for those who go without a `Resilient`, whose timeouts are shorter.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(30);

/// Binds keys of AWS KMS to an [`AwsKms`] provider.
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct AwsKmsBuilder {
    label: Option<String>,
    sealing_key: Option<String>,
    signing_key: Option<String>,
    any_key: Option<String>,
    also_open: Vec<String>,
    algorithm: Option<SigningAlgorithm>,
    region: Option<String>,
    profile: Option<String>,
    endpoint: Option<String>,
    given: Given,
}

#[derive(Clone, Debug, Default)]
enum Given {
    #[default]
    Nothing,
    Sdk(SdkConfig),
    Kms(Config),
}

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

/// What a key is bound as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Sealing,
    Signing,
    Either,
    Opening,
}

impl AwsKmsBuilder {
    pub(crate) fn new() -> Self {
        Self::default()
    }

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
        self.endpoint = uri.endpoint().map(str::to_owned).or(self.endpoint);
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
        self.endpoint = Some(url.into());
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
        self.prepare(&label).await?.ask().await
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

    /// The keys in their canonical spelling, sealing key and signing key first.
    fn wanted(&self) -> Result<Vec<(String, Role)>> {
        let main = [
            (&self.sealing_key, Role::Sealing),
            (&self.signing_key, Role::Signing),
            (&self.any_key, Role::Either),
        ];
        let main = main.into_iter().filter_map(|(key, role)| Some((key.as_ref()?, role)));
        let wanted = main.chain(self.also_open.iter().map(|key| (key, Role::Opening)));
        let wanted = wanted.map(|(key, role)| Ok((canonical(key)?, role)));
        let wanted: Vec<_> = wanted.collect::<Result<_>>()?;
        if wanted.is_empty() {
            return Err(Error::new(
                ErrorKind::InvalidInput,
                "no key is bound; give a sealing key, a signing key, or keys to open",
            ));
        }
        Ok(wanted)
    }

    async fn config(self, wanted: &[(String, Role)]) -> Result<Config> {
        let endpoint = self.endpoint.as_deref().map(check_endpoint).transpose()?;
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
        if let Some(endpoint) = endpoint {
            config = config.endpoint_url(endpoint);
        }
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .operation_attempt_timeout(ATTEMPT_TIMEOUT);
        // Retries are for the wrapper, which counts them: here they would multiply.
        Ok(config
            .retry_config(RetryConfig::disabled())
            .timeout_config(timeouts.build())
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
            .interceptor(Transmit::default())
            .build())
    }
}

impl Prepared {
    /// Asks KMS for every key.
    pub(crate) async fn ask(&self) -> Result<AwsKms> {
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
            add(&mut keys, bound, *role)?;
        }
        Ok(keys)
    }

    /// The provider with these keys.
    pub(crate) fn with(&self, keys: Keys) -> Result<AwsKms> {
        let capabilities = capabilities(&keys, self.algorithm)?;
        Ok(AwsKms::new(Arc::clone(&self.label), capabilities, keys, self.kms.clone()))
    }
}

/// By the rules of key URIs.
pub(crate) fn check_endpoint(url: &str) -> Result<String> {
    let uri = format!("{SCHEME}:///alias/x?endpoint={url}").parse()?;
    match uri {
        KeyUri::AwsKms(uri) if !url.contains('&') => {
            Ok(uri.endpoint().unwrap_or_default().to_owned())
        }
        _ => Err(Error::new(ErrorKind::InvalidInput, "the endpoint is not a plain URL")),
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

/// Takes a key up in its role. A key that is there already, under whatever name, is the same one.
fn add(keys: &mut Keys, new: Bound, role: Role) -> Result<()> {
    let seals = new.purpose == Purpose::Seal;
    let wrong = match role {
        Role::Sealing if !seals => Some("signs; bind it with `signing_key`"),
        Role::Signing if seals => Some("seals; bind it with `sealing_key`"),
        _ => None,
    };
    if let Some(wrong) = wrong {
        let message = format!("key {} {wrong}", new.arn.as_str());
        return Err(Error::new(ErrorKind::Unsupported, message));
    }
    let place = keys.all.iter().position(|known| known.arn.is_same_key(&new.arn));
    let bound = match place.and_then(|place| keys.all.get_mut(place)) {
        Some(known) => {
            // Not shared yet, unless it has a role: then its alias is shown no more.
            if let Some(known) = Arc::get_mut(known) {
                known.aliases.extend(new.aliases);
            }
            Arc::clone(known)
        }
        None => {
            let bound = Arc::new(new);
            keys.all.push(Arc::clone(&bound));
            bound
        }
    };
    let place = match role {
        Role::Sealing => &mut keys.sealing,
        Role::Signing => &mut keys.signing,
        Role::Either if seals => &mut keys.sealing,
        Role::Either => &mut keys.signing,
        Role::Opening => return Ok(()),
    };
    match place.replace(Arc::clone(&bound)) {
        Some(other) if !Arc::ptr_eq(&other, &bound) => Err(Error::new(
            ErrorKind::InvalidInput,
            format!(
                "{} and {} can't both be the key to {}; bind one of them with `also_open`",
                other.name,
                bound.name,
                if seals { "seal with" } else { "sign with" }
            ),
        )),
        _ => Ok(()),
    }
}

fn capabilities(keys: &Keys, pinned: Option<SigningAlgorithm>) -> Result<Capabilities> {
    let opens = keys.all.iter().any(|bound| bound.purpose == Purpose::Seal);
    let mut capabilities = if opens { seal::capabilities() } else { Capabilities::none() };
    if let Some(Purpose::Sign(pair)) = keys.signing.as_ref().map(|bound| bound.purpose) {
        let all = pair.algorithms();
        capabilities.signing = match pinned {
            None => all.to_vec(),
            Some(one) if all.contains(&one) => vec![one],
            Some(one) => {
                let message = format!("the signing key can't do {one}");
                return Err(Error::new(ErrorKind::InvalidInput, message));
            }
        };
    }
    Ok(capabilities)
}
