//! Signing keys that are kept sealed, by any provider, and sign in this process.

use std::{fmt, ops::Deref, sync::Arc};

use crate::{
    key_type::KeyType,
    pair::Pair,
    provider::{blocking, owned},
};
use async_trait::async_trait;
use bulla::{
    Context, CryptoProvider, Error, ErrorKind, KeyName, KeyVersion, Opener, Operation, PublicKey,
    Result, Sealer, Sign, Signature, SigningInput, key::KeyState,
};

/// What keys are called by: `sealed:NAME`.
const SCHEME: &str = "sealed";

/// The most bytes of a sealed key: the longest pair has 2.4 KiB, and its header up to 64.
const MAX_SEALED_LEN: usize = 72 * 1024;

/// Key pairs that sign in this process, and whose private halves are kept sealed by keys of a provider:
/// a KMS or an HSM that is asked once for each of them, when the process starts, and not for each signature.
///
/// A `Sign` like any other: for [`ProviderKeys`](bulla::jwt::ProviderKeys), each version has its own `kid`
/// in one set of keys.
///
/// ```
/// use bulla::{Opener, Sealer, Sign as _, SigningAlgorithm, SigningInput};
/// use bulla_local::{KeyType, SealedKeys};
///
/// # async fn example(kms: std::sync::Arc<dyn bulla::CryptoProvider>) -> bulla::Result<()> {
/// // Once, by whoever rotates. What comes out may lie in a file, a database or a repository.
/// let sealer = Sealer::new(kms.clone())?;
/// let sealed = SealedKeys::create(&sealer, "tokens", "2026-11", KeyType::P256).await?;
///
/// // When a service starts: one call to the KMS.
/// let keys = SealedKeys::builder("tokens").version("2026-11", sealed);
/// let keys = keys.open(&Opener::new([kms])).await?;
/// let key = &keys.public_keys().await?[0];
/// let signature = keys.sign(key, &SigningInput::new(SigningAlgorithm::Es256, b"message")).await?;
/// # Ok(())
/// # }
/// ```
///
/// # Security
/// The private halves are in the memory of the process, as those of a local key store are: who reads that
/// memory can sign for good, where with a key that stays in a KMS it is for as long as the KMS lets it. In
/// exchange a key can be replaced often, and a KMS that is out stops nothing that has started.
///
/// Sealing binds name, version and what the key is for: a sealed key opens as no other version and under
/// no other name, and nothing else opens as a key. The key context is `use` = `signing-key`, `key` and
/// `version`, which a KMS logs and can tie permissions to.
#[derive(Clone)]
pub struct SealedKeys {
    name: KeyName,
    /// The current one is the last.
    versions: Arc<[Version]>,
}

/// A key pair whose private half is sealed.
#[derive(Clone)]
#[non_exhaustive]
pub struct SealedKey {
    /// Its version: what tokens call it.
    pub version: KeyVersion,
    /// Its type.
    pub key_type: KeyType,
    /// The public half, as SubjectPublicKeyInfo in DER (RFC 5280, section 4.1.2.7).
    pub spki: Vec<u8>,
    /// The private half, sealed.
    pub sealed: Vec<u8>,
}

struct Version {
    public: PublicKey,
    pair: Option<Arc<Pair>>,
}

impl SealedKeys {
    /// Makes a key pair and seals its private half: bytes in the format of every sealed value, which
    /// `bulla inspect` shows and [`rewrap`](bulla::Opener::rewrap_value) moves to other keys.
    ///
    /// Generating a key of RSA takes up to seconds.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] for a name that is empty or too long, for a version that is not 1 to 64
    /// bytes of `[A-Za-z0-9_-]`, and for a type that does not sign; otherwise what the provider said.
    pub async fn create<P>(
        sealer: &Sealer<P>,
        name: &str,
        version: &str,
        key_type: KeyType,
    ) -> Result<Vec<u8>>
    where
        P: Deref<Target: CryptoProvider> + Send + Sync,
    {
        let version = KeyVersion::parse(version).map_err(|e| e.with_operation(Operation::Build))?;
        Ok(Self::generate(sealer, name, key_type, |_| Ok(version)).await?.sealed)
    }

