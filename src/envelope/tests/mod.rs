//! The format: known answers, and what must be refused.

#![allow(clippy::cast_possible_truncation, reason = "small numbers of test data")]

use super::{opener::Opener, sealer::Sealer};
use crate::{
    CryptoProviderExt as _, DataKeys as _,
    context::{Context, EncryptionContext},
    crypto::{Backend, Preferred},
    error::{Error, ErrorKind, Result},
    format::{
        Head, Header, Message, Preamble, Sealing, Suite, Transform,
        chunk::ChunkOpener,
        derive::{Salt, Schedule},
    },
    key::{DataKey, KeyName, KeyVersion, Plaintext, WrapAlgorithm, Wrapped},
    stream::Decryptor,
    testing::Fake,
};

mod batch_direct;
mod cobblestone;
mod failover;
mod forged;
mod known_answers;
mod opening;
mod rewrap;
mod transform;

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
) -> Sealing {
    let message = Message { suite, shared: false, padded: Some(1024) };
    let schedule = Schedule::new(data_key.share()).unwrap();
    message.begin_with(&schedule, Head::Recipients(&recipients), context, Salt(salt), 0).unwrap()
}
