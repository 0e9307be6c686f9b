//! Keys of the registry that are on PKCS #11 tokens.

use std::sync::Arc;

use async_trait::async_trait;
use bulla::{Error, ErrorKind, KeyUri, Result, SharedProvider, registry::Connect};

use crate::{provider::Pkcs11, settings::Pkcs11Builder};

/// Connects to `pkcs11:` URIs for a [`Registry`](bulla::Registry).
///
/// ```
/// use std::sync::Arc;
/// use bulla_pkcs11::Pkcs11Scheme;
///
/// let registry = bulla::Registry::builder().scheme("pkcs11", Arc::new(Pkcs11Scheme)).build();
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Pkcs11Scheme;

#[async_trait]
impl Connect for Pkcs11Scheme {
    async fn connect(&self, uri: &KeyUri, name: &str) -> Result<SharedProvider> {
        build(uri, |builder| builder.label(name)).await
    }

    async fn connect_accepting(&self, uri: &KeyUri, name: &str) -> Result<SharedProvider> {
        build(uri, |builder| builder.label(name).accept_public_key_wraps()).await
    }
}

async fn build(
    uri: &KeyUri,
    adjust: impl FnOnce(Pkcs11Builder) -> Pkcs11Builder + Send,
) -> Result<SharedProvider> {
    let KeyUri::Pkcs11(uri) = uri else {
        return Err(Error::new(ErrorKind::InvalidInput, "this is no key of a PKCS #11 token"));
    };
    Ok(Arc::new(adjust(Pkcs11::builder()).uri(uri).build().await?))
}
