//! Keys of the registry that are in Google Cloud KMS.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use bulla::{Error, ErrorKind, KeyUri, Result, SharedProvider, registry::Connect};

use crate::{credentials::Renewing, settings::GcpKmsBuilder};

/// Connects to `gcpkms:` URIs for a [`Registry`](bulla::Registry): by Application Default Credentials, or by a
/// builder that has more to say. All keys share one token.
///
/// ```
/// use std::sync::Arc;
/// use bulla_gcp_kms::GcpKmsScheme;
///
/// let registry =
///     bulla::Registry::builder().scheme("gcpkms", Arc::new(GcpKmsScheme::default())).build();
/// ```
#[derive(Clone, Debug, Default)]
pub struct GcpKmsScheme {
    builder: GcpKmsBuilder,
    credentials: Arc<Mutex<Option<Renewing>>>,
}

impl GcpKmsScheme {
    /// By a builder without keys, with credentials, endpoint and the like.
    #[must_use]
    pub fn new(builder: GcpKmsBuilder) -> Self {
        Self { builder, credentials: Arc::default() }
    }

    fn credentials(&self) -> Result<Renewing> {
        let mut shared = self.credentials.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(credentials) = &*shared {
            return Ok(credentials.clone());
        }
        let made = Renewing::new(self.builder.origin.clone())?;
        Ok(shared.insert(made).clone())
    }
}

#[async_trait]
impl Connect for GcpKmsScheme {
    async fn connect(&self, uri: &KeyUri, name: &str) -> Result<SharedProvider> {
        let KeyUri::GcpKms(uri) = uri else {
            return Err(Error::new(ErrorKind::InvalidInput, "this is no key of Google Cloud KMS"));
        };
        let mut builder = self.builder.clone().label(name).uri(uri);
        let credentials = self.credentials();
        builder.shared = Some(credentials.map_err(|error| error.with_provider(name))?);
        Ok(Arc::new(builder.build().await?))
    }
}
