//! Standard input and output as plain files: no buffer and no search for line ends between us and
//! the pipe. And text on standard output.

use std::{
    fs::File,
    io::{self, Write as _},
    os::fd::AsFd as _,
};

use crate::failure::{Failure, Outcome};

pub(crate) const STDIN: &str = "standard input";
pub(crate) const STDOUT: &str = "standard output";

pub(crate) fn stdin() -> io::Result<File> {
    io::stdin().as_fd().try_clone_to_owned().map(File::from)
}

pub(crate) fn stdout() -> io::Result<File> {
    io::stdout().as_fd().try_clone_to_owned().map(File::from)
}

/// Prints a command's answer.
pub(crate) fn print(text: &str) -> Outcome<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(|e| write_failure(&e))
}

/// A failure of standard output. A closed pipe is none that anybody wants to hear of.
pub(crate) fn write_failure(error: &io::Error) -> Failure {
    if error.kind() == io::ErrorKind::BrokenPipe {
        return Failure::closed_pipe();
    }
    Failure::io(STDOUT, error)
}