    /// The same, with the public half: for a version that is called by it, such as by its thumbprint.
    /// `version` gets it as SubjectPublicKeyInfo in DER.
    ///
    /// # Errors
    /// As for [`create`](Self::create); what `version` says.
    pub async fn generate<P>(
        sealer: &Sealer<P>,
        name: &str,
        key_type: KeyType,
        version: impl FnOnce(&[u8]) -> Result<KeyVersion> + Send,
    ) -> Result<SealedKey>
    where
        P: Deref<Target: CryptoProvider> + Send + Sync,
    {
        let created = async {
            let name = key_name(name)?;
            if key_type.seals() {
                return Err(invalid(format!("a key of type {key_type} does not sign")));
            }
            let (pkcs8, spki) = blocking(move || {
                let pair = Pair::generate(key_type)?;
                Ok((pair.to_pkcs8()?, pair.spki()?))
            })
            .await?;
            let version = version(&spki)?;
            let sealed = sealer.seal(&pkcs8, &context(&name, &version)?).await?;
            Ok(SealedKey { version, key_type, spki, sealed })
        };
        created.await.map_err(|e: Error| e.with_operation(Operation::Build))
    }

    /// Which sealed keys there are under a name.
    pub fn builder(name: impl Into<String>) -> SealedKeysBuilder {
        SealedKeysBuilder { name: name.into(), versions: Vec::new(), current: None }
    }

    fn signs(&self, key: &PublicKey) -> Result<&Arc<Pair>> {
        let version = self.versions.iter().find(|own| own.public.version == key.version);
        let version = version.filter(|_| key.key == self.name).ok_or_else(|| {
            let message = format!("key {} has no version {} here", key.key, key.version);
            Error::new(ErrorKind::NotFound, message)
        })?;
        version.pair.as_ref().ok_or_else(|| {
            let message = format!("version {} of key {} only verifies", key.version, key.key);
            Error::new(ErrorKind::Disabled, message)
        })
    }

    async fn make(&self, key: &PublicKey, input: &SigningInput<'_>) -> Result<Signature> {
        let pair = self.signs(key)?;
        match owned(input) {
            // Up to a few milliseconds of work.
            Some(input) => {
                let pair = Arc::clone(pair);
                blocking(move || pair.sign(&input)).await
            }
            None => pair.sign(input),
        }
    }
}

/// Sealed keys that are to be opened.
#[derive(Clone)]
#[must_use]
pub struct SealedKeysBuilder {
    name: String,
    versions: Vec<(String, Half)>,
    current: Option<String>,
}

#[derive(Clone)]
enum Half {
    /// The private one, sealed.
    Sealed(Vec<u8>),
    /// The public one, as SubjectPublicKeyInfo.
    Public(KeyType, Vec<u8>),
}

impl SealedKeysBuilder {
    /// A version, as [`SealedKeys::create`] has sealed it. The last one that is given signs, unless
    /// [`current`](Self::current) names another.
    pub fn version(self, version: impl Into<String>, sealed: impl Into<Vec<u8>>) -> Self {
        self.with(version, Half::Sealed(sealed.into()))
    }

    /// A version that signs no more and still verifies: its public key, as SubjectPublicKeyInfo in DER
    /// (RFC 5280, section 4.1.2.7). It takes no call.
    pub fn verifies(
        self,
        version: impl Into<String>,
        key_type: KeyType,
        spki: impl Into<Vec<u8>>,
    ) -> Self {
        self.with(version, Half::Public(key_type, spki.into()))
    }

    /// The version that signs: where the newest is published before it does.
    pub fn current(mut self, version: impl Into<String>) -> Self {
        self.current = Some(version.into());
        self
    }

    fn with(mut self, version: impl Into<String>, half: Half) -> Self {
        self.versions.push((version.into(), half));
        self
    }

    /// Opens them: one call to a provider for each that is sealed, one after the other.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] if none is sealed, a version is there twice, or the current one is not
    /// among those that are sealed; [`ErrorKind::NotAuthentic`] for bytes that are not that version of the
    /// key of that name; otherwise what the providers said.
    pub async fn open<P>(self, opener: &Opener<P>) -> Result<SealedKeys>
    where
        P: Deref<Target: CryptoProvider> + Send + Sync,
    {
        let label = self.name.clone();
        let opened = self.opened(opener).await;
        opened.map_err(|e| e.with_provider(label).with_operation(Operation::Build))
    }

