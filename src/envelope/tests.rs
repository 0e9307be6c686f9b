//! The format: known answers, and what must be refused.

use super::{
    derive::{self, BodyKeys, Salt},
    head::Head,
    header::Header,
    opener::Opener,
    sealer::{Message, SealedHeader},
    suite::Suite,
};
use crate::{
    aead::{Backend, Preferred},
    context::{Context, EncryptionContext},
    error::{ErrorKind, Result},
    key::{DataKey, KeyName, WrapAlgorithm, Wrapped},
    stream::{Decryptor, chunk::ChunkOpener},
};

mod cobblestone;
mod known_answers;
