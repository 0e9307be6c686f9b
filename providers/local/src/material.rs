//! The secret part of one version of a key.

use std::fmt;

use bulla::{Error, ErrorKind, Result};
use zeroize::Zeroizing;

use crate::{key_type::KeyType, name::fill_random};

const AES_LEN: usize = 32;

/// The bytes that `v<N>.json` holds: 32 raw bytes for AES-256, PKCS#8 DER for the others.
pub(crate) struct Material {
    key_type: KeyType,
    secret: Zeroizing<Vec<u8>>,
    public: Option<Vec<u8>>,
}

impl Material {
    pub(crate) fn generate(key_type: KeyType) -> Result<Self> {
        if !key_type.seals() {
            return Err(Error::new(ErrorKind::Unsupported, "not yet"));
        }
        let mut secret = Zeroizing::new(vec![0; AES_LEN]);
        fill_random(&mut secret)?;
        Ok(Self { key_type, secret, public: None })
    }

    /// Takes over and checks what a file held.
    pub(crate) fn from_stored(
        key_type: KeyType,
        secret: Zeroizing<Vec<u8>>,
        public: Option<Vec<u8>>,
    ) -> Result<Self> {
        if !key_type.seals() {
            return Err(Error::new(ErrorKind::Unsupported, "not yet"));
        }
        if secret.len() != AES_LEN {
            return Err(Error::new(ErrorKind::InvalidInput, "an AES-256 key is not 32 bytes"));
        }
        if public.is_some() {
            return Err(Error::new(ErrorKind::InvalidInput, "an AES key has no `public`"));
        }
        Ok(Self { key_type, secret, public })
    }

    pub(crate) fn key_type(&self) -> KeyType {
        self.key_type
    }

    pub(crate) fn secret(&self) -> &[u8] {
        &self.secret
    }

    /// The SubjectPublicKeyInfo, for asymmetric keys.
    pub(crate) fn public(&self) -> Option<&[u8]> {
        self.public.as_deref()
    }
}

impl fmt::Debug for Material {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Material({})", self.key_type)
    }
}
