//! `bulla spiffe`.

#[cfg(feature = "spiffe")]
mod bundle;
#[cfg(feature = "spiffe")]
mod fetch;
#[cfg(feature = "spiffe")]
mod issue;
#[cfg(feature = "spiffe")]
mod serve;
#[cfg(feature = "spiffe")]
mod verify;

#[cfg(not(feature = "spiffe"))]
use crate::failure::Failure;
use crate::{Session, args::SpiffeCommand, failure::Outcome};

#[cfg(feature = "spiffe")]
pub(crate) use self::serve::{prepare, until};
#[cfg(feature = "spiffe")]
pub(super) use self::verify::of_trust_domain;

#[cfg(not(feature = "spiffe"))]
pub(crate) fn run(_: SpiffeCommand, _: &Session) -> Outcome<()> {
    Err(Failure::usage("this build of bulla has no SPIFFE; build it with `--features spiffe`"))
}

#[cfg(feature = "spiffe")]
pub(crate) fn run(command: SpiffeCommand, session: &Session) -> Outcome<()> {
    match command {
        SpiffeCommand::Issue(args) => issue::run(args, session),
        SpiffeCommand::Fetch(args) => fetch::run(args, session),
        SpiffeCommand::Verify(args) => verify::run(args, session),
        SpiffeCommand::Bundle(args) => bundle::run(&args, session),
        // It runs where signals are waited for.
        SpiffeCommand::Serve(_) => Ok(()),
    }
}
