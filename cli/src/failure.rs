//! How a run fails: a message, hints, and the exit code.

use std::{io, process::ExitCode};

use bulla::{Error, ErrorKind};

use crate::{say, shown};

/// What every step of a command returns.
pub(crate) type Outcome<T> = Result<T, Failure>;

/// Wrong usage: an argument at fault, or a scheme that this build has no provider for.
const USAGE: u8 = 2;
/// Not authentic, or not openable with these keys and this context.
const REFUSED: u8 = 3;
/// The provider can't serve now.
const UNAVAILABLE: u8 = 4;
/// Ended by a signal.
const INTERRUPTED: u8 = 130;
/// Anything else.
const OTHER: u8 = 1;

/// Why a run ends, as its user is told.
#[derive(Debug)]
pub(crate) struct Failure {
    code: u8,
    kind: Option<ErrorKind>,
    /// Nothing to say where whoever reads us has stopped reading.
    message: Option<String>,
    hints: Vec<String>,
}

impl Failure {
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new(USAGE, message)
    }

    pub(crate) fn other(message: impl Into<String>) -> Self {
        Self::new(OTHER, message)
    }

    /// Reading or writing `name` failed.
    pub(crate) fn io(name: &str, error: &io::Error) -> Self {
        Self::other(format!("{name}: {}", reason(error)))
    }

    pub(crate) fn interrupted() -> Self {
        Self::new(INTERRUPTED, "interrupted")
    }

    /// Standard output was closed by whoever read it: they have what they wanted.
    pub(crate) fn closed_pipe() -> Self {
        Self::told(0)
    }

    /// It was told already, such as by a report on standard output.
    pub(crate) fn told(code: u8) -> Self {
        Self { code, kind: None, message: None, hints: Vec::new() }
    }

    /// The exit code of an error of this kind, which is told otherwise.
    #[cfg(feature = "store")]
    pub(crate) fn of_kind(kind: ErrorKind) -> Self {
        Self::told(exit_code(kind))
    }

    fn new(code: u8, message: impl Into<String>) -> Self {
        Self { code, kind: None, message: Some(message.into()), hints: Vec::new() }
    }

    pub(crate) fn kind(&self) -> Option<ErrorKind> {
        self.kind
    }

    pub(crate) fn code(&self) -> u8 {
        self.code
    }

    /// Whether the same run may succeed a little later.
    pub(crate) fn may_pass(&self) -> bool {
        self.code == UNAVAILABLE
    }

    pub(crate) fn hints(&self) -> &[String] {
        &self.hints
    }

    /// The message without hints.
    pub(crate) fn message(&self) -> &str {
        self.message.as_deref().unwrap_or_default()
    }

    /// The message of something about a key, for those who have said its name already.
    pub(crate) fn message_of<'a>(message: &'a str, name: &str) -> &'a str {
        message.strip_prefix(name).and_then(|rest| rest.strip_prefix(": ")).unwrap_or(message)
    }

    /// Says which key it is about, once: errors of a provider do so themselves.
    pub(crate) fn of_key(mut self, name: &str) -> Self {
        self.message = self
            .message
            .map(|message| format!("{}: {}", shown::token(name), Self::message_of(&message, name)));
        self
    }

    /// Says what it is that failed, such as a file.
    pub(crate) fn at(mut self, name: &str) -> Self {
        self.message = self.message.map(|message| format!("{name}: {message}"));
        self
    }

    /// Adds to the message what is known besides.
    pub(crate) fn with(mut self, detail: &str) -> Self {
        self.message = self.message.map(|message| format!("{message}: {detail}"));
        self
    }

    /// Adds a line for something that is also wrong.
    pub(crate) fn and(mut self, other: &Self) -> Self {
        let also = format!("\n  {}", other.message());
        self.message.get_or_insert_default().push_str(&also);
        self
    }

    /// Adds a line on what may help.
    pub(crate) fn hint(mut self, text: impl Into<String>) -> Self {
        self.hints.push(text.into());
        self
    }

    /// Adds a hint if the library gave this kind of error.
    pub(crate) fn hint_if(self, kind: ErrorKind, text: impl FnOnce() -> String) -> Self {
        if self.kind == Some(kind) { self.hint(text()) } else { self }
    }

    /// Tells standard error, and hands the exit code on.
    pub(crate) fn report(self) -> ExitCode {
        if let Some(message) = &self.message {
            say::note(message);
        }
        self.hints.iter().for_each(|hint| say::hint(hint));
        ExitCode::from(self.code)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self { kind: Some(error.kind()), ..Self::new(exit_code(error.kind()), error.to_string()) }
    }
}

/// The exit code of the library's errors.
fn exit_code(kind: ErrorKind) -> u8 {
    match kind {
        ErrorKind::InvalidInput => USAGE,
        ErrorKind::NotAuthentic
        | ErrorKind::Malformed
        | ErrorKind::ContextMismatch
        | ErrorKind::InvalidToken
        | ErrorKind::NoRecipient => REFUSED,
        ErrorKind::Unavailable
        | ErrorKind::Timeout
        | ErrorKind::Throttled
        | ErrorKind::CircuitOpen => UNAVAILABLE,
        // Unsupported, NotFound, AlreadyExists, Denied, Disabled, PendingDeletion, Destroyed,
        // Damaged, QuotaExceeded, Closed, Io, Internal, and kinds of the future.
        _ => OTHER,
    }
}

/// The code of a run that found several things: what waiting can't mend comes first. 0 for none.
pub(crate) fn worst(codes: impl Iterator<Item = u8>) -> u8 {
    let rank = |code: &u8| match *code {
        0 => 0,
        UNAVAILABLE => 1,
        REFUSED => 2,
        USAGE => 4,
        _ => 3,
    };
    codes.max_by_key(rank).unwrap_or(0)
}

/// The system's words without its number.
fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    match text.split_once(" (os error ") {
        Some((words, _)) => words.to_owned(),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exit_codes_are_as_documented() {
        use ErrorKind as K;
        let table = [
            (2, &[K::InvalidInput] as &[K]),
            (
                3,
                &[
                    K::NotAuthentic,
                    K::Malformed,
                    K::ContextMismatch,
                    K::NoRecipient,
                    K::InvalidToken,
                ],
            ),
            (4, &[K::Unavailable, K::Timeout, K::Throttled, K::CircuitOpen]),
            (
                1,
                &[
                    K::Unsupported,
                    K::NotFound,
                    K::AlreadyExists,
                    K::Denied,
                    K::Disabled,
                    K::PendingDeletion,
                    K::Destroyed,
                    K::Damaged,
                    K::QuotaExceeded,
                    K::Closed,
                    K::Io,
                    K::Internal,
                ],
            ),
        ];
        for (code, kinds) in table {
            for kind in kinds {
                assert_eq!(exit_code(*kind), code, "{kind:?}");
            }
        }
    }

    #[test]
    fn system_errors_are_told_without_numbers() {
        let error = io::Error::from_raw_os_error(2);
        let failure = Failure::io("a.txt", &error);
        assert_eq!(failure.message.as_deref(), Some("a.txt: No such file or directory"));
        assert_eq!(failure.code, 1);
    }
}
