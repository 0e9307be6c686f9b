//! `bulla token`.

mod claims;
mod inspect;
mod refusal;
mod sign;
mod verify;

#[cfg(feature = "spiffe")]
pub(super) use refusal::{Place, explain};
#[cfg(feature = "oauth")]
pub(super) use sign::signer;
pub(super) use sign::{DEFAULT_RSA, signed};
#[cfg(feature = "spiffe")]
pub(super) use sign::{provider_keys, signing_key};

use std::path::{Path, PathBuf};

use bulla::{
    Error, ErrorKind,
    jwt::{DEFAULT_MAX_LEN, decode_unverified},
};

use crate::{
    Session,
    args::TokenCommand,
    failure::{Failure, Outcome},
    input::Source,
};

/// `\r\n`
const LINE_END_LEN: usize = 2;

pub(crate) fn run(command: TokenCommand, session: &Session) -> Outcome<()> {
    match command {
        TokenCommand::Sign(args) => sign::run(args, session),
        TokenCommand::Verify(args) => verify::run(args, session),
        TokenCommand::Inspect(args) => inspect::run(args),
    }
}

/// A token as it was found, and where.
pub(super) struct Token {
    pub(super) text: String,
    name: String,
}

impl Token {
    /// Reads a token with or without the end of a line behind it.
    pub(super) fn read(file: Option<PathBuf>) -> Outcome<Self> {
        refuse_pasted(file.as_deref())?;
        let input = Source::choose(file)?.open()?;
        let name = input.name.clone();
        let most = DEFAULT_MAX_LEN + LINE_END_LEN;
        let bytes = input.read_all(most as u64)?.ok_or_else(|| {
            let error = Error::new(ErrorKind::InvalidToken, "the token is longer than 16 KiB");
            Failure::from(error).at(&name)
        })?;
        // What is not UTF-8 is no base64url either, and stays refused.
        let text = String::from_utf8_lossy(&bytes);
        let text = text.strip_suffix('\n').unwrap_or(&text);
        let text = text.strip_suffix('\r').unwrap_or(text).to_owned();
        Ok(Self { text, name })
    }
}

/// A token in the place of its file is in the shell's history by now; the message about a file that
/// is not there would put it in logs as well.
fn refuse_pasted(file: Option<&Path>) -> Outcome<()> {
    let text = file.and_then(Path::to_str).unwrap_or_default();
    if decode_unverified(text).is_err() || file.is_some_and(Path::exists) {
        return Ok(());
    }
    Err(Failure::usage("a token is read from a file or from standard input, not from an argument")
        .hint("shells keep arguments in their history, and other users may see them"))
}
