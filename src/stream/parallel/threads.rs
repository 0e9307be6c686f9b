//! Threads over blocking readers and writers.
//!
//! Each thread reads a run, works on it and writes it when its turn comes. Reading and writing are
//! in order, one thread at a time; the work in between is not. So memory is two buffers a thread,
//! and a slow reader or writer holds the others back without a queue.

use std::{
    io::{ErrorKind as IoErrorKind, Read, Write},
    num::NonZeroUsize,
    sync::{
        Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread,
};

use zeroize::Zeroizing;

use super::half::{Half, Run};
use crate::error::{Error, Result};

/// Carries all of `source` through the half into `sink`, and flushes it.
pub(super) fn carry<H, R, W>(half: H, threads: NonZeroUsize, source: R, sink: W) -> Result<W>
where
    H: Half,
    R: Read + Send,
    W: Write + Send,
{
    let line = Line {
        run_len: half.run_len(),
        feed: Mutex::new(Feed { half, source, next: 0, ended: false }),
        drain: Mutex::new(Drain { sink, turn: 0, failed: None }),
        moved: Condvar::new(),
        stopped: AtomicBool::new(false),
    };
    thread::scope(|scope| {
        for _ in 1..threads.get() {
            let named = thread::Builder::new().name("bulla-stream".to_owned());
            if named.spawn_scoped(scope, || line.work()).is_err() {
                break; // no more threads to be had: those that there are do the work
            }
        }
        line.work();
    });
    let Drain { mut sink, failed, .. } =
        line.drain.into_inner().unwrap_or_else(PoisonError::into_inner);
    if let Some(error) = failed {
        return Err(error);
    }
    loop {
        match sink.flush() {
            Err(error) if error.kind() == IoErrorKind::Interrupted => {}
            Err(error) => return Err(Error::from_io(error)),
            Ok(()) => return Ok(sink),
        }
    }
}

/// What the threads share.
struct Line<H, R, W> {
    run_len: usize,
    feed: Mutex<Feed<H, R>>,
    drain: Mutex<Drain<W>>,
    /// The turn has come to another run, or there is an end to it.
    moved: Condvar,
    stopped: AtomicBool,
}

struct Feed<H, R> {
    half: H,
    source: R,
    next: u64,
    ended: bool,
}

struct Drain<W> {
    sink: W,
    turn: u64,
    failed: Option<Error>,
}

/// Wakes those who wait for a turn that will never come, if this thread panics in the caller's
/// reader or writer.
struct Alarm<'a, H, R, W>(&'a Line<H, R, W>);

impl<H, R, W> Drop for Alarm<'_, H, R, W> {
    fn drop(&mut self) {
        if thread::panicking() {
            // Under the lock, or somebody who is about to wait misses it.
            let _drain = lock(&self.0.drain);
            self.0.stopped.store(true, Relaxed);
            self.0.moved.notify_all();
        }
    }
}

impl<H: Half, R: Read, W: Write> Line<H, R, W> {
    fn work(&self) {
        // Declared first, so that it rings when the locks that a panic held are free again.
        let _alarm = Alarm(self);
        let mut input = Zeroizing::new(vec![0; self.run_len]);
        let mut output = Zeroizing::new(Vec::new());
        while let Some((number, len, run)) = self.take(&mut input) {
            let done = run.and_then(|run| {
                let wanted = run.output_len();
                if output.len() < wanted {
                    output = Zeroizing::new(vec![0; wanted]);
                }
                let out = output.get_mut(..wanted).unwrap_or_default();
                let input = input.get(..len).unwrap_or_default();
                run.work(input, out, || self.stopped.load(Relaxed))?;
                Ok(&*out)
            });
            if !self.put(number, done) {
                return;
            }
        }
    }

    /// Reads the next run.
    fn take(&self, input: &mut [u8]) -> Option<(u64, usize, Result<H::Run>)> {
        let mut feed = lock(&self.feed);
        if feed.ended || self.stopped.load(Relaxed) {
            return None;
        }
        let number = feed.next;
        feed.next += 1;
        let read = read_full(&mut feed.source, input);
        let len = *read.as_ref().unwrap_or(&0);
        feed.ended = len < input.len();
        let last = feed.ended;
        let run = read.and_then(|len| feed.half.cut(len, last));
        feed.ended |= run.is_err();
        Some((number, len, run))
    }

    /// Writes a run when its turn has come. Says whether to go on.
    fn put(&self, number: u64, done: Result<&[u8]>) -> bool {
        let mut drain = lock(&self.drain);
        while drain.turn != number && !self.stopped.load(Relaxed) {
            drain = self.moved.wait(drain).unwrap_or_else(PoisonError::into_inner);
        }
        if self.stopped.load(Relaxed) {
            return false;
        }
        let done = done.and_then(|out| drain.sink.write_all(out).map_err(Error::from_io));
        drain.turn += 1;
        let ok = done.is_ok();
        if let Err(error) = done {
            drain.failed = Some(error);
            self.stopped.store(true, Relaxed);
        }
        drop(drain);
        self.moved.notify_all();
        ok
    }
}

/// Fills the buffer, or as much of it as there is before the end.
fn read_full(source: &mut impl Read, buf: &mut [u8]) -> Result<usize> {
    let mut filled = 0;
    while let Some(space) = buf.get_mut(filled..).filter(|space| !space.is_empty()) {
        match source.read(space) {
            Ok(0) => break,
            Ok(len) => filled += len.min(space.len()),
            Err(error) if error.kind() == IoErrorKind::Interrupted => {}
            Err(error) => return Err(Error::from_io(error)),
        }
    }
    Ok(filled)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
