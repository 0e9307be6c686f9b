//! Carries bytes from a reader to wherever they go, chunk by chunk or on several threads.

use std::{
    io::{self, BufRead, Read, Write},
    sync::{Mutex, PoisonError},
};

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

/// From this length on, several threads share the work. A pipe has no length, and what trickles
/// through one is not held back until there is a megabyte of it.
const LARGE: u64 = 4 << 20;

pub(crate) fn is_large(len: Option<u64>) -> bool {
    len.is_some_and(|len| len >= LARGE)
}

/// The same for large input: `work` carries all of one to the other.
pub(crate) fn pump_large<R, F>(
    from: R,
    name: &str,
    progress: &mut Progress,
    to: F,
    work: impl FnOnce(Tracked<'_, R>, Handed<'_, F>) -> bulla::Result<()>,
) -> Outcome<()>
where
    F: FnMut(&[u8]) -> Outcome<()>,
{
    let failed = Mutex::new(None);
    let from = Tracked { inner: from, name, progress, failed: &failed };
    let done = work(from, Handed { to, failed: &failed });
    let told = failed.into_inner().unwrap_or_else(PoisonError::into_inner);
    match (told, done) {
        // What the files said tells more than what became of it in the library.
        (Some(failure), _) => Err(failure),
        (None, Err(error)) => Err(Failure::from(error).at(name)),
        (None, Ok(())) => Ok(()),
    }
}

type Slot = Mutex<Option<Failure>>;

/// A reader that advances the bar and keeps its failure.
pub(crate) struct Tracked<'a, R> {
    inner: R,
    name: &'a str,
    progress: &'a mut Progress,
    failed: &'a Slot,
}

impl<R: Read> Read for Tracked<'_, R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buf);
        match &read {
            Ok(len) => self.progress.advance(*len),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => keep(self.failed, Failure::io(self.name, error)),
        }
        read
    }
}

/// A writer that keeps its failure.
pub(crate) struct Handed<'a, F> {
    to: F,
    failed: &'a Slot,
}

impl<F: FnMut(&[u8]) -> Outcome<()>> Write for Handed<'_, F> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        match (self.to)(buf) {
            Ok(()) => Ok(buf.len()),
            Err(failure) => {
                keep(self.failed, failure);
                Err(io::Error::other("the output failed"))
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Keeps the first failure.
fn keep(slot: &Slot, failure: Failure) {
    slot.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(failure);
}
