//! From a data key to the keys of one message: FORMAT.md, "Derivation".

use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::suite::Suite;
use crate::{
    context::EncryptionContext,
    crypto::{Aead, Aes256Gcm, Backend, Expander, NONCE_LEN, Preferred, split},
    error::{Error, Result},
    key::{DataKey, fill_random},
};

pub(crate) const SALT_LEN: usize = 24;
pub(crate) const COMMITMENT_LEN: usize = 32;
pub(crate) const TAG_LEN: usize = 32;

/// Salt and commitment, which stand between header and chunks: 56 bytes.
pub(crate) const AFTER_HEADER_LEN: usize = SALT_LEN + COMMITMENT_LEN;

const HEADER_LABEL: &[u8] = b"bulla/1 header\0";

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

/// A data key, ready to derive from. Kept with a data key that serves many messages, it saves each of
/// them the set-up.
pub(crate) struct Schedule {
    data_key: DataKey,
    sha256: Expander,
}

impl Schedule {
    pub(crate) fn new(data_key: DataKey) -> Result<Self> {
        let sha256 = Expander::new(data_key.expose())?;
        Ok(Self { data_key, sha256 })
    }

    pub(crate) fn data_key(&self) -> &DataKey {
        &self.data_key
    }

    /// The keys of a message's body, under the suite and the whole context.
    pub(crate) fn body_keys(
        &self,
        suite: Suite,
        salt: &Salt,
        all: &EncryptionContext,
    ) -> Result<BodyKeys> {
        match suite {
            Suite::Aes256Gcm64KiB => self.suite_1(salt, &Preferred::sha256(&[&all.encode()])),
            Suite::Cobblestone256 => {
                let digest = Preferred::sha512(&[&all.encode()]);
                self.cobblestone(salt, &[b"bulla/1\0", &[suite.code()], &digest])
            }
        }
    }

    /// `key ‖ commitment = HKDF-Expand-SHA-256(data key, L ‖ salt ‖ SHA-256(pairs), 64)`
    ///
    /// The key is this message's alone, so its chunks are numbered from nonce zero.
    fn suite_1(&self, salt: &Salt, context: &[u8; 32]) -> Result<BodyKeys> {
        let mut okm = Zeroizing::new([0; 32 + COMMITMENT_LEN]);
        let info = [Suite::Aes256Gcm64KiB.label(), &salt.0, context];
        self.sha256.expand(&info, okm.as_mut())?;
        let (key, rest) = split::<32>(okm.as_slice());
        let (commitment, _) = split(rest);
        BodyKeys::new(key, [0; NONCE_LEN], *commitment)
    }

    /// Cobblestone-256, as published: `key ‖ base nonce ‖ commitment =
    /// HKDF-Expand-SHA-512(data key, L ‖ salt ‖ context, 76)`
    pub(crate) fn cobblestone(&self, salt: &Salt, context: &[&[u8]]) -> Result<BodyKeys> {
        let mut okm = Zeroizing::new([0; 32 + NONCE_LEN + COMMITMENT_LEN]);
        let info = [&[Suite::Cobblestone256.label(), &salt.0], context].concat();
        Preferred::expand(self.data_key.expose(), &info, okm.as_mut())?;
        let (key, rest) = split::<32>(okm.as_slice());
        let (nonce, rest) = split(rest);
        let (commitment, _) = split(rest);
        BodyKeys::new(key, *nonce, *commitment)
    }

    /// The tag over a header and the salt and commitment behind it: HKDF-Expand over all of them, by
    /// the suite's hash.
    pub(crate) fn header_tag(
        &self,
        suite: Suite,
        untagged_header: &[u8],
        salt: &Salt,
        commitment: &[u8; COMMITMENT_LEN],
    ) -> Result<[u8; TAG_LEN]> {
        let mut tag = [0; TAG_LEN];
        let info = [HEADER_LABEL, untagged_header, &salt.0, commitment];
        match suite {
            Suite::Aes256Gcm64KiB => self.sha256.expand(&info, &mut tag)?,
            Suite::Cobblestone256 => Preferred::expand(self.data_key.expose(), &info, &mut tag)?,
        }
        Ok(tag)
    }

    /// Refuses any other tag, in constant time.
    pub(crate) fn check_tag(
        &self,
        tag: &[u8],
        suite: Suite,
        untagged_header: &[u8],
        salt: &Salt,
        commitment: &[u8; COMMITMENT_LEN],
    ) -> Result<()> {
        let expected = self.header_tag(suite, untagged_header, salt, commitment)?;
        if bool::from(expected.as_slice().ct_eq(tag)) {
            return Ok(());
        }
        Err(Error::not_authentic())
    }
}

impl std::fmt::Debug for Schedule {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Schedule(..)")
    }
}

/// The AEAD key and base nonce of one message's chunks, and the commitment to them.
pub(crate) struct BodyKeys {
    pub(crate) aead: Aes256Gcm,
    pub(crate) base_nonce: [u8; NONCE_LEN],
    pub(crate) commitment: [u8; COMMITMENT_LEN],
}

impl BodyKeys {
    fn new(
        key: &[u8; 32],
        base_nonce: [u8; NONCE_LEN],
        commitment: [u8; COMMITMENT_LEN],
    ) -> Result<Self> {
        Ok(Self { aead: Aead::new(key)?, base_nonce, commitment })
    }

    /// Refuses any other commitment, in constant time.
    pub(crate) fn check(&self, commitment: &[u8; COMMITMENT_LEN]) -> Result<()> {
        if bool::from(self.commitment.ct_eq(commitment)) {
            return Ok(());
        }
        Err(Error::not_authentic())
    }
}
