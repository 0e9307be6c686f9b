//! The signals that end a run.

use std::io::{self, IsTerminal};

use tokio::signal::unix::{Signal, SignalKind, signal};

pub(crate) struct Interrupts {
    interrupt: Signal,
    terminate: Signal,
    /// Only with a terminal that can hang up: `nohup` takes the terminal away from standard error,
    /// and its wish is to be left running.
    hangup: Option<Signal>,
}

impl Interrupts {
    /// From here on these signals end the run by [`next`](Self::next), not by killing it.
    pub(crate) fn listen() -> io::Result<Self> {
        let on_terminal = io::stderr().is_terminal();
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: on_terminal.then(|| signal(SignalKind::hangup())).transpose()?,
        })
    }

    /// Waits for one of them.
    pub(crate) async fn next(&mut self) {
        let hangup = async {
            match &mut self.hangup {
                Some(signal) => signal.recv().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            _ = hangup => {}
        }
    }
}
