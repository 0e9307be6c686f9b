//! Secrets: zeroised when dropped, never printed, never copied by accident.

use std::{fmt, ops::Deref, sync::Arc};

use secrecy::{ExposeSecret, SecretBox};
use zeroize::{Zeroize, Zeroizing};

use super::wiped::Wiped;
use crate::error::{Error, ErrorKind, Result};

/// The length of a data key: 32 bytes, always.
///
/// HMAC pads short keys with zeros, so a 31-byte key would stand for a 32-byte one that ends in
/// zero; an exact length rules that out.
pub const DATA_KEY_LEN: usize = 32;

/// A data key of exactly 32 bytes, zeroised when its last share is dropped.
pub struct DataKey(Arc<SecretBox<[u8; DATA_KEY_LEN]>>);

impl DataKey {
    /// A fresh key from the operating system's random generator.
    ///
    /// # Errors
    /// [`ErrorKind::Internal`] if that generator fails.
    pub fn generate() -> Result<Self> {
        let mut bytes = Zeroizing::new([0; DATA_KEY_LEN]);
        fill_random(bytes.as_mut())?;
        Ok(Self::from_bytes(&bytes))
    }

    /// Copies the key out of `bytes`; wipe those.
    #[must_use]
    pub fn from_bytes(bytes: &[u8; DATA_KEY_LEN]) -> Self {
        Self(Arc::new(SecretBox::init_with_mut(|key: &mut [u8; DATA_KEY_LEN]| {
            key.copy_from_slice(bytes);
        })))
    }

    /// Copies the key out of a slice of exactly 32 bytes; wipe that.
    ///
    /// # Errors
    /// [`ErrorKind::NotAuthentic`] for any other length: no provider wraps such a key.
    pub fn from_slice(bytes: &[u8]) -> Result<Self> {
        bytes.try_into().map(Self::from_bytes).map_err(|_| Error::not_authentic())
    }

    /// Another handle on the same memory. Deliberately not `Clone`.
    #[must_use]
    pub fn share(&self) -> Self {
        Self(Arc::clone(&self.0))
    }

    /// The bytes. What you copy, you wipe.
    #[must_use]
    pub fn expose(&self) -> &[u8; DATA_KEY_LEN] {
        self.0.expose_secret()
    }

    /// Whether both are the same key, compared in constant time.
    #[must_use]
    pub fn ct_eq(&self, other: &Self) -> bool {
        subtle::ConstantTimeEq::ct_eq(self.expose().as_slice(), other.expose().as_slice()).into()
    }
}

impl fmt::Debug for DataKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DataKey(..)")
    }
}

/// Decrypted bytes, zeroised when dropped, redacted in `Debug`.
#[derive(Default)]
pub struct Plaintext(Wiped);

impl Plaintext {
    /// Takes the bytes over.
    #[must_use]
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(Wiped::new(bytes))
    }

    /// Hands the bytes out; from here on wiping them is the caller's.
    #[must_use]
    pub fn into_vec(self) -> Vec<u8> {
        self.0.into_vec()
    }

    /// The bytes as UTF-8.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] if they aren't.
    pub fn as_str(&self) -> Result<&str> {
        std::str::from_utf8(&self.0)
            .map_err(|_| Error::new(ErrorKind::InvalidInput, "the plaintext is not UTF-8"))
    }
}

impl Deref for Plaintext {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl AsRef<[u8]> for Plaintext {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl From<Vec<u8>> for Plaintext {
    fn from(bytes: Vec<u8>) -> Self {
        Self::new(bytes)
    }
}

impl Zeroize for Plaintext {
    fn zeroize(&mut self) {
        self.0.zeroize();
    }
}

impl fmt::Debug for Plaintext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Plaintext({} bytes)", self.0.len())
    }
}

/// Fills `out` from the operating system's random generator.
pub(crate) fn fill_random(out: &mut [u8]) -> Result<()> {
    getrandom::fill(out).map_err(|_| {
        Error::new(ErrorKind::Internal, "the operating system's random generator failed")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_data_key_has_exactly_32_bytes() {
        for len in [0, 16, 31, 33, 64] {
            let error = DataKey::from_slice(&vec![7; len]).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::NotAuthentic, "{len}");
        }
        assert!(DataKey::from_slice(&[7; 32]).is_ok());
    }

    #[test]
    fn secrets_are_redacted() {
        assert_eq!(format!("{:?}", DataKey::from_bytes(&[7; 32])), "DataKey(..)");
        assert_eq!(format!("{:?}", Plaintext::new(b"card".to_vec())), "Plaintext(4 bytes)");
    }
}
