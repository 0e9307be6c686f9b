//! `bulla store`.

#[cfg(feature = "store")]
mod audit;
#[cfg(feature = "store")]
mod get;
#[cfg(feature = "store")]
mod ls;
#[cfg(feature = "store")]
mod place;
#[cfg(feature = "store")]
pub(crate) mod put;
#[cfg(feature = "store")]
pub(crate) mod rewrap;

#[cfg(not(feature = "store"))]
use crate::failure::Failure;
use crate::{Session, args::StoreCommand, failure::Outcome};

/// Commands that a signal may end at any moment.
#[cfg(feature = "store")]
pub(crate) fn run(command: StoreCommand, session: &Session) -> Outcome<()> {
    match command {
        StoreCommand::Get(args) => get::run(args, session),
        StoreCommand::Cat(args) => get::cat(args, session),
        StoreCommand::Ls(args) => ls::run(&args, session),
        StoreCommand::Audit(args) => audit::run(args, session),
        // They run where signals are waited for, and this is not called.
        StoreCommand::Put(_) | StoreCommand::Rewrap(_) => Ok(()),
    }
}

#[cfg(not(feature = "store"))]
pub(crate) fn run(_: StoreCommand, _: &Session) -> Outcome<()> {
    Err(Failure::usage(
        "this build of bulla reaches no object stores; build it with `--features store`",
    ))
}
