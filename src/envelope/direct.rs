//! Direct messages: a small payload that the provider's key encrypts itself.
//!
//! A framing of their own, FORMAT.md, "Direct message", so that neither a sealed message nor a
//! wrapped data key can be taken for one.

use super::header::{Reader, read_context};
use crate::{
    context::{Context, EncryptionContext, MAX_ENCODED_LEN},
    error::{Error, ErrorKind, Operation, Result},
    key::{KeyName, MAX_NAME_LEN, MAX_SCHEME_LEN, Plaintext, WrapAlgorithm, Wrapped},
    provider::{ContextBinding, CryptoProvider},
};

const MAGIC: &[u8; 5] = b"bulld";
const VERSION: u8 = 1;

/// The most bytes that a provider may make of a payload.
const MAX_BLOB_LEN: usize = 131_072;

/// A direct message, taken apart without a key.
///
/// Nothing in it is authenticated: who could write the message could have written any of this. It
/// is for routing and for showing; [`CryptoProviderExt`](crate::CryptoProviderExt) opens.
#[derive(Clone, Debug)]
pub struct DirectMessage {
    wrapped: Wrapped,
    stored: EncryptionContext,
}

impl DirectMessage {
    /// The most bytes that a direct message has.
    pub const MAX_LEN: usize = MAGIC.len()
        + 1
        + MAX_ENCODED_LEN
        + 1
        + MAX_SCHEME_LEN
        + 2
        + MAX_NAME_LEN
        + 4
        + MAX_BLOB_LEN;

    /// Whether these bytes begin as a direct message does.
    #[must_use]
    pub fn begins(bytes: &[u8]) -> bool {
        bytes.first_chunk() == Some(MAGIC)
    }

