//! From a key URI to a provider.

use async_trait::async_trait;

use super::SharedProvider;
use crate::{
    error::{Error, ErrorKind, Result},
    key::KeyUri,
};

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

    /// The same for an owner who accepts wraps that anybody with the public key can have made
    /// ([`UnwrapPolicy::accept_public_key_wraps`](crate::provider::UnwrapPolicy::accept_public_key_wraps)).
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] unless implemented: keys of most schemes are sealed to by their provider
    /// alone, and who says otherwise means another key. As for [`connect`](Self::connect).
    async fn connect_accepting(&self, uri: &KeyUri, name: &str) -> Result<SharedProvider> {
        let _ = name;
        let message = format!(
            "`{}` keys are sealed to by their provider alone: there are no public-key wraps to accept",
            uri.scheme()
        );
        Err(Error::new(ErrorKind::Unsupported, message))
    }

    /// Whether connecting is work of this machine alone. If so it is done once and may take its time,
    /// such as for a passphrase. It is not, unless this says so.
    fn connects_locally(&self) -> bool {
        false
    }
}
