use std::fmt;

use super::{
    endpoint,
    text::{Options, echo, invalid, is_name_byte, is_word, require, split_query, write_options},
};
use crate::error::{Error, Result};

const SCHEME: &str = "awskms";

const REGION_RULE: &str = "1 to 32 of [a-z0-9-]";

/// A key in AWS KMS.
///
/// ```text
/// awskms    = "///" key [ "?" option *( "&" option ) ]
/// key       = resource / key-id / "arn:" PARTITION ":kms:" REGION ":" ACCOUNT ":" resource
/// resource  = "alias/" ALIAS / "key/" key-id       ; "key/" in an ARN only
/// key-id    = UUID / "mrk-" 32HEXDIG
/// option    = "region=" REGION / "profile=" PROFILE / "endpoint=" endpoint
/// endpoint  = ( "https" / "http" ) "://" HOST [ ":" PORT ] *( "/" SEGMENT )
///
/// ALIAS     ; 1 to 250 of [A-Za-z0-9/_-], not beginning with "aws/"
/// PARTITION ; "aws", or "aws-" and up to 28 of [a-z0-9-]
/// REGION    ; 1 to 32 of [a-z0-9-]
/// ACCOUNT   ; 12 digits
/// PROFILE   ; 1 to 64 of [A-Za-z0-9._-]
/// HOST      ; a DNS name, an IPv4 address, or an IPv6 address in brackets
/// SEGMENT   ; 1 or more of [A-Za-z0-9._~-], not "." or ".."
/// ```
///
/// Aliases that begin with `aws/` belong to AWS managed keys, which applications can't use.
/// `region` beside an ARN must be the ARN's and is left out of the canonical form. An `http`
/// endpoint must be a loopback address: KMS returns plaintext data keys. What the URI leaves
/// out comes from the SDK's own configuration.
///
/// ```
/// use bulla::KeyUri;
///
/// let text = "awskms:///arn:aws:kms:eu-west-1:111122223333:alias/orders?profile=prod";
/// let KeyUri::AwsKms(uri) = text.parse()? else { unreachable!() };
/// assert_eq!(uri.key(), "arn:aws:kms:eu-west-1:111122223333:alias/orders");
/// assert_eq!(uri.region(), Some("eu-west-1"));
/// assert!(uri.is_alias());
/// # Ok::<(), bulla::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct AwsKmsUri {
    key: String,
    region: Option<String>,
    profile: Option<String>,
    endpoint: Option<String>,
}

impl AwsKmsUri {
    /// The key as KMS takes it for a `KeyId`: a key id, `alias/…` or an ARN of either.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }

    /// Whether [`key`](Self::key) is an alias, which can be pointed at another key, or its ARN.
    #[must_use]
    pub fn is_alias(&self) -> bool {
        self.key.starts_with("alias/") || self.key.contains(":alias/")
    }

    /// Whether [`key`](Self::key) is an ARN.
    #[must_use]
    pub fn is_arn(&self) -> bool {
        self.key.starts_with("arn:")
    }

    /// The region, be it the option's or the ARN's.
    #[must_use]
    pub fn region(&self) -> Option<&str> {
        self.region.as_deref()
    }

    /// The profile of the SDK's configuration files.
    #[must_use]
    pub fn profile(&self) -> Option<&str> {
        self.profile.as_deref()
    }

    /// The URL to call instead of the region's own, without a slash at its end.
    #[must_use]
    pub fn endpoint(&self) -> Option<&str> {
        self.endpoint.as_deref()
    }

    pub(super) fn parse(rest: &str) -> Result<Self> {
        let (path, query) = split_query(rest);
        let key = path
            .strip_prefix("///")
            .ok_or_else(|| invalid(SCHEME, "the key stands after \"awskms:///\", three slashes"))?;
        let (key, arn_region) = parse_key(key)?;

        let mut options = Options::parse(SCHEME, query, &["region", "profile", "endpoint"])?;
        let option_region = options.take("region");
        if let Some(region) = &option_region {
            require(is_region(region), SCHEME, "region", region, REGION_RULE)?;
        }
        let region = match (option_region, arn_region) {
            (Some(option), Some(arn)) if option != arn => {
                return Err(invalid(
                    SCHEME,
                    format_args!(
                        "option \"region\" is {option:?}, but the ARN's region is {arn:?}"
                    ),
                ));
            }
            (option, arn) => arn.or(option),
        };
        let profile = options.take("profile");
        if let Some(profile) = &profile {
            let ok = is_word(profile, 64, is_name_byte);
            require(ok, SCHEME, "profile", profile, "1 to 64 of [A-Za-z0-9._-]")?;
        }
        let endpoint = options.take("endpoint").map(|url| endpoint::parse(SCHEME, &url));
        Ok(Self { key, region, profile, endpoint: endpoint.transpose()? })
    }

