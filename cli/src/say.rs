//! Words to the user, on standard error. If nobody can read them, nothing is lost.

use std::{
    io::{self, IsTerminal as _, Write as _},
    path::Path,
};

use crate::shown;

/// A line of its own.
pub(crate) fn note(text: &str) {
    let _ = writeln!(io::stderr().lock(), "bulla: {text}");
}

/// Leaves the line that a progress bar or a question stands on.
pub(crate) fn leave_line() {
    let mut out = io::stderr().lock();
    if out.is_terminal() {
        let _ = writeln!(out);
    }
}

/// Why nothing happens for a while: another program does something and has this file locked.
pub(crate) fn waiting(does: &str, locked: &Path) {
    let locked = shown::path(locked);
    note(&format!("another program {does}; waiting until it unlocks {locked}"));
}

/// What may help with the note before.
pub(crate) fn hint(text: &str) {
    let _ = writeln!(io::stderr().lock(), "  hint: {text}");
}

/// A detail of the note before.
pub(crate) fn detail(text: &str) {
    let _ = writeln!(io::stderr().lock(), "  {text}");
}
