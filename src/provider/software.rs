//! Encryption under a key that software holds.

use std::fmt;

use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::KeyUse;
use crate::{
    context::EncryptionContext,
    crypto::{Aead, Aes256Gcm, Backend, Expander, NONCE_LEN, Preferred, TAG_LEN, split},
    error::{Error, Result},
    key::{DATA_KEY_LEN, DataKey, LockedKey, fill_random},
};

const SALT_LEN: usize = 24;
const COMMITMENT_LEN: usize = 32;
/// A key encrypts once.
const NONCE: [u8; NONCE_LEN] = [0; NONCE_LEN];

const LABEL: &[u8] = b"bulla/1 software-kek\0";

/// How much longer [`SoftwareKek::wrap`]'s output is than its input: 72 bytes.
pub const SOFTWARE_WRAP_OVERHEAD: usize = SALT_LEN + COMMITMENT_LEN + TAG_LEN;

/// A key-encryption key in memory: AES-256-GCM under a key derived anew for every wrap.
///
/// For providers that hold keys in software. Each wrap draws a 24-byte salt and derives key and a
/// 32-byte commitment from it (HKDF-Expand-SHA-256), so that the 2³² messages a plain
/// AES-GCM key allows with random nonces is no limit here, and a blob opens under one key and one
/// context only: what it is bound to goes into the derivation, and so into the commitment.
/// Layout in FORMAT.md, "Software wrap".
///
/// It is meant to live long: wiped on drop, and on a page of its own that is locked into memory
/// where the system allows it.
pub struct SoftwareKek(LockedKey);

impl SoftwareKek {
    /// Copies the key out of `bytes`; wipe those.
    #[must_use]
    pub fn from_bytes(bytes: &[u8; 32]) -> Self {
        Self(LockedKey::new(bytes))
    }

    /// Encrypts `plaintext`, bound to `aad`. The output is [`SOFTWARE_WRAP_OVERHEAD`] bytes longer.
    ///
    /// # Errors
    /// [`Internal`](crate::ErrorKind::Internal) if the random generator or the AEAD fails.
    pub fn wrap(&self, plaintext: &[u8], aad: &[u8]) -> Result<Vec<u8>> {
        let mut salt = [0; SALT_LEN];
        fill_random(&mut salt)?;
        self.wrap_with_salt(&salt, plaintext, aad)
    }

    fn wrap_with_salt(
        &self,
        salt: &[u8; SALT_LEN],
        plaintext: &[u8],
        aad: &[u8],
    ) -> Result<Vec<u8>> {
        let derived = Derived::new(self.0.expose(), salt, aad)?;
        let start = SALT_LEN + COMMITMENT_LEN;
        let mut out = Vec::with_capacity(start + plaintext.len() + TAG_LEN);
        out.extend_from_slice(salt);
        out.extend_from_slice(&derived.commitment);
        out.resize(start + plaintext.len() + TAG_LEN, 0);
        let sealed = out.get_mut(start..).unwrap_or_default();
        derived.aead.seal(&NONCE, &[], plaintext, sealed)?;
        Ok(out)
    }

    /// A fresh data key, and the same wrapped under its context: one draw of randomness for both.
    ///
    /// # Errors
    /// As for [`wrap`](Self::wrap).
    pub fn generate_data_key(&self, context: &EncryptionContext) -> Result<(DataKey, Vec<u8>)> {
        let mut random = Zeroizing::new([0; DATA_KEY_LEN + SALT_LEN]);
        fill_random(random.as_mut())?;
        let (key, salt) = split::<DATA_KEY_LEN>(random.as_slice());
        let (salt, _) = split(salt);
        let key = DataKey::from_bytes(key);
        let wrapped = self.wrap_with_salt(salt, key.expose(), &KeyUse::DataKey.aad(context))?;
        Ok((key, wrapped))
    }

    /// Decrypts what [`wrap`](Self::wrap) made, into memory that is wiped.
    ///
    /// # Errors
    /// [`NotAuthentic`](crate::ErrorKind::NotAuthentic) for anything else.
    pub fn unwrap(&self, blob: &[u8], aad: &[u8]) -> Result<Zeroizing<Vec<u8>>> {
        let fail = Error::not_authentic;
        let (salt, rest) = blob.split_first_chunk::<SALT_LEN>().ok_or_else(fail)?;
        let (commitment, sealed) = rest.split_first_chunk::<COMMITMENT_LEN>().ok_or_else(fail)?;
        let derived = Derived::new(self.0.expose(), salt, aad)?;
        if !bool::from(derived.commitment.ct_eq(commitment)) {
            return Err(fail());
        }
        let (body, tag) = sealed.split_last_chunk::<TAG_LEN>().ok_or_else(fail)?;
        let mut plaintext = Zeroizing::new(body.to_vec());
        Aead::open_in_place(&derived.aead, &NONCE, &[], tag, &mut plaintext)?;
        Ok(plaintext)
    }

