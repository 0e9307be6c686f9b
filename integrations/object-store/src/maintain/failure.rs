//! Why an object was left as it is, and why a run ended.

use std::{error::Error as StdError, fmt, io, path::PathBuf};

use super::{Report, State};

/// Why one object was left as it is. The run goes on with the others.
#[derive(Debug)]
#[non_exhaustive]
pub enum Failure {
    /// Somebody else replaced the object meanwhile, more often than it was tried again. What they wrote
    /// stands; run again.
    Changed,
    /// It can't be told what it is sealed to.
    State(State, Option<String>),
    /// No data key could be had or made: as for [`Opener::rewrap`](bulla::Opener::rewrap).
    Keys(bulla::Error),
    /// The new header has another length, which was not allowed.
    Resized {
        /// The bytes of the old preamble.
        from: usize,
        /// The bytes of the new one.
        to: usize,
    },
    /// The object is too large to be written in one piece, and the store can replace larger ones only
    /// without a condition.
    TooLarge {
        /// Its length in bytes.
        size: u64,
        /// How long it may be.
        most: u64,
    },
    /// The store can't replace an object under a condition, and that was not allowed. It ends the run.
    Unconditional,
    /// Replacing it is not safe, or something of an interrupted run is in the way.
    Refused(String),
    /// The store failed.
    Store(object_store::Error),
    /// A local file could not be read or written.
    Io(io::Error),
}

impl Failure {
    /// Whether the same may succeed in a later run without anybody doing anything.
    #[must_use]
    pub fn may_pass(&self) -> bool {
        match self {
            Self::Changed | Self::Store(_) | Self::Io(_) => true,
            Self::Keys(error) => error.is_retryable(),
            Self::State(state, _) => *state == State::Unread,
            Self::Resized { .. }
            | Self::TooLarge { .. }
            | Self::Unconditional
            | Self::Refused(_) => false,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Changed => {
                f.write_str("somebody else replaced it meanwhile; it is as they left it")
            }
            Self::State(state, None) => write!(f, "it is {state}"),
            Self::State(state, Some(why)) => write!(f, "it is {state}: {why}"),
            Self::Keys(error) => error.fmt(f),
            Self::Resized { from, to } => write!(
                f,
                "its head would have {to} bytes and not {from}, and a store that counts on one length \
                 could not tell its size any more"
            ),
            Self::TooLarge { size, most } => write!(
                f,
                "it has {size} bytes, and this store replaces no more than {most} under a condition"
            ),
            Self::Unconditional => f.write_str(UNCONDITIONAL),
            Self::Refused(why) => f.write_str(why),
            Self::Store(error) => error.fmt(f),
            Self::Io(error) => error.fmt(f),
        }
    }
}

impl StdError for Failure {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            Self::Keys(error) => Some(error),
            Self::Store(error) => Some(error),
            Self::Io(error) => Some(error),
            Self::Changed
            | Self::State(..)
            | Self::Resized { .. }
            | Self::TooLarge { .. }
            | Self::Unconditional
            | Self::Refused(_) => None,
        }
    }
}

impl From<object_store::Error> for Failure {
    fn from(error: object_store::Error) -> Self {
        match error {
            object_store::Error::Precondition { .. } => Self::Changed,
            object_store::Error::NotFound { .. } => Self::State(State::Gone, None),
            other => Self::Store(other),
        }
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// A run that did not get to the end. What it did stands, and the same run goes on from there.
#[derive(Debug)]
pub struct RunError {
    /// What it did until then.
    pub report: Report,
    /// Why it ended.
    pub reason: Reason,
}

/// Why a run ended before it had looked at everything.
#[derive(Debug)]
#[non_exhaustive]
pub enum Reason {
    /// The store could not be listed.
    List(object_store::Error),
    /// The store can't replace an object under a condition, so that another writer could be overwritten;
    /// that was not allowed.
    Unconditional,
    /// One object after the other failed for want of the keys or the store; the last failure.
    Outage(Failure),
    /// The checkpoint could not be read or written.
    Checkpoint {
        /// Its file.
        path: PathBuf,
        /// What happened.
        source: io::Error,
    },
    /// The checkpoint is one of other keys, another store or another prefix, or no checkpoint at all.
    OtherPlan(PathBuf),
}

const UNCONDITIONAL: &str = "this store can't replace an object under a condition, so that what others \
                             write meanwhile could be lost";

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::List(error) => write!(f, "the objects can't be listed: {error}"),
            Self::Unconditional => f.write_str(UNCONDITIONAL),
            Self::Outage(failure) => {
                write!(f, "ended, since one object after the other failed: {failure}")
            }
            Self::Checkpoint { path, source } => write!(f, "{}: {source}", path.display()),
            Self::OtherPlan(path) => write!(
                f,
                "{}: this is no checkpoint of these keys, this store and this prefix",
                path.display()
            ),
        }
    }
}

impl fmt::Display for RunError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.reason.fmt(f)
    }
}

impl StdError for RunError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match &self.reason {
            Reason::List(error) => Some(error),
            Reason::Outage(failure) => Some(failure),
            Reason::Checkpoint { source, .. } => Some(source),
            Reason::Unconditional | Reason::OtherPlan(_) => None,
        }
    }
}