    pub(super) fn write(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "///{}", self.key)?;
        let region = self.region().filter(|_| !self.is_arn());
        let options =
            [("region", region), ("profile", self.profile()), ("endpoint", self.endpoint())];
        write_options(f, &options)
    }
}

/// The key in canonical form, and its region if it is an ARN.
fn parse_key(key: &str) -> Result<(String, Option<String>)> {
    if key.starts_with("arn:") {
        let (arn, region) = parse_arn(key)?;
        return Ok((arn, Some(region)));
    }
    if key.starts_with("alias/") {
        check_alias(key)?;
        return Ok((key.to_owned(), None));
    }
    let id = parse_key_id(key).ok_or_else(|| {
        let kinds =
            "alias/NAME, a key id (a UUID, or \"mrk-\" and 32 hex digits) or an ARN of either";
        bad("key", key, kinds)
    })?;
    Ok((id, None))
}

fn parse_arn(arn: &str) -> Result<(String, String)> {
    let parts: Vec<&str> = arn.split(':').collect();
    let &[_, partition, service, region, account, resource] = parts.as_slice() else {
        let rule = "arn:PARTITION:kms:REGION:ACCOUNT:key/ID or …:alias/NAME";
        return Err(bad("ARN", arn, rule));
    };
    let is_partition = partition
        .strip_prefix("aws")
        .is_some_and(|tail| tail.is_empty() || (tail.starts_with('-') && is_region(partition)));
    require(is_partition, SCHEME, "ARN's partition", partition, "\"aws\", \"aws-cn\" or the like")?;
    require(service == "kms", SCHEME, "ARN's service", service, "\"kms\"")?;
    require(is_region(region), SCHEME, "ARN's region", region, REGION_RULE)?;
    let is_account = account.len() == 12 && account.bytes().all(|b| b.is_ascii_digit());
    require(is_account, SCHEME, "ARN's account", account, "12 digits")?;

    let resource = match resource.strip_prefix("key/") {
        Some(id) => {
            let rule = "a UUID, or \"mrk-\" and 32 hex digits";
            format!("key/{}", parse_key_id(id).ok_or_else(|| bad("ARN's key id", id, rule))?)
        }
        None => {
            let is_alias = resource.starts_with("alias/");
            require(is_alias, SCHEME, "ARN's resource", resource, "key/ID or alias/NAME")?;
            check_alias(resource)?;
            resource.to_owned()
        }
    };
    Ok((format!("arn:{partition}:kms:{region}:{account}:{resource}"), region.to_owned()))
}

fn check_alias(alias: &str) -> Result<()> {
    if alias.starts_with("alias/aws/") {
        return Err(bad("alias", alias, "usable: \"alias/aws/\" is for AWS managed keys"));
    }
    let name = alias.strip_prefix("alias/").unwrap_or_default();
    let ok = is_word(name, 250, |b| b.is_ascii_alphanumeric() || matches!(b, b'/' | b'_' | b'-'));
    require(ok, SCHEME, "alias", alias, "alias/ and 1 to 250 of [A-Za-z0-9/_-]")
}

/// A key id in lower case, as KMS prints it.
fn parse_key_id(id: &str) -> Option<String> {
    let is_hex = |text: &str, len| text.len() == len && text.bytes().all(|b| b.is_ascii_hexdigit());
    let is_id = match id.strip_prefix("mrk-") {
        Some(digits) => is_hex(digits, 32),
        None => {
            let lens = [8, 4, 4, 4, 12];
            id.split('-').count() == lens.len()
                && id.split('-').zip(lens).all(|(part, len)| is_hex(part, len))
        }
    };
    is_id.then(|| id.to_ascii_lowercase())
}

fn is_region(text: &str) -> bool {
    is_word(text, 32, |b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

fn bad(what: &str, text: &str, rule: &str) -> Error {
    invalid(SCHEME, format_args!("the {what} {} is not {rule}", echo(text)))
}
