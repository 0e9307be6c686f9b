//! Keys of the registry that are in AWS KMS.

use std::sync::Arc;

use async_trait::async_trait;
use bulla::{Error, ErrorKind, KeyUri, Result, SharedProvider, registry::Connect};

use crate::provider::AwsKms;

/// Connects to `awskms:` URIs for a [`Registry`](bulla::Registry), by the SDK's own configuration and
/// what the URI adds to it.
///
/// ```
/// use std::sync::Arc;
/// use bulla_aws_kms::AwsKmsScheme;
///
/// let registry = bulla::Registry::builder().scheme("awskms", Arc::new(AwsKmsScheme)).build();
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct AwsKmsScheme;

#[async_trait]
impl Connect for AwsKmsScheme {
    async fn connect(&self, uri: &KeyUri, name: &str) -> Result<SharedProvider> {
        let KeyUri::AwsKms(uri) = uri else {
            return Err(Error::new(ErrorKind::InvalidInput, "this is no key of AWS KMS"));
        };
        Ok(Arc::new(AwsKms::builder().label(name).uri(uri).build().await?))
    }
}
