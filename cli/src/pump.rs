//! Carries bytes from a reader to wherever they go, one chunk at a time.

use std::io::{self, BufRead};

use crate::{
    failure::{Failure, Outcome},
    progress::Progress,
};

/// Hands all of `from` to `to`. What the reader yields is written at once and never collected.
pub(crate) fn pump(
    from: &mut impl BufRead,
    name: &str,
    progress: &mut Progress,
    mut to: impl FnMut(&[u8]) -> Outcome<()>,
) -> Outcome<()> {
    loop {
        let len = match from.fill_buf() {
            Ok([]) => return Ok(()),
            Ok(piece) => {
                to(piece)?;
                piece.len()
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(read_failure(name, error)),
        };
        from.consume(len);
        progress.advance(len);
    }
}

/// Tells the library's errors, which came through a reader, from the reader's own.
pub(crate) fn read_failure(name: &str, error: io::Error) -> Failure {
    match error.downcast::<bulla::Error>() {
        Ok(error) => Failure::from(error).at(name),
        Err(error) => Failure::io(name, &error),
    }
}
