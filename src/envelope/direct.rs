//! Direct mode: a small payload that the provider's key encrypts itself.

use crate::{
    context::Context,
    error::{Error, ErrorKind, Operation, Result},
    format::DirectMessage,
    key::{Plaintext, WrapAlgorithm, Wrapped},
    provider::{ContextBinding, CryptoProvider},
};

/// Encrypts a small payload with the provider's key itself: one call for each.
pub(crate) async fn encrypt<C: CryptoProvider + ?Sized>(
    provider: &C,
    plaintext: &[u8],
    context: &Context,
) -> Result<Vec<u8>> {
    context.refuse_all_reserved()?;
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
    DirectMessage::write(&wrapped, context.key())
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
    to.refuse_all_reserved()?;
    let wrapped = to_open(provider, Operation::Reencrypt, sealed, from)?;
    let moved = provider.reencrypt(&wrapped, from.all(), to.all()).await.map_err(said)?;
    DirectMessage::write(&moved, to.key())
}

/// What the provider is to open, if it is its own.
fn to_open<C: CryptoProvider + ?Sized>(
    provider: &C,
    operation: Operation,
    sealed: &[u8],
    context: &Context,
) -> Result<Wrapped> {
    context.refuse_all_reserved()?;
    let DirectMessage { wrapped, stored } = DirectMessage::parse(sealed)?;
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
