//! What is wrong with a configuration.

use std::{error::Error as StdError, fmt, io};

use bulla::{Error, ErrorKind};

/// More mistakes than this are counted, and not shown.
const MOST_TOLD: usize = 20;

/// A configuration that was not read, and why: all mistakes in it, each with its place.
///
/// As text it has a line for each mistake: `bulla.toml:4:1: unknown field …`. It quotes the
/// configuration, escaped so that it may go to a terminal.
#[derive(Debug)]
pub struct ConfigError {
    origin: String,
    why: Why,
}

#[derive(Debug)]
enum Why {
    Unread(io::Error),
    Refused(String),
    Mistaken(Vec<Mistake>),
}

/// A mistake in a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Mistake {
    /// The line, from 1.
    pub line: usize,
    /// The column, in characters, from 1.
    pub column: usize,
    /// What is wrong, and what to do, in one line.
    pub text: String,
}

impl ConfigError {
    /// What was to be read: the file's name, or that of an environment variable, fit to be shown.
    #[must_use]
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// [`InvalidInput`](ErrorKind::InvalidInput), unless the file is not there
    /// ([`NotFound`](ErrorKind::NotFound)) or can't be read ([`Io`](ErrorKind::Io)).
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match &self.why {
            Why::Unread(error) => match error.kind() {
                io::ErrorKind::NotFound => ErrorKind::NotFound,
                io::ErrorKind::IsADirectory => ErrorKind::InvalidInput,
                _ => ErrorKind::Io,
            },
            Why::Refused(_) | Why::Mistaken(_) => ErrorKind::InvalidInput,
        }
    }

    /// All mistakes, in the order of the text. None if it is not about what is in the text.
    ///
    /// What does not parse as TOML is told alone: what comes behind it may not be what was meant.
    #[must_use]
    pub fn mistakes(&self) -> &[Mistake] {
        match &self.why {
            Why::Mistaken(mistakes) => mistakes,
            Why::Unread(_) | Why::Refused(_) => &[],
        }
    }

    pub(crate) fn unread(origin: String, error: io::Error) -> Self {
        Self { origin, why: Why::Unread(error) }
    }

    pub(crate) fn refused(origin: &str, text: impl Into<String>) -> Self {
        Self { origin: origin.to_owned(), why: Why::Refused(text.into()) }
    }

    pub(crate) fn mistaken(origin: &str, mistakes: Vec<Mistake>) -> Self {
        Self { origin: origin.to_owned(), why: Why::Mistaken(mistakes) }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { origin, why } = self;
        match why {
            Why::Unread(error) if error.kind() == io::ErrorKind::IsADirectory => {
                write!(f, "{origin}: is a directory and no configuration")
            }
            Why::Unread(error) => write!(f, "{origin}: {error}"),
            Why::Refused(text) => write!(f, "{origin}: {text}"),
            Why::Mistaken(mistakes) => {
                for (index, Mistake { line, column, text }) in
                    mistakes.iter().take(MOST_TOLD).enumerate()
                {
                    let end = if index == 0 { "" } else { "\n" };
                    write!(f, "{end}{origin}:{line}:{column}: {text}")?;
                }
                match mistakes.len().saturating_sub(MOST_TOLD) {
                    0 => Ok(()),
                    more => write!(f, "\n{origin}: and {more} more"),
                }
            }
        }
    }
}

impl StdError for ConfigError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match &self.why {
            Why::Unread(error) => Some(error),
            Why::Refused(_) | Why::Mistaken(_) => None,
        }
    }
}

impl From<ConfigError> for Error {
    /// In one line, for logs.
    fn from(error: ConfigError) -> Self {
        Self::new(error.kind(), error.to_string().replace('\n', "; "))
    }
}
