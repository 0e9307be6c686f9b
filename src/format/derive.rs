//! From a data key to the keys of one message: FORMAT.md, "Derivation".

use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::suite::Suite;
use crate::{
    context::EncryptionContext,
    crypto::{Aead, Aes256Gcm, Backend, NONCE_LEN, Preferred, split},
    error::{Error, Result},
    key::{DataKey, fill_random},
};

pub(crate) const SALT_LEN: usize = 24;
pub(crate) const COMMITMENT_LEN: usize = 32;
pub(crate) const TAG_LEN: usize = 32;

/// Salt and commitment, which stand between header and chunks: 56 bytes.
pub(crate) const AFTER_HEADER_LEN: usize = SALT_LEN + COMMITMENT_LEN;

const HEADER_LABEL: &[u8] = b"bulla/1 header\0";

/// `X` in FORMAT.md: what the suite and the whole context contribute, 73 bytes.
pub(crate) fn binding(suite: Suite, all: &EncryptionContext) -> [u8; 73] {
    let digest = Preferred::sha512(&[&all.encode()]);
    let suite = [suite.code()];
    let mut x = [0; 73];
    x.iter_mut()
        .zip(b"bulla/1\0".iter().chain(&suite).chain(&digest).copied())
        .for_each(|(to, from)| *to = from);
    x
}

/// The salt of one message: 192 random bits, drawn anew for every message.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Salt(pub(crate) [u8; SALT_LEN]);

impl Salt {
    pub(crate) fn random() -> Result<Self> {
        let mut bytes = [0; SALT_LEN];
        fill_random(&mut bytes)?;
        Ok(Self(bytes))
    }
}

/// The AEAD key and base nonce of one message's chunks, and the commitment to them.
pub(crate) struct BodyKeys {
    pub(crate) aead: Aes256Gcm,
    pub(crate) base_nonce: [u8; NONCE_LEN],
    pub(crate) commitment: [u8; COMMITMENT_LEN],
}

impl BodyKeys {
    /// `key ‖ base nonce ‖ commitment = HKDF-Expand-SHA-512(data key, L ‖ salt ‖ X, 76)`
    pub(crate) fn derive(suite: Suite, data_key: &DataKey, salt: &Salt, x: &[u8]) -> Result<Self> {
        let mut okm = Zeroizing::new([0; 32 + NONCE_LEN + COMMITMENT_LEN]);
        Preferred::expand(data_key.expose(), &[suite.label(), &salt.0, x], okm.as_mut())?;
        let (key, rest) = split::<32>(okm.as_slice());
        let (nonce, rest) = split(rest);
        let (commitment, _) = split(rest);
        Ok(Self { aead: Aead::new(key)?, base_nonce: *nonce, commitment: *commitment })
    }

    /// Refuses any other commitment, in constant time.
    pub(crate) fn check(&self, commitment: &[u8; COMMITMENT_LEN]) -> Result<()> {
        if bool::from(self.commitment.ct_eq(commitment)) {
            return Ok(());
        }
        Err(Error::not_authentic())
    }
}

/// The tag over a header and the salt and commitment behind it.
pub(crate) fn header_tag(
    data_key: &DataKey,
    untagged_header: &[u8],
    salt: &Salt,
    commitment: &[u8; COMMITMENT_LEN],
) -> Result<[u8; TAG_LEN]> {
    let mut hk = Zeroizing::new([0; 32]);
    Preferred::expand(data_key.expose(), &[HEADER_LABEL, &salt.0], hk.as_mut())?;
    let mac = Preferred::hmac(hk.as_ref(), &[untagged_header, &salt.0, commitment]);
    let (tag, _) = split(&mac);
    Ok(*tag)
}
