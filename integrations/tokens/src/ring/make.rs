//! Where new keys of a ring come from.

use std::{
    fmt,
    ops::Deref,
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use async_trait::async_trait;
use bulla::{
    CryptoProvider, Error, ErrorKind, KeyUri, KeyVersion, Registry, Result, Sealer,
    SigningAlgorithm, jwt::Jwk,
};
use bulla_local::{KeyType, SealedKeys};

use super::{KeyPlace, NewKey, Ring, open::provider_of};

/// How keys are called.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum KidStyle {
    /// By the month in which they are made, such as `2026-11`; a second one of a month is `2026-11-2`.
    #[default]
    Month,
    /// By the thumbprint of the public half (RFC 7638).
    Thumbprint,
}

/// Makes the keys of a ring, or finds them.
#[async_trait]
pub trait MakeKey: Send + Sync {
    /// A new key for a ring of this name; `ring` is the ring as it is, if there is one.
    ///
    /// It may be called, and what it makes not used: when somebody else was faster.
    ///
    /// # Errors
    /// Why there is no new key.
    async fn make(&self, name: &str, ring: Option<&Ring>, now: SystemTime) -> Result<NewKey>;
}

#[async_trait]
impl<M: MakeKey + ?Sized> MakeKey for Arc<M> {
    async fn make(&self, name: &str, ring: Option<&Ring>, now: SystemTime) -> Result<NewKey> {
        (**self).make(name, ring, now).await
    }
}

/// Makes key pairs whose private halves a sealer seals and the ring keeps: one call to the KMS for each
/// key, and one for each process that signs with it.
pub struct SealedMaker<P> {
    sealer: Sealer<P>,
    key_type: KeyType,
    algorithm: SigningAlgorithm,
    style: KidStyle,
}

impl<P> SealedMaker<P> {
    /// Keys of this type. Keys of RSA sign RS256 unless [`algorithm`](Self::algorithm) says otherwise.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] for a type that does not sign.
    pub fn new(sealer: Sealer<P>, key_type: KeyType) -> Result<Self> {
        let algorithm = key_type.signing_algorithms().first().copied().ok_or_else(|| {
            let message = format!("a key of type {key_type} does not sign");
            Error::new(ErrorKind::InvalidInput, message)
        })?;
        Ok(Self { sealer, key_type, algorithm, style: KidStyle::default() })
    }

    /// Signs with this one, where the type has several.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] if it doesn't have it.
    pub fn algorithm(mut self, algorithm: SigningAlgorithm) -> Result<Self> {
        if !self.key_type.signing_algorithms().contains(&algorithm) {
            let message = format!("a key of type {} does not sign {algorithm}", self.key_type);
            return Err(Error::new(ErrorKind::InvalidInput, message));
        }
        self.algorithm = algorithm;
        Ok(self)
    }

    /// Calls keys so.
    #[must_use]
    pub const fn kids(mut self, style: KidStyle) -> Self {
        self.style = style;
        self
    }
}

#[async_trait]
impl<P> MakeKey for SealedMaker<P>
where
    P: Deref<Target: CryptoProvider> + Send + Sync,
{
    async fn make(&self, name: &str, ring: Option<&Ring>, now: SystemTime) -> Result<NewKey> {
        let style = self.style;
        let month = month(ring, now)?;
        let name_it = move |spki: &[u8]| match style {
            KidStyle::Month => Ok(month),
            KidStyle::Thumbprint => thumbprint(spki),
        };
        let made = SealedKeys::generate(&self.sealer, name, self.key_type, name_it).await?;
        let place = KeyPlace::Sealed(made.sealed);
        Ok(NewKey::new(made.version, self.algorithm, made.spki, place))
    }
}

impl<P> fmt::Debug for SealedMaker<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SealedMaker")
            .field("key_type", &self.key_type)
            .field("algorithm", &self.algorithm)
            .field("style", &self.style)
            .finish_non_exhaustive()
    }
}

/// Takes up a key that stays with its provider: its current version, which somebody has made there.
pub struct ProviderMaker {
    registry: Arc<Registry>,
    uri: KeyUri,
    algorithm: Option<SigningAlgorithm>,
    style: KidStyle,
}

impl ProviderMaker {
    /// The key of this URI, which one of the registry's schemes leads to. Keys of RSA sign RS256 unless
    /// [`algorithm`](Self::algorithm) says otherwise.
    #[must_use]
    pub fn new(registry: Arc<Registry>, uri: KeyUri) -> Self {
        Self { registry, uri, algorithm: None, style: KidStyle::default() }
    }

    /// Signs with this one, where the key has several.
    #[must_use]
    pub const fn algorithm(mut self, algorithm: SigningAlgorithm) -> Self {
        self.algorithm = Some(algorithm);
        self
    }

    /// Calls keys so.
    #[must_use]
    pub const fn kids(mut self, style: KidStyle) -> Self {
        self.style = style;
        self
    }
}

#[async_trait]
impl MakeKey for ProviderMaker {
    async fn make(&self, _: &str, ring: Option<&Ring>, now: SystemTime) -> Result<NewKey> {
        let provider = provider_of(&self.registry, &self.uri).await?;
        let keys = provider.public_keys().await?;
        let current = keys.into_iter().find(|key| key.current).ok_or_else(|| {
            let message = format!("{} has no version that signs", self.uri);
            Error::new(ErrorKind::NotFound, message)
        })?;
        let algorithm = match self.algorithm {
            Some(wanted) if current.algorithms.contains(&wanted) => wanted,
            Some(wanted) => {
                let message = format!("{} does not sign {wanted}", self.uri);
                return Err(Error::new(ErrorKind::InvalidInput, message));
            }
            None => current.algorithms.first().copied().ok_or_else(|| {
                Error::new(ErrorKind::Unsupported, format!("{} signs nothing", self.uri))
            })?,
        };
        let kid = match self.style {
            KidStyle::Month => month(ring, now)?,
            KidStyle::Thumbprint => thumbprint(&current.spki)?,
        };
        Ok(NewKey::new(
            kid,
            algorithm,
            current.spki,
            KeyPlace::Provider(Box::new(self.uri.clone())),
        ))
    }
}

impl fmt::Debug for ProviderMaker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProviderMaker")
            .field("uri", &self.uri)
            .field("algorithm", &self.algorithm)
            .field("style", &self.style)
            .finish_non_exhaustive()
    }
}

fn thumbprint(spki: &[u8]) -> Result<KeyVersion> {
    KeyVersion::parse(&Jwk::from_spki(spki)?.thumbprint())
}

/// The month, and a number if the ring has or had a key of that name.
fn month(ring: Option<&Ring>, now: SystemTime) -> Result<KeyVersion> {
    // From 1970 on, which the clock of no machine with keys is before.
    let day = humantime::format_rfc3339_seconds(now.max(UNIX_EPOCH)).to_string();
    let month = day.get(..7).unwrap_or_default();
    let taken = |kid: &str| ring.is_some_and(|ring| ring.key(kid).is_some());
    let mut kid = month.to_owned();
    let mut number = 1;
    while taken(&kid) {
        number += 1;
        kid = format!("{month}-{number}");
    }
    KeyVersion::parse(&kid)
}
