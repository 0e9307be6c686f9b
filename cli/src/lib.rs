//! The `bulla` command: seals and opens files with keys held in a key store, a KMS or an HSM.
//!
//! Everything cryptographic is in `bulla`, and keys are in the providers' crates. Here are
//! arguments, files, terminals, signals and exit codes.

#[cfg(not(unix))]
compile_error!("the bulla command is for Unix systems");

mod access;
mod args;
mod ask;
mod cleanup;
mod command;
mod config;
mod context;
mod failure;
mod input;
mod interrupt;
mod json;
mod opening;
mod orderly;
mod output;
mod passphrases;
mod plaintext;
mod printable;
mod progress;
mod providers;
mod pump;
mod range;
mod remote;
mod replaced;
mod say;
mod shown;
mod stdio;

use std::{path::PathBuf, process::ExitCode, time::Duration};

use tokio::runtime::{Builder, Handle};

use crate::{
    args::Cli,
    cleanup::Cleanup,
    failure::{Failure, Outcome},
    interrupt::Interrupts,
};

/// What every command needs besides its arguments.
struct Session {
    /// For the library's asynchronous calls; commands themselves run on a thread of their own.
    runtime: Handle,
    cleanup: Cleanup,
    /// What `--config` says.
    config: Option<PathBuf>,
}

/// How long the threads of a run are waited for. They are idle, and end at once, unless one waits for
/// something.
const LAST_THREADS: Duration = Duration::from_millis(500);

/// Runs the command with the process's arguments.
#[must_use = "it is how the command ended"]
pub fn main() -> ExitCode {
    let cli = match args::parse() {
        Ok(cli) => cli,
        Err(code) => return code,
    };
    let runtime = match Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return Failure::io("starting", &error).report(),
    };
    let ended = runtime.block_on(run(cli));
    match ended {
        // The threads that a PKCS #11 module was called on must have ended when the process does: what they
        // leave to the module's own libraries is torn down then, by both sides at once. One of them may
        // still wait for input that never comes.
        Ended::ByItself(_) => runtime.shutdown_timeout(LAST_THREADS),
        // What it was at goes no further.
        Ended::BySignal(_) => runtime.shutdown_background(),
    }
    let (Ended::ByItself(outcome) | Ended::BySignal(outcome)) = ended;
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}

/// How a run ended.
enum Ended {
    ByItself(Outcome<()>),
    BySignal(Outcome<()>),
}

/// Runs the command where it may block, and ends it on a signal.
async fn run(cli: Cli) -> Ended {
    let interrupts = match Interrupts::listen() {
        Ok(interrupts) => interrupts,
        Err(error) => return Ended::ByItself(Err(Failure::io("signals", &error))),
    };
    let cleanup = Cleanup::default();
    let session =
        Session { runtime: Handle::current(), cleanup: cleanup.clone(), config: cli.config };
    let (command, session, mut interrupts) =
        match orderly::run(cli.command, session, interrupts).await {
            Ok(ended) => return ended,
            Err(other) => *other,
        };
    let job = tokio::task::spawn_blocking(move || command::run(command, &session));
    tokio::select! {
        biased;
        done = job => {
            let fault = |_| Err(Failure::other("this is a fault in bulla"));
            Ended::ByItself(done.unwrap_or_else(fault))
        }
        () = interrupts.next() => {
            cleanup.interrupt();
            say::leave_line();
            Ended::BySignal(Err(Failure::interrupted()))
        }
    }
}
