//! Direct messages: a small payload that the provider's key encrypts itself.
//!
//! A framing of their own, FORMAT.md, "Direct message", so that neither a sealed message nor a
//! wrapped data key can be taken for one.

use super::{
    DIRECT_MAGIC, MAGIC,
    reader::{Reader, read_context},
    recipient,
};
use crate::{
    context::EncryptionContext,
    error::{Error, ErrorKind, Result},
    key::{MAX_NAME_LEN, MAX_SCHEME_LEN, WrapAlgorithm, Wrapped},
};

const VERSION: u8 = 1;

/// The most bytes that a provider may make of a payload.
const MAX_BLOB_LEN: usize = 131_072;

/// A direct message, taken apart without a key.
///
/// Nothing in it is authenticated: who could write the message could have written any of this. It
/// is for routing and for showing; [`CryptoProviderExt`](crate::CryptoProviderExt) opens.
#[derive(Clone, Debug)]
pub struct DirectMessage {
    pub(crate) wrapped: Wrapped,
    pub(crate) stored: EncryptionContext,
}

impl DirectMessage {
    /// The most bytes that a direct message has.
    pub const MAX_LEN: usize = DIRECT_MAGIC.len()
        + 1
        + EncryptionContext::MAX_ENCODED_LEN
        + 1
        + MAX_SCHEME_LEN
        + 2
        + MAX_NAME_LEN
        + 4
        + MAX_BLOB_LEN;

    /// Whether these bytes begin as a direct message does.
    #[must_use]
    pub fn begins(bytes: &[u8]) -> bool {
        bytes.first_chunk() == Some(&DIRECT_MAGIC)
    }

    /// Takes a direct message apart. FORMAT.md, "Direct message".
    ///
    /// # Errors
    /// [`ErrorKind::Malformed`] for anything else; [`ErrorKind::Unsupported`] for one of a version
    /// that is not known here.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        let mut reader = Reader(bytes);
        if !Self::begins(bytes) {
            return Err(Error::malformed(match bytes.first_chunk() {
                Some(&MAGIC) => "this is a sealed message and no direct one; `open` it",
                _ => "this does not begin as a direct message of bulla does",
            }));
        }
        reader.take(DIRECT_MAGIC.len())?;
        if reader.u8()? != VERSION {
            return Err(Error::new(
                ErrorKind::Unsupported,
                "this version of direct message is not known to this version of bulla",
            ));
        }
        let stored = read_context(&mut reader)?;
        if stored.reserved_key().is_some() {
            return Err(Error::malformed(
                "a direct message stores a pair that only the library sets",
            ));
        }
        let (key, version) = recipient::read_name(&mut reader)?;
        let blob_len = usize::try_from(reader.u32()?).unwrap_or(usize::MAX);
        let blob = reader.take_bounded(blob_len, MAX_BLOB_LEN)?.to_vec();
        if !reader.0.is_empty() {
            return Err(Error::malformed("something stands behind the direct message"));
        }
        Ok(Self {
            wrapped: Wrapped { key, version, algorithm: WrapAlgorithm::Native, blob },
            stored,
        })
    }

    /// The frame around what a provider made of a payload.
    pub(crate) fn write(wrapped: &Wrapped, stored: &EncryptionContext) -> Result<Vec<u8>> {
        let Wrapped { key, version, algorithm, blob } = wrapped;
        if *algorithm != WrapAlgorithm::Native || !(1..=MAX_BLOB_LEN).contains(&blob.len()) {
            return Err(Error::new(
                ErrorKind::Unsupported,
                format!("the provider of {key} made no direct ciphertext that the format can hold"),
            ));
        }
        let mut out = Vec::with_capacity(128 + key.id().len() + blob.len());
        out.extend_from_slice(&DIRECT_MAGIC);
        out.push(VERSION);
        out.extend_from_slice(&stored.encode());
        recipient::write_name(&mut out, key, version.as_ref())?;
        out.extend_from_slice(&u32::try_from(blob.len()).unwrap_or(u32::MAX).to_be_bytes());
        out.extend_from_slice(blob);
        Ok(out)
    }

    /// The key that opens, and what its provider made of the payload.
    #[must_use]
    pub const fn wrapped(&self) -> &Wrapped {
        &self.wrapped
    }

    /// The stored pairs. There may be others that are not.
    #[must_use]
    pub const fn stored_context(&self) -> &EncryptionContext {
        &self.stored
    }
}
