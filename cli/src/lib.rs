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
mod output;
mod passphrases;
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

use std::{path::PathBuf, process::ExitCode};

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
    let outcome = runtime.block_on(run(cli));
    // A thread may still wait for input that never comes.
    runtime.shutdown_background();
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}

/// Runs the command where it may block, and ends it on a signal.
async fn run(cli: Cli) -> Outcome<()> {
    let mut interrupts = Interrupts::listen().map_err(|e| Failure::io("signals", &e))?;
    let cleanup = Cleanup::default();
    let session =
        Session { runtime: Handle::current(), cleanup: cleanup.clone(), config: cli.config };
    let job = tokio::task::spawn_blocking(move || command::run(cli.command, &session));
    tokio::select! {
        biased;
        done = job => done.unwrap_or_else(|_| Err(Failure::other("this is a fault in bulla"))),
        () = interrupts.next() => {
            cleanup.interrupt();
            say::leave_line();
            Err(Failure::interrupted())
        }
    }
}
