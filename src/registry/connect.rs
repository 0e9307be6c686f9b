//! From a key URI to a provider.

use async_trait::async_trait;

use super::SharedProvider;
use crate::{error::Result, key::KeyUri};

/// Connects to the providers of one URI scheme. The application says which schemes exist by what it
/// gives to [`RegistryBuilder::scheme`](super::RegistryBuilder::scheme).
#[async_trait]
pub trait Connect: Send + Sync {
    /// A provider with this key as its sealing or signing key, labelled `name`. Without a
    /// [`Resilient`](crate::resilience::Resilient) around it: the registry puts one there, and attempts would multiply.
    ///
    /// # Errors
    /// What the provider says of the key.
    async fn connect(&self, uri: &KeyUri, name: &str) -> Result<SharedProvider>;

    /// Whether connecting is work of this machine alone. If so it is done once and may take its time,
    /// such as for a passphrase. It is not, unless this says so.
    fn connects_locally(&self) -> bool {
        false
    }
}
