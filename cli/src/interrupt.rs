//! The signals that end a run.

use std::{
    fs,
    io::{self, IsTerminal as _},
    task::Poll,
};

use rustix::process::Signal as Number;
use tokio::signal::unix::{Signal, SignalKind, signal};

pub(crate) struct Interrupts {
    ending: Vec<Signal>,
    /// Nothing waits for it. A file that grows over the limit (`ulimit -f`) would end the process there
    /// and then; caught, it makes the write fail, which is told and cleaned up after.
    _too_large: Signal,
}

impl Interrupts {
    /// From here on these signals end the run by [`next`](Self::next), not by killing it. What whoever
    /// started it wants ignored stays so: `nohup` ignores SIGHUP, and shells ignore SIGINT and SIGQUIT
    /// for jobs in the background.
    pub(crate) fn listen() -> io::Result<Self> {
        let ignored = ignored();
        // SIGQUIT writes a core dump unless it is caught, with the keys in it.
        let ending = [
            SignalKind::interrupt(),
            SignalKind::terminate(),
            SignalKind::hangup(),
            SignalKind::quit(),
        ];
        let ending = ending.into_iter().filter(|kind| !ignores(ignored, *kind));
        Ok(Self {
            ending: ending.map(signal).collect::<io::Result<_>>()?,
            _too_large: signal(SignalKind::from_raw(Number::XFSZ.as_raw()))?,
        })
    }

    /// Waits for one of them.
    pub(crate) async fn next(&mut self) {
        std::future::poll_fn(|context| {
            let came = self.ending.iter_mut().any(|signal| signal.poll_recv(context).is_ready());
            if came { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }
}

/// Whether a signal was to be ignored when the process began. Where the system doesn't tell, a hangup is
/// taken to be if there is no terminal that can hang up: `nohup` takes it away from standard error.
fn ignores(ignored: Option<u64>, kind: SignalKind) -> bool {
    match ignored {
        Some(mask) => {
            let bit = u32::try_from(kind.as_raw_value() - 1).ok();
            bit.and_then(|bit| mask.checked_shr(bit)).is_some_and(|mask| mask & 1 == 1)
        }
        None => kind == SignalKind::hangup() && !io::stderr().is_terminal(),
    }
}

/// A bit for each ignored signal, number 1 in the lowest, where the system has Linux's `/proc`: the call
/// that asks for one signal is not among the safe ones.
fn ignored() -> Option<u64> {
    mask(&fs::read_to_string("/proc/self/status").ok()?)
}

/// proc_pid_status(5).
fn mask(status: &str) -> Option<u64> {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"))?;
    u64::from_str_radix(mask.trim(), 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ignored_signals_are_read_from_the_mask() {
        let ignored = mask("Name:\tbulla\nSigBlk:\t0000000000000000\nSigIgn:\t0000000000001005\n");
        assert_eq!(ignored, Some(0x1005));
        for (kind, expected) in [
            (SignalKind::hangup(), true),
            (SignalKind::interrupt(), false),
            (SignalKind::quit(), true),
            (SignalKind::terminate(), false),
            (SignalKind::from_raw(0), false),
            (SignalKind::from_raw(64), false),
            (SignalKind::from_raw(65), false),
        ] {
            assert_eq!(ignores(ignored, kind), expected, "{kind:?}");
        }
        for without in ["", "SigIgn:\t\n", "SigIgn:\tx\n", "SigCgt:\t01\n"] {
            assert_eq!(mask(without), None);
        }
        assert!(!ignores(None, SignalKind::interrupt()));
    }
}
