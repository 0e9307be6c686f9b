//! A fresh data key for every message, wrapped for its recipients, or for as many as must be.

use std::{ops::Deref, sync::Arc};

use futures_util::future::join_all;

use crate::{
    context::EncryptionContext,
    error::{Error, ErrorKind, Operation, Result},
    format::derive::Schedule,
    key::{KeyName, Wrapped},
    provider::{CryptoProvider, DataKeys as _},
};

/// How many of a sealer's recipients must take part when a message is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum WritePolicy {
    /// All of them: if one fails, nothing is written.
    #[default]
    All,
    /// At least so many, 1 or more. Those that failed are reported as [`MissingRecipient`]s, and a
    /// [`rewrap`](crate::Opener::rewrap) adds them later.
    ///
    /// A message that lacks a recipient can be read by fewer than you meant: if the others are
    /// lost before it is repaired, so is the message.
    AtLeast(usize),
}

/// A recipient that a message was meant for and lacks.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct MissingRecipient {
    /// The provider's label.
    pub provider: Arc<str>,
    /// The key that did not wrap.
    pub key: Option<KeyName>,
    /// Why.
    pub error: Error,
}

/// A data key and who can unwrap it.
#[derive(Debug)]
pub(super) struct Fresh {
    pub(super) schedule: Schedule,
    pub(super) recipients: Vec<Wrapped>,
    pub(super) missing: Vec<MissingRecipient>,
}

/// One call a recipient: one generates, the others wrap, at the same time.
///
/// Whoever comes first in the list generates; under [`WritePolicy::AtLeast`] the next one does if
/// that fails, the more available ones before the others.
pub(super) async fn fresh_data_key<P>(
    providers: &[P],
    policy: WritePolicy,
    context: &EncryptionContext,
) -> Result<Fresh>
where
    P: Deref<Target: CryptoProvider> + Send + Sync,
{
    let least = match policy {
        WritePolicy::All => providers.len(),
        WritePolicy::AtLeast(least) => least,
    };
    let mut order: Vec<&P> = providers.iter().collect();
    if policy != WritePolicy::All {
        order.sort_by_key(|provider| provider.availability()); // stable: the list's order otherwise
    }
    let mut missing = Vec::new();
    let mut rest = order.into_iter();
    let (data_key, first) = loop {
        let Some(provider) = rest.next() else { return Err(too_few(least, missing)) };
        match provider.generate_data_key(context).await {
            Ok(made) => break made,
            Err(error) => missing.push(missed(&**provider, error)),
        }
        if providers.len() - missing.len() < least {
            return Err(too_few(least, missing));
        }
    };
    let others: Vec<&P> = rest.collect();
    if others.is_empty() && missing.is_empty() {
        return Ok(Fresh { schedule: Schedule::new(data_key)?, recipients: vec![first], missing });
    }
    let wraps = others.iter().map(|other| other.wrap_data_key(&data_key, context));
    let mut recipients = vec![first];
    for (provider, wrapped) in others.iter().zip(join_all(wraps).await) {
        match wrapped {
            Ok(wrapped) => recipients.push(wrapped),
            Err(error) => missing.push(missed(&***provider, error)),
        }
    }
    if recipients.len() < least {
        return Err(too_few(least, missing));
    }
    Ok(Fresh { schedule: Schedule::new(data_key)?, recipients, missing })
}

fn missed<C: CryptoProvider + ?Sized>(provider: &C, error: Error) -> MissingRecipient {
    MissingRecipient {
        provider: Arc::from(provider.label()),
        key: provider.sealing_key().cloned(),
        error,
    }
}

/// What may pass if tried again is what is told, and who failed beside it.
fn too_few(least: usize, missing: Vec<MissingRecipient>) -> Error {
    let count = missing.len();
    let worst = missing.into_iter().min_by_key(|m| !m.error.is_retryable()).map(|m| {
        if m.error.provider().is_some() { m.error } else { m.error.with_provider(m.provider) }
    });
    let Some(error) = worst else {
        return Error::new(ErrorKind::InvalidInput, "there is no recipient");
    };
    if count == 1 {
        return error;
    }
    let (kind, others) = (error.kind(), count - 1);
    let text = format!(
        "{} (and {others} other recipient(s) failed; {least} must succeed)",
        error.message()
    );
    error.told_as(kind, text).with_operation(Operation::Seal)
}
