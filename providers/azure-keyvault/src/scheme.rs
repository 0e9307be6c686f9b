//! Keys of the registry that are in Azure.

use std::sync::Arc;

use async_trait::async_trait;
use bulla::{Error, ErrorKind, KeyUri, Result, SharedProvider, registry::Connect};

use crate::{connecting::Shared, settings::AzureKeyVaultBuilder};

/// Connects to `azurekeyvault:` URIs for a [`Registry`](bulla::Registry): as whoever the environment says, or
/// by a builder that has more to say. All keys of one cloud and kind of vault share one login.
///
/// ```
/// use std::sync::Arc;
/// use bulla_azure_keyvault::AzureKeyVaultScheme;
///
/// let scheme = Arc::new(AzureKeyVaultScheme::default());
/// let registry = bulla::Registry::builder().scheme("azurekeyvault", scheme).build();
/// ```
#[derive(Clone, Debug, Default)]
pub struct AzureKeyVaultScheme {
    builder: AzureKeyVaultBuilder,
    shared: Arc<Shared>,
}

impl AzureKeyVaultScheme {
    /// By a builder without vault and keys, with credentials and the like.
    #[must_use]
    pub fn new(builder: AzureKeyVaultBuilder) -> Self {
        Self { builder, shared: Arc::default() }
    }

    async fn build(
        &self,
        uri: &KeyUri,
        adjust: impl FnOnce(AzureKeyVaultBuilder) -> AzureKeyVaultBuilder + Send,
    ) -> Result<SharedProvider> {
        let KeyUri::AzureKeyVault(uri) = uri else {
            return Err(Error::new(ErrorKind::InvalidInput, "this is no key of Azure Key Vault"));
        };
        let builder = adjust(self.builder.clone()).uri(uri);
        Ok(Arc::new(builder.build_on(&self.shared).await?))
    }
}

#[async_trait]
impl Connect for AzureKeyVaultScheme {
    async fn connect(&self, uri: &KeyUri, name: &str) -> Result<SharedProvider> {
        self.build(uri, |builder| builder.label(name)).await
    }

    async fn connect_accepting(&self, uri: &KeyUri, name: &str) -> Result<SharedProvider> {
        self.build(uri, |builder| builder.label(name).accept_public_key_wraps()).await
    }
}
