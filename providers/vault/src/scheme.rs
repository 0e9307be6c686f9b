//! Keys of the registry that are in Vault or OpenBao.

use std::sync::Arc;

use async_trait::async_trait;
use bulla::{Error, ErrorKind, KeyUri, Result, SharedProvider, registry::Connect};

use crate::{environment::Family, server::Shared, settings::VaultBuilder};

/// Connects to `hashivault://` and `openbao://` URIs for a [`Registry`](bulla::Registry): to the server that
/// the environment names, or by a builder that has more to say. All keys of one namespace share one login.
///
/// ```
/// use std::sync::Arc;
/// use bulla_vault::VaultScheme;
///
/// let registry = bulla::Registry::builder()
///     .scheme("hashivault", Arc::new(VaultScheme::vault()))
///     .scheme("openbao", Arc::new(VaultScheme::openbao()))
///     .build();
/// ```
#[derive(Clone, Debug)]
pub struct VaultScheme {
    builder: VaultBuilder,
    shared: Shared,
}

impl VaultScheme {
    /// By the environment variables of Vault: for `hashivault`.
    #[must_use]
    pub fn vault() -> Self {
        Self::new(VaultBuilder::new(Family::Vault))
    }

    /// By those of OpenBao: for `openbao`.
    #[must_use]
    pub fn openbao() -> Self {
        Self::new(VaultBuilder::new(Family::OpenBao))
    }

    /// By a builder without keys, with address, login and the like.
    #[must_use]
    pub fn new(builder: VaultBuilder) -> Self {
        Self { builder, shared: Shared::default() }
    }
}

#[async_trait]
impl Connect for VaultScheme {
    async fn connect(&self, uri: &KeyUri, name: &str) -> Result<SharedProvider> {
        let (KeyUri::HashiVault(uri) | KeyUri::OpenBao(uri)) = uri else {
            return Err(Error::new(ErrorKind::InvalidInput, "this is no key of Vault or OpenBao"));
        };
        let builder = self.builder.clone().label(name).uri(uri);
        Ok(Arc::new(builder.build_on(&self.shared).await?))
    }
}
