//! Material under a passphrase: Argon2id, and the software wrap of the core.

use std::sync::{Mutex, PoisonError};

use argon2::{Algorithm, Argon2, Block, Params, Version};
use bulla::{Error, ErrorKind, Result, provider::SoftwareKek};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::{
    encoding::{from_base64, to_base64},
    key_type::KeyType,
    name::{KeyId, fill_random},
    passphrase::Passphrase,
};

const SALT_LEN: usize = 16;

/// What new versions get: the memory of RFC 9106's second recommendation (section 4), in KiB.
const NEW_MEMORY: u32 = 64 * 1024;
const NEW_PASSES: u32 = 3;
const NEW_LANES: u32 = 1;

/// What is accepted from a file, so that a planted file can't exhaust memory or time.
const MAX_MEMORY: u32 = 1024 * 1024;
const MAX_PASSES: u32 = 16;
const MAX_LANES: u32 = 8;

/// Held while Argon2id runs: one at a time in this process, whoever asks for how many.
static RUNNING: Mutex<()> = Mutex::new(());

/// The parameters of Argon2id (RFC 9106), version 1.3, for one version of a key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Kdf {
    /// Memory in KiB.
    m: u32,
    /// Passes.
    t: u32,
    /// Lanes.
    p: u32,
    salt: Salt,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
struct Salt([u8; SALT_LEN]);

/// What a protected file is tied to beside its passphrase.
#[derive(Clone, Copy)]
pub(crate) struct Place<'a> {
    pub(crate) id: &'a KeyId,
    pub(crate) version: u32,
    pub(crate) key_type: KeyType,
}

impl Kdf {
    /// Today's parameters and a fresh salt.
    pub(crate) fn generate() -> Result<Self> {
        let mut salt = [0; SALT_LEN];
        fill_random(&mut salt)?;
        Ok(Self { m: NEW_MEMORY, t: NEW_PASSES, p: NEW_LANES, salt: Salt(salt) })
    }

    pub(crate) fn protect(
        &self,
        passphrase: &Passphrase,
        place: Place<'_>,
        material: &[u8],
    ) -> Result<Vec<u8>> {
        self.kek(passphrase)?.wrap(material, &self.aad(place))
    }

    /// Undoes [`protect`](Self::protect); [`ErrorKind::NotAuthentic`] if it wasn't this passphrase.
    pub(crate) fn unprotect(
        &self,
        passphrase: &Passphrase,
        place: Place<'_>,
        blob: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>> {
        self.kek(passphrase)?.unwrap(blob, &self.aad(place))
    }

    fn kek(&self, passphrase: &Passphrase) -> Result<SoftwareKek> {
        if passphrase.as_bytes().is_empty() {
            return Err(Error::new(ErrorKind::InvalidInput, "the passphrase is empty"));
        }
        if self.m > MAX_MEMORY || self.t > MAX_PASSES || self.p > MAX_LANES {
            return Err(Error::new(
                ErrorKind::InvalidInput,
                format!(
                    "Argon2id with m={}, t={}, p={} is over the limits m={MAX_MEMORY}, \
                     t={MAX_PASSES}, p={MAX_LANES}",
                    self.m, self.t, self.p
                ),
            ));
        }
        let params =
            Params::new(self.m, self.t, self.p, Some(32)).map_err(|error| argon2_error(&error))?;
        let mut key = Zeroizing::new([0; 32]);
        let _running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
        let mut memory = working_memory(params.block_count());
        Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
            .hash_password_into_with_memory(
                passphrase.as_bytes(),
                &self.salt.0,
                key.as_mut(),
                &mut **memory,
            )
            .map_err(|error| argon2_error(&error))?;
        Ok(SoftwareKek::from_bytes(&key))
    }

    /// What the wrap authenticates: label, id, version, type, m, t, p and salt. See FORMAT.md.
    fn aad(&self, place: Place<'_>) -> Vec<u8> {
        let key_type = place.key_type.as_str().as_bytes();
        // The names of types are a few bytes long.
        let type_len = u8::try_from(key_type.len()).unwrap_or(u8::MAX);
        [
            b"bulla/1 local-key\0".as_slice(),
            place.id.as_bytes(),
            &place.version.to_be_bytes(),
            &[type_len],
            key_type,
            &self.m.to_be_bytes(),
            &self.t.to_be_bytes(),
            &self.p.to_be_bytes(),
            &self.salt.0,
        ]
        .concat()
    }
}

/// Memory for Argon2id that is wiped: the key can be computed from its last blocks.
fn working_memory(blocks: usize) -> Zeroizing<Box<[Block]>> {
    Zeroizing::new(vec![Block::new(); blocks].into_boxed_slice())
}

fn argon2_error(error: &argon2::Error) -> Error {
    Error::new(ErrorKind::InvalidInput, format!("Argon2id refuses its parameters: {error}"))
}

impl TryFrom<String> for Salt {
    type Error = &'static str;

