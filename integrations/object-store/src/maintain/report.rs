//! What a rotation did.

use super::{Failure, State};

/// What became of one object.
#[derive(Debug)]
#[non_exhaustive]
pub enum Outcome {
    /// Its header was exchanged. `through` is how many bytes of it passed through this process.
    Rewrapped {
        /// Bytes read and written again.
        through: u64,
    },
    /// It would have been, were this not a dry run.
    Due,
    /// It is as it shall be already.
    Current,
    /// It is sealed to none of the keys that are to be replaced.
    Other,
    /// It was found to be one of these by an earlier run, and has not been replaced since.
    Known,
    /// It is not sealed, and left alone.
    NotSealed(State),
    /// It should have been, and was left as it is.
    Failed(Failure),
}

/// How many objects became what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// How many were listed.
    pub objects: u64,
    /// How many headers were exchanged.
    pub rewrapped: u64,
    /// How many are due, in a dry run.
    pub due: u64,
    /// How many were as they shall be.
    pub current: u64,
    /// How many are sealed to other keys.
    pub other: u64,
    /// How many the checkpoint knew.
    pub known: u64,
    /// How many are not sealed.
    pub not_sealed: u64,
    /// How many were left as they are though they should not have been.
    pub failed: u64,
    /// How many bytes of objects passed through this process.
    pub through: u64,
    /// Whether it was stopped before the end.
    pub stopped: bool,
}

impl Report {
    /// Whether all was looked at and nothing failed.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        !self.stopped && self.failed == 0
    }

    pub(super) fn add(&mut self, outcome: &Outcome) {
        self.objects += 1;
        match outcome {
            Outcome::Rewrapped { through } => {
                self.rewrapped += 1;
                self.through = self.through.saturating_add(*through);
            }
            Outcome::Due => self.due += 1,
            Outcome::Current => self.current += 1,
            Outcome::Other => self.other += 1,
            Outcome::Known => self.known += 1,
            Outcome::NotSealed(_) => self.not_sealed += 1,
            Outcome::Failed(_) => self.failed += 1,
        }
    }
}
