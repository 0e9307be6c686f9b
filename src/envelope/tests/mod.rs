//! The format: known answers, and what must be refused.

#![allow(clippy::cast_possible_truncation, reason = "small numbers of test data")]

use super::{
    derive::{self, BodyKeys, Salt},
    head::Head,
    header::Header,
    message::{Message, SealedHeader},
    opener::Opener,
    sealer::Sealer,
    suite::Suite,
};
use crate::{
    CryptoProviderExt as _, DataKeys as _,
    aead::{Backend, Preferred},
    context::{Context, EncryptionContext},
    error::{Error, ErrorKind, Result},
    key::{DataKey, KeyName, KeyVersion, Plaintext, WrapAlgorithm, Wrapped},
    stream::{Decryptor, chunk::ChunkOpener},
    testing::Fake,
};

mod batch_direct;
mod cobblestone;
mod failover;
mod forged;
mod known_answers;
mod opening;
mod rewrap;

/// Key context `tenant` = `acme`, item context `row` = `7`.
pub(crate) fn context() -> Context {
    Context::new().with_key("tenant", "acme").unwrap().with_item("row", "7").unwrap()
}

#[track_caller]
pub(crate) fn kind<T: std::fmt::Debug>(result: Result<T>) -> ErrorKind {
    result.expect_err("this must fail").kind()
}

/// The beginning of a stream with a salt that is not random.
pub(crate) fn with_salt(
    suite: Suite,
    data_key: &DataKey,
    recipients: Vec<Wrapped>,
    context: &Context,
    salt: [u8; 24],
) -> SealedHeader {
    let message = Message { suite, shared: false, padded: Some(1024) };
    message.begin_with_salt(data_key, recipients, context, Salt(salt)).unwrap()
}
