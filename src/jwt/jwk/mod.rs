//! Public keys as JSON Web Keys (RFC 7517; RFC 7518, section 6; RFC 8037).

mod ed25519_name;
mod parse;
mod pem;
mod set;
mod write;

use std::{fmt, sync::Arc};

pub use ed25519_name::Ed25519Name;
pub use set::{JwkSet, MAX_SET_KEYS, MAX_SET_LEN};

use crate::{
    crypto::{Public, Signed, SigningAlgorithm, Verifying, der},
    error::{Error, Result},
    signing::PublicKey,
};

/// A public key: RSA of 2,048 to 8,192 bits, P-256, P-384, P-521 or Ed25519.
///
/// There is no way to represent a private or a symmetric key. Cheap to clone.
#[derive(Clone)]
pub struct Jwk(Arc<Inner>);

#[derive(Clone)]
struct Inner {
    key: Arc<Verifying>,
    kid: Option<String>,
    /// The one algorithm: what the JWK states, or the only one of the key's kind.
    algorithm: Option<SigningAlgorithm>,
    ed25519: Ed25519Name,
    usage: Option<String>,
    key_ops: Option<Vec<String>>,
}

impl Jwk {
    /// Parses a DER SubjectPublicKeyInfo (RFC 5280, section 4.1.2.7).
    ///
    /// # Errors
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) if it is damaged or its point is not on
    /// its curve; [`Unsupported`](crate::ErrorKind::Unsupported) for other kinds and sizes.
    pub fn from_spki(der: &[u8]) -> Result<Self> {
        Self::from_public(der::from_spki(der)?)
    }

    /// The public half of a provider's key; its `kid` is the [`thumbprint`](Self::thumbprint). A
    /// key of one algorithm is pinned to it.
    ///
    /// # Errors
    /// As for [`from_spki`](Self::from_spki), and
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) if the provider's algorithm is not one of
    /// such a key.
    pub fn from_public_key(key: &PublicKey) -> Result<Self> {
        let jwk = Self::from_spki(&key.spki)?;
        let kid = jwk.thumbprint();
        let jwk = jwk.with_kid(kid);
        match key.algorithms.as_slice() {
            [one] => jwk.with_algorithm(*one),
            _ => Ok(jwk),
        }
    }

    pub(crate) fn from_public(public: Public) -> Result<Self> {
        let algorithm = public.only_algorithm();
        let key = Arc::new(Verifying::new(public)?);
        let ed25519 = Ed25519Name::default();
        Ok(Self(Arc::new(Inner { key, kid: None, algorithm, ed25519, usage: None, key_ops: None })))
    }

    /// The same key with this id.
    #[must_use]
    pub fn with_kid(self, kid: impl Into<String>) -> Self {
        self.change(|inner| inner.kid = Some(kid.into()))
    }

    /// The same key, pinned to one algorithm.
    ///
    /// # Errors
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) if a key of this kind does not have it.
    pub fn with_algorithm(self, algorithm: SigningAlgorithm) -> Result<Self> {
        if !self.signs_with(algorithm) {
            return Err(Error::invalid(format!("a key of this kind does not sign {algorithm}")));
        }
        Ok(self.change(|inner| inner.algorithm = Some(algorithm)))
    }

    /// The same key, which calls its algorithm this if that is Ed25519; `EdDSA` by default.
    #[must_use]
    pub fn with_ed25519_name(self, name: Ed25519Name) -> Self {
        self.change(|inner| inner.ed25519 = name)
    }

    /// The same key with this `use` (RFC 7517, section 4.2), or with none. A key with another one than
    /// `sig` verifies no token; SPIFFE's bundles have keys with `jwt-svid`, for example, which whoever
    /// has read the bundle takes off.
    #[must_use]
    pub fn with_usage(self, usage: Option<String>) -> Self {
        self.change(|inner| inner.usage = usage)
    }

    fn change(self, change: impl FnOnce(&mut Inner)) -> Self {
        let mut inner = Arc::unwrap_or_clone(self.0);
        change(&mut inner);
        Self(Arc::new(inner))
    }

    /// The key's id.
    #[must_use]
    pub fn kid(&self) -> Option<&str> {
        self.0.kid.as_deref()
    }

    /// The one algorithm of the key; none for an RSA key that is not pinned.
    #[must_use]
    pub fn algorithm(&self) -> Option<SigningAlgorithm> {
        self.0.algorithm
    }

    /// What that algorithm is called in tokens and in this key's `alg`: Ed25519 has two names.
    #[must_use]
    pub fn algorithm_name(&self) -> Option<&'static str> {
        self.0.algorithm.map(|algorithm| self.name_of(algorithm))
    }

    /// What an algorithm of this key is called in `alg`.
    pub(in crate::jwt) fn name_of(&self, algorithm: SigningAlgorithm) -> &'static str {
        self.0.ed25519.of(algorithm)
    }

    /// Its `use`, if it was given one.
    #[must_use]
    pub fn usage(&self) -> Option<&str> {
        self.0.usage.as_deref()
    }

    /// Whether the key is for verifying signatures, as far as `use` and `key_ops` say (RFC 7517,
    /// sections 4.2 and 4.3).
    #[must_use]
    pub fn is_for_verifying(&self) -> bool {
        let verifies = |ops: &Vec<String>| ops.iter().any(|op| op == "verify");
        self.0.usage.as_ref().is_none_or(|usage| usage == "sig")
            && self.0.key_ops.as_ref().is_none_or(verifies)
    }

    /// The key as DER SubjectPublicKeyInfo.
    ///
    /// # Errors
    /// [`Internal`](crate::ErrorKind::Internal) if it can't be encoded.
    pub fn to_spki(&self) -> Result<Vec<u8>> {
        der::spki(self.public())
    }

    pub(crate) fn signs_with(&self, algorithm: SigningAlgorithm) -> bool {
        self.public().signs_with(algorithm)
    }

    pub(crate) fn signature_len(&self) -> usize {
        self.public().signature_len()
    }

    pub(crate) fn verify(
        &self,
        algorithm: SigningAlgorithm,
        message: &[u8],
        signature: &[u8],
    ) -> Result<()> {
        self.0.key.verify(algorithm, Signed::Message(message), signature)
    }

    fn public(&self) -> &Public {
        self.0.key.public()
    }
}

/// Two are equal if key, id, algorithm and use are, whatever they call it.
impl PartialEq for Jwk {
    fn eq(&self, other: &Self) -> bool {
        let all = |jwk: &Self| {
            let Inner { kid, algorithm, usage, key_ops, .. } = &*jwk.0;
            (kid.clone(), *algorithm, usage.clone(), key_ops.clone())
        };
        self.public() == other.public() && all(self) == all(other)
    }
}

impl Eq for Jwk {}

impl fmt::Debug for Jwk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Jwk")
            .field("kid", &self.kid())
            .field("algorithm", &self.algorithm())
            .field("thumbprint", &self.thumbprint())
            .finish()
    }
}
