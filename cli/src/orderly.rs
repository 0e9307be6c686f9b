//! Commands that end in good order when a signal comes: what they have begun is brought to an end, or undone.

#[cfg(any(feature = "serve", feature = "spiffe", feature = "store"))]
use std::{future::Future, pin::Pin};

#[cfg(feature = "serve")]
use crate::command::serve;
use crate::{Ended, Session, args::Command, interrupt::Interrupts};
#[cfg(feature = "spiffe")]
use crate::{args::SpiffeCommand, command::spiffe};
#[cfg(feature = "store")]
use crate::{
    args::StoreCommand,
    command::store::{put, rewrap},
};
#[cfg(any(feature = "serve", feature = "spiffe", feature = "store"))]
use crate::{
    failure::{Failure, Outcome},
    say,
};

/// A command that any signal may end at once, and what it is run with.
pub(crate) type Other = (Command, Session, Interrupts);

/// Runs the command, if it is one of these.
#[cfg_attr(
    not(any(feature = "serve", feature = "spiffe", feature = "store")),
    allow(clippy::unused_async, reason = "the features' commands are awaited")
)]
pub(crate) async fn run(
    command: Command,
    session: Session,
    interrupts: Interrupts,
) -> Result<Ended, Box<Other>> {
    match command {
        #[cfg(feature = "serve")]
        Command::Serve(args) => {
            let prepare = move |session: &Session| serve::prepare(&args, session);
            Ok(orderly(prepare, serve::until::<Stop>, session, interrupts).await)
        }
        #[cfg(feature = "spiffe")]
        Command::Spiffe(SpiffeCommand::Serve(args)) => {
            let prepare = move |session: &Session| spiffe::prepare(*args, session);
            Ok(orderly(prepare, spiffe::until::<Stop>, session, interrupts).await)
        }
        #[cfg(feature = "store")]
        Command::Store(StoreCommand::Put(args)) => {
            let prepare = move |session: &Session| put::prepare(*args, session);
            Ok(orderly(prepare, put::until::<Stop>, session, interrupts).await)
        }
        #[cfg(feature = "store")]
        Command::Store(StoreCommand::Rewrap(args)) => {
            let prepare = move |session: &Session| rewrap::prepare(*args, session);
            Ok(orderly(prepare, rewrap::until::<Stop>, session, interrupts).await)
        }
        other => Err(Box::new((other, session, interrupts))),
    }
}

/// A signal that the run is to end.
#[cfg(any(feature = "serve", feature = "spiffe", feature = "store"))]
type Stop = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A signal that comes while the command is prepared ends it at once.
#[cfg(any(feature = "serve", feature = "spiffe", feature = "store"))]
async fn orderly<P, F>(
    prepare: impl FnOnce(&Session) -> Outcome<P> + Send + 'static,
    until: impl FnOnce(P, Stop) -> F,
    session: Session,
    mut interrupts: Interrupts,
) -> Ended
where
    P: Send + 'static,
    F: Future<Output = Outcome<()>>,
{
    let cleanup = session.cleanup.clone();
    let preparing = tokio::task::spawn_blocking(move || prepare(&session));
    let prepared = tokio::select! {
        biased;
        prepared = preparing => prepared,
        () = interrupts.next() => {
            cleanup.interrupt();
            say::leave_line();
            return Ended::BySignal(Err(Failure::interrupted()));
        }
    };
    let fault = |_| Err(Failure::other("this is a fault in bulla"));
    match prepared.unwrap_or_else(fault) {
        Ok(prepared) => {
            let stop: Stop = Box::pin(async move { interrupts.next().await });
            Ended::ByItself(until(prepared, stop).await)
        }
        Err(failure) => Ended::ByItself(Err(failure)),
    }
}