    fn try_from(text: String) -> std::result::Result<Self, Self::Error> {
        let bytes = from_base64(&text).ok().and_then(|b| b.as_slice().try_into().ok());
        bytes.map(Self).ok_or("a salt is not 16 bytes in base64")
    }
}

impl From<Salt> for String {
    fn from(salt: Salt) -> Self {
        to_base64(&salt.0).to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cheap() -> Kdf {
        Kdf { m: 8, t: 1, p: 1, salt: Salt([7; SALT_LEN]) }
    }

    #[test]
    fn binds_passphrase_place_and_parameters() {
        let (id, other) = (KeyId::generate().unwrap(), KeyId::generate().unwrap());
        let place = Place { id: &id, version: 1, key_type: KeyType::Aes256 };
        let right = Passphrase::new("right".into());
        let blob = cheap().protect(&right, place, b"material").unwrap();
        assert_eq!(**cheap().unprotect(&right, place, &blob).unwrap(), *b"material");

        let fails = |kdf: &Kdf, passphrase: &str, place: Place<'_>| {
            let error = kdf.unprotect(&Passphrase::new(passphrase.into()), place, &blob);
            assert_eq!(error.unwrap_err().kind(), ErrorKind::NotAuthentic);
        };
        fails(&cheap(), "wrong", place);
        fails(&cheap(), "right", Place { id: &other, ..place });
        fails(&cheap(), "right", Place { version: 2, ..place });
        fails(&cheap(), "right", Place { key_type: KeyType::P256, ..place });
        fails(&Kdf { t: 2, ..cheap() }, "right", place);
        fails(&Kdf { salt: Salt([8; SALT_LEN]), ..cheap() }, "right", place);
    }

    #[test]
    fn bounds_hold_before_anything_is_allocated() {
        let id = KeyId::generate().unwrap();
        let place = Place { id: &id, version: 1, key_type: KeyType::Aes256 };
        for kdf in [
            Kdf { m: u32::MAX, ..cheap() },
            Kdf { t: u32::MAX, ..cheap() },
            Kdf { m: 1024, p: 9, ..cheap() },
            Kdf { m: 0, ..cheap() },
            Kdf { t: 0, ..cheap() },
            Kdf { p: 0, ..cheap() },
        ] {
            let error = kdf.unprotect(&Passphrase::new("p".into()), place, b"").unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{kdf:?}");
        }
    }

    #[test]
    fn working_memory_is_wiped_block_by_block() {
        let mut memory = working_memory(8);
        for block in &mut *memory {
            block.as_mut().fill(7);
        }
        zeroize::Zeroize::zeroize(&mut memory);
        assert_eq!(memory.len(), 8);
        assert!(memory.iter().all(|block| block.as_ref().iter().all(|word| *word == 0)));
    }

    #[test]
    fn the_aad_is_as_documented() {
        let id = KeyId::parse("000102030405060708090a0b0c0d0e0f").unwrap();
        let aad = cheap().aad(Place { id: &id, version: 258, key_type: KeyType::Aes256 });
        let mut expected = b"bulla/1 local-key\0".to_vec();
        expected.extend(0..16u8);
        expected.extend([0, 0, 1, 2, 7]);
        expected.extend(b"aes-256");
        expected.extend([0, 0, 0, 8, 0, 0, 0, 1, 0, 0, 0, 1]);
        expected.extend([7; 16]);
        assert_eq!(aad, expected);
    }
}