    async fn opened<P>(self, opener: &Opener<P>) -> Result<SealedKeys>
    where
        P: Deref<Target: CryptoProvider> + Send + Sync,
    {
        let name = key_name(&self.name)?;
        let mut versions: Vec<Version> = Vec::with_capacity(self.versions.len());
        for (version, half) in self.versions {
            let version = KeyVersion::parse(&version)?;
            if versions.iter().any(|known| known.public.version == version) {
                return Err(invalid(format!("version {version} of key {name} is given twice")));
            }
            let (pair, key_type, spki) = match half {
                Half::Public(key_type, spki) => (None, key_type, spki),
                Half::Sealed(sealed) => {
                    let pair = open_one(opener, &name, &version, &sealed).await?;
                    let (key_type, spki) = (pair.key_type(), pair.spki()?);
                    (Some(Arc::new(pair)), key_type, spki)
                }
            };
            let mut public = PublicKey::new(name.clone(), version, spki);
            public.state = match pair {
                Some(_) => KeyState::Active,
                None => KeyState::Deprecated,
            };
            public.algorithms = key_type.signing_algorithms().to_vec();
            versions.push(Version { public, pair });
        }
        let current = match &self.current {
            Some(current) => versions.iter().position(|own| own.public.version.as_str() == current),
            None => versions.iter().rposition(|own| own.pair.is_some()),
        };
        let signing = current.and_then(|at| versions.get_mut(at)).filter(|own| own.pair.is_some());
        let signing = signing.ok_or_else(|| {
            invalid(format!(
                "of key {name} there is no version to sign with, or another is current"
            ))
        })?;
        signing.public.current = true;
        Ok(SealedKeys { name, versions: versions.into() })
    }
}

async fn open_one<P>(
    opener: &Opener<P>,
    name: &KeyName,
    version: &KeyVersion,
    sealed: &[u8],
) -> Result<Pair>
where
    P: Deref<Target: CryptoProvider> + Send + Sync,
{
    if sealed.len() > MAX_SEALED_LEN {
        return Err(invalid(format!(
            "version {version} of key {name} is too long for a sealed key"
        )));
    }
    let pkcs8 = opener.open(sealed, &context(name, version)?).await?;
    // It was authentic, so whoever may seal to this key has put something else there.
    Pair::from_pkcs8(&pkcs8).map_err(|error| {
        let message = format!("what is sealed as version {version} of key {name} is no key pair");
        Error::new(ErrorKind::Damaged, message).with_source(error)
    })
}

/// What a sealed key is bound to.
fn context(name: &KeyName, version: &KeyVersion) -> Result<Context> {
    Context::new()
        .with_key("use", "signing-key")?
        .with_key("key", name.id())?
        .with_key("version", version.as_str())
}

fn key_name(name: &str) -> Result<KeyName> {
    KeyName::new(SCHEME, name)
}

fn invalid(message: String) -> Error {
    Error::new(ErrorKind::InvalidInput, message)
}

#[async_trait]
impl Sign for SealedKeys {
    async fn public_keys(&self) -> Result<Vec<PublicKey>> {
        Ok(self.versions.iter().map(|version| version.public.clone()).collect())
    }

    async fn sign(&self, key: &PublicKey, input: &SigningInput<'_>) -> Result<Signature> {
        let made = self.make(key, input).await;
        made.map_err(|e| e.with_provider(self.name.id()).with_operation(Operation::Sign))
    }
}

/// Without secrets, and without what is sealed.
impl fmt::Debug for SealedKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let versions = self.versions.iter().map(|own| own.public.version.as_str());
        let versions: Vec<_> = versions.collect();
        f.debug_struct("SealedKeys")
            .field("name", &self.name)
            .field("versions", &versions)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for SealedKeysBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let versions: Vec<_> = self.versions.iter().map(|(version, _)| version).collect();
        f.debug_struct("SealedKeysBuilder")
            .field("name", &self.name)
            .field("versions", &versions)
            .field("current", &self.current)
            .finish()
    }
}

impl fmt::Debug for SealedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SealedKey")
            .field("version", &self.version)
            .field("key_type", &self.key_type)
            .finish_non_exhaustive()
    }
}
