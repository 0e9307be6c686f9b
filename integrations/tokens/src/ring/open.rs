//! Getting at the private halves of a ring's keys.

use std::{fmt, ops::Deref, sync::Arc};

use async_trait::async_trait;
use bulla::{
    CryptoProvider, Error, ErrorKind, KeyUri, Opener, PublicKey, Registry, Result, SharedProvider,
    Sign, Signature, SigningInput,
};
use bulla_local::SealedKeys;

use super::{KeyPlace, RingKey};

/// One key of a ring, ready to sign.
#[async_trait]
pub trait SignWithKey: Send + Sync {
    /// Signs with it.
    ///
    /// # Errors
    /// What its provider says.
    async fn sign(&self, input: &SigningInput<'_>) -> Result<Signature>;
}

/// Gets at the private half of a key.
#[async_trait]
pub trait OpenKey: Send + Sync {
    /// The key, ready to sign. Called once for each key of a ring, by every process that signs.
    ///
    /// # Errors
    /// [`ErrorKind::Damaged`] if what is there is not the key that the ring publishes; otherwise what a
    /// provider says.
    async fn open_key(&self, ring: &str, key: &RingKey) -> Result<Arc<dyn SignWithKey>>;
}

#[async_trait]
impl<O: OpenKey + ?Sized> OpenKey for Arc<O> {
    async fn open_key(&self, ring: &str, key: &RingKey) -> Result<Arc<dyn SignWithKey>> {
        (**self).open_key(ring, key).await
    }
}

/// Opens sealed keys with an opener, and connects to those of providers by a registry's schemes.
pub struct OpenByRegistry {
    registry: Arc<Registry>,
    opener: Opener<SharedProvider>,
}

impl OpenByRegistry {
    /// By these.
    #[must_use]
    pub fn new(registry: Arc<Registry>, opener: Opener<SharedProvider>) -> Self {
        Self { registry, opener }
    }
}

#[async_trait]
impl OpenKey for OpenByRegistry {
    async fn open_key(&self, ring: &str, key: &RingKey) -> Result<Arc<dyn SignWithKey>> {
        match key.place() {
            Some(KeyPlace::Sealed(sealed)) => open_sealed(ring, key, sealed, &self.opener).await,
            Some(KeyPlace::Provider(uri)) => {
                let provider = provider_of(&self.registry, uri).await?;
                let keys = provider.public_keys().await?;
                bind(provider, keys, key)
            }
            None => Err(gone(key)),
        }
    }
}

impl fmt::Debug for OpenByRegistry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenByRegistry").field("opener", &self.opener).finish_non_exhaustive()
    }
}

/// An opener is enough for a ring whose keys are all sealed.
#[async_trait]
impl<P> OpenKey for Opener<P>
where
    P: Deref<Target: CryptoProvider> + Send + Sync,
{
    async fn open_key(&self, ring: &str, key: &RingKey) -> Result<Arc<dyn SignWithKey>> {
        match key.place() {
            Some(KeyPlace::Sealed(sealed)) => open_sealed(ring, key, sealed, self).await,
            Some(KeyPlace::Provider(uri)) => Err(Error::new(
                ErrorKind::Unsupported,
                format!("key {} of the ring is {uri}, which takes a registry to get at", key.kid),
            )),
            None => Err(gone(key)),
        }
    }
}

async fn open_sealed<P>(
    ring: &str,
    key: &RingKey,
    sealed: &[u8],
    opener: &Opener<P>,
) -> Result<Arc<dyn SignWithKey>>
where
    P: Deref<Target: CryptoProvider> + Send + Sync,
{
    let keys = SealedKeys::builder(ring).version(key.kid.as_str(), sealed).open(opener).await?;
    let public = keys.public_keys().await?;
    bind(Arc::new(keys), public, key)
}

/// The version that the ring publishes, by its public half and by nothing else.
fn bind(
    signs: Arc<impl Sign + ?Sized + 'static>,
    keys: Vec<PublicKey>,
    key: &RingKey,
) -> Result<Arc<dyn SignWithKey>> {
    let public = keys.into_iter().find(|found| Some(&*found.spki) == key.spki()).ok_or_else(|| {
        Error::new(
            ErrorKind::Damaged,
            format!(
                "the private half of key {} is not that of the public half in the ring, or is no more; \
                 have another key sign",
                key.kid
            ),
        )
    })?;
    Ok(Arc::new(Member { signs, public }))
}

struct Member<S: ?Sized> {
    public: PublicKey,
    signs: Arc<S>,
}

#[async_trait]
impl<S: Sign + ?Sized + 'static> SignWithKey for Member<S> {
    async fn sign(&self, input: &SigningInput<'_>) -> Result<Signature> {
        self.signs.sign(&self.public, input).await
    }
}

/// The provider of a URI, which the registry keeps under the URI itself.
pub(super) async fn provider_of(registry: &Registry, uri: &KeyUri) -> Result<SharedProvider> {
    let name = uri.to_string();
    if let Ok(provider) = registry.get(&name) {
        return Ok(provider);
    }
    match registry.connect(&name, uri).await {
        // Somebody else was faster.
        Err(error) if error.kind() == ErrorKind::AlreadyExists => registry.get(&name),
        connected => connected,
    }
}

fn gone(key: &RingKey) -> Error {
    let message = format!("key {} was removed from the ring", key.kid);
    Error::new(ErrorKind::NotFound, message)
}