    /// Wraps a data key under its context.
    ///
    /// # Errors
    /// As for [`wrap`](Self::wrap).
    pub fn wrap_data_key(&self, key: &DataKey, context: &EncryptionContext) -> Result<Vec<u8>> {
        self.wrap(key.expose(), &KeyUse::DataKey.aad(context))
    }

    /// Unwraps a data key under its context.
    ///
    /// # Errors
    /// As for [`unwrap`](Self::unwrap).
    pub fn unwrap_data_key(&self, blob: &[u8], context: &EncryptionContext) -> Result<DataKey> {
        DataKey::from_slice(&self.unwrap(blob, &KeyUse::DataKey.aad(context))?)
    }
}

impl fmt::Debug for SoftwareKek {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SoftwareKek(..)")
    }
}

/// What one wrap is made with.
struct Derived {
    aead: Aes256Gcm,
    commitment: [u8; COMMITMENT_LEN],
}

impl Derived {
    fn new(kek: &[u8; 32], salt: &[u8; SALT_LEN], aad: &[u8]) -> Result<Self> {
        let mut okm = Zeroizing::new([0; 32 + COMMITMENT_LEN]);
        let aad = Preferred::sha256(&[aad]);
        Expander::new(kek)?.expand(&[LABEL, salt, &aad], okm.as_mut())?;
        let (key, rest) = split::<32>(okm.as_slice());
        let (commitment, _) = split(rest);
        Ok(Self { aead: Aead::new(key)?, commitment: *commitment })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    #[test]
    fn wraps_are_bound_to_key_context_and_use() {
        let (one, two) = (SoftwareKek::from_bytes(&[1; 32]), SoftwareKek::from_bytes(&[2; 32]));
        let context = EncryptionContext::from_pairs([("tenant", "acme")]).unwrap();
        let other = EncryptionContext::from_pairs([("tenant", "evil")]).unwrap();
        let key = DataKey::generate().unwrap();
        let blob = one.wrap_data_key(&key, &context).unwrap();
        assert_eq!(blob.len(), 32 + SOFTWARE_WRAP_OVERHEAD);
        assert!(one.unwrap_data_key(&blob, &context).unwrap().ct_eq(&key));
        assert!(one.unwrap(&blob, &KeyUse::Direct.aad(&context)).is_err());
        assert!(one.unwrap_data_key(&blob, &other).is_err());
        assert!(two.unwrap_data_key(&blob, &context).is_err());
        assert_ne!(blob, one.wrap_data_key(&key, &context).unwrap());
    }

    #[test]
    fn every_flipped_byte_and_every_truncation_fails() {
        let kek = SoftwareKek::from_bytes(&[1; 32]);
        let blob = kek.wrap(b"payload", b"aad").unwrap();
        for at in 0..blob.len() {
            let mut bad = blob.clone();
            bad[at] ^= 1;
            assert_eq!(kek.unwrap(&bad, b"aad").unwrap_err().kind(), ErrorKind::NotAuthentic);
            assert_eq!(
                kek.unwrap(&blob[..at], b"aad").unwrap_err().kind(),
                ErrorKind::NotAuthentic
            );
        }
        assert!(kek.unwrap(&[&blob[..], b"\0"].concat(), b"aad").is_err());
    }

    #[test]
    fn a_wrapped_key_of_another_length_is_no_data_key() {
        let kek = SoftwareKek::from_bytes(&[1; 32]);
        let context = EncryptionContext::new();
        for len in [31, 33, 64] {
            let blob = kek.wrap(&vec![7; len], &KeyUse::DataKey.aad(&context)).unwrap();
            let error = kek.unwrap_data_key(&blob, &context).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::NotAuthentic);
        }
    }

    #[test]
    fn known_answer() {
        let kek = SoftwareKek::from_bytes(&[1; 32]);
        let context = EncryptionContext::from_pairs([("tenant", "acme")]).unwrap();
        let salt: [u8; SALT_LEN] = std::array::from_fn(|i| 0x80 + u8::try_from(i).unwrap());
        let key: [u8; 32] = std::array::from_fn(|i| u8::try_from(i).unwrap());
        let blob = kek.wrap_with_salt(&salt, &key, &KeyUse::DataKey.aad(&context)).unwrap();
        let hex: String = blob.iter().map(|b| format!("{b:02x}")).collect();
        assert_eq!(hex, include_str!("software_known_answer.hex").trim());
    }
}