    /// Takes a direct message apart. FORMAT.md, "Direct message".
    ///
    /// # Errors
    /// [`ErrorKind::Malformed`] for anything else; [`ErrorKind::Unsupported`] for one of a version
    /// that is not known here.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        read(bytes)
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

/// Encrypts a small payload with the provider's key itself: one call for each.
pub(crate) async fn encrypt<C: CryptoProvider + ?Sized>(
    provider: &C,
    plaintext: &[u8],
    context: &Context,
) -> Result<Vec<u8>> {
    context.refuse_reserved()?;
    let capabilities = provider.capabilities();
    if capabilities.direct != ContextBinding::Bound {
        return Err(at(provider, Operation::Encrypt, unsupported()));
    }
    if plaintext.len() > capabilities.max_direct_len {
        let error = Error::invalid(format!(
            "direct mode takes at most {} bytes here; use `seal` for more",
            capabilities.max_direct_len
        ));
        return Err(at(provider, Operation::Encrypt, error));
    }
    let wrapped = provider.encrypt(plaintext, context.all()).await?;
    write(&wrapped, context.key())
}

/// Decrypts what [`encrypt`] made.
pub(crate) async fn decrypt<C: CryptoProvider + ?Sized>(
    provider: &C,
    sealed: &[u8],
    context: &Context,
) -> Result<Plaintext> {
    let wrapped = to_open(provider, Operation::Decrypt, sealed, context)?;
    provider.decrypt(&wrapped, context.all()).await.map_err(said)
}

/// Moves what [`encrypt`] made to the sealing key and another context.
pub(crate) async fn reencrypt<C: CryptoProvider + ?Sized>(
    provider: &C,
    sealed: &[u8],
    from: &Context,
    to: &Context,
) -> Result<Vec<u8>> {
    to.refuse_reserved()?;
    let wrapped = to_open(provider, Operation::Reencrypt, sealed, from)?;
    let moved = provider.reencrypt(&wrapped, from.all(), to.all()).await.map_err(said)?;
    write(&moved, to.key())
}

/// What the provider is to open, if it is its own.
fn to_open<C: CryptoProvider + ?Sized>(
    provider: &C,
    operation: Operation,
    sealed: &[u8],
    context: &Context,
) -> Result<Wrapped> {
    let DirectMessage { wrapped, stored } = read(sealed)?;
    context.covers(&stored)?;
    if provider.capabilities().direct != ContextBinding::Bound {
        return Err(at(provider, operation, unsupported()));
    }
    let Some(policy) = provider.opens(&wrapped.key) else {
        let error = Error::new(
            ErrorKind::NoRecipient,
            format!("encrypted with {}, which is not configured here", wrapped.key),
        );
        return Err(at(provider, operation, error));
    };
    // A key that binds nothing would decrypt a wrapped data key as if it were a payload.
    if policy.algorithm != WrapAlgorithm::Native || !policy.authenticates {
        return Err(at(provider, operation, unsupported()));
    }
    Ok(wrapped)
}

/// What is not authentic is one error, whoever says so.
fn said(error: Error) -> Error {
    match error.kind() {
        ErrorKind::NotAuthentic => Error::not_authentic(),
        _ => error,
    }
}

fn unsupported() -> Error {
    Error::new(
        ErrorKind::Unsupported,
        "this backend can't bind the context to a payload; use `seal` instead",
    )
}

fn at<C: CryptoProvider + ?Sized>(provider: &C, operation: Operation, error: Error) -> Error {
    error.with_provider(provider.label()).with_operation(operation)
}

fn write(wrapped: &Wrapped, stored: &EncryptionContext) -> Result<Vec<u8>> {
    let Wrapped { key, version, algorithm, blob } = wrapped;
    if *algorithm != WrapAlgorithm::Native || !(1..=MAX_BLOB_LEN).contains(&blob.len()) {
        return Err(Error::new(
            ErrorKind::Unsupported,
            format!("the provider of {key} made no direct ciphertext that the format can hold"),
        ));
    }
    let name = key.encode(version.as_ref())?;
    let mut out = Vec::with_capacity(64 + name.len() + blob.len());
    out.extend_from_slice(MAGIC);
    out.push(VERSION);
    out.extend_from_slice(&stored.encode());
    out.push(u8::try_from(key.scheme().len()).unwrap_or(u8::MAX));
    out.extend_from_slice(key.scheme().as_bytes());
    out.extend_from_slice(&u16::try_from(name.len()).unwrap_or(u16::MAX).to_be_bytes());
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(&u32::try_from(blob.len()).unwrap_or(u32::MAX).to_be_bytes());
    out.extend_from_slice(blob);
    Ok(out)
}

fn read(bytes: &[u8]) -> Result<DirectMessage> {
    let mut reader = Reader(bytes);
    if !DirectMessage::begins(bytes) {
        return Err(Error::malformed(match bytes.first_chunk() {
            Some(&super::header::MAGIC) => "this is a sealed message and no direct one; `open` it",
            _ => "this does not begin as a direct message of bulla does",
        }));
    }
    reader.take(MAGIC.len())?;
    if reader.u8()? != VERSION {
        return Err(Error::new(
            ErrorKind::Unsupported,
            "this version of direct message is not known to this version of bulla",
        ));
    }
    let stored = read_context(&mut reader)?;
    if stored.reserved_key().is_some() {
        return Err(Error::malformed("a direct message stores a pair that only the library sets"));
    }
    let scheme_len = usize::from(reader.u8()?);
    let scheme = reader.take_bounded(scheme_len, MAX_SCHEME_LEN)?;
    let name_len = usize::from(reader.u16()?);
    let name = reader.take_bounded(name_len, MAX_NAME_LEN)?;
    let (key, version) = KeyName::decode(scheme, name)?;
    let blob_len = usize::try_from(reader.u32()?).unwrap_or(usize::MAX);
    let blob = reader.take_bounded(blob_len, MAX_BLOB_LEN)?.to_vec();
    if !reader.0.is_empty() {
        return Err(Error::malformed("something stands behind the direct message"));
    }
    Ok(DirectMessage {
        wrapped: Wrapped { key, version, algorithm: WrapAlgorithm::Native, blob },
        stored,
    })
}
