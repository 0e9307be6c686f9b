//! Runs on tokio's blocking threads, in order: what asynchronous readers and writers share.

use std::{
    collections::VecDeque,
    num::NonZeroUsize,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    task::{Context, Poll, ready},
};

use tokio::task::{JoinHandle, spawn_blocking};
use zeroize::Zeroizing;

use super::half::{Half, Run};
use crate::{
    error::{Error, ErrorKind, Result},
    stream::encryptor::copy_prefix,
};

/// Input that is being collected, runs under way, and output in order. Bounded: a run for each
/// thread, one that is collected and one that is carried away.
pub(super) struct Pipeline<H> {
    half: H,
    threads: NonZeroUsize,
    input: Zeroizing<Vec<u8>>,
    filled: usize,
    running: VecDeque<JoinHandle<(Buffers, Result<usize>)>>,
    output: Zeroizing<Vec<u8>>,
    start: usize,
    end: usize,
    spare: Vec<Buffers>,
    state: State,
    /// Tells workers that nobody waits for them.
    stopped: Arc<AtomicBool>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Open,
    /// The last run was cut off.
    Ended,
    Failed,
}

/// Memory of one run, wiped when it is dropped.
struct Buffers {
    input: Zeroizing<Vec<u8>>,
    output: Zeroizing<Vec<u8>>,
}

impl<H: Half> Pipeline<H> {
    /// `head` is the first output.
    pub(super) fn new(half: H, threads: NonZeroUsize, head: Vec<u8>) -> Self {
        Self {
            half,
            threads,
            input: Zeroizing::new(Vec::new()),
            filled: 0,
            running: VecDeque::new(),
            start: 0,
            end: head.len(),
            output: Zeroizing::new(head),
            spare: Vec::new(),
            state: State::Open,
            stopped: Arc::default(),
        }
    }

    pub(super) fn output(&self) -> &[u8] {
        self.output.get(self.start..self.end).unwrap_or_default()
    }

    pub(super) fn consume(&mut self, len: usize) {
        self.start = self.start.saturating_add(len).min(self.end);
    }

    /// Whether the message has ended and all of it was carried away.
    pub(super) fn is_done(&self) -> bool {
        self.state == State::Ended && self.running.is_empty() && self.output().is_empty()
    }

    pub(super) fn is_open(&self) -> bool {
        self.state == State::Open
    }

    /// Whether a whole run may be taken on.
    pub(super) fn has_room(&self) -> bool {
        self.running.len() < self.threads.get()
    }

    /// Gives the message up.
    pub(super) fn fail(&mut self) {
        self.state = State::Failed;
        self.stop();
        (self.start, self.end) = (0, 0);
    }

    pub(super) fn check(&self) -> Result<()> {
        if self.state == State::Failed {
            return Err(Error::new(ErrorKind::Closed, "the stream has failed or was given up"));
        }
        Ok(())
    }

    /// Where input can be written in place; empty while a whole run waits for room.
    pub(super) fn space(&mut self) -> &mut [u8] {
        if self.input.is_empty() {
            *self.input = vec![0; self.half.run_len()];
        }
        self.input.get_mut(self.filled..).unwrap_or_default()
    }

    /// Says that `len` bytes of the space were written. A whole run is taken on if there is room.
    pub(super) fn advance(&mut self, len: usize) -> Result<()> {
        self.filled += len.min(self.space().len());
        self.take_on_whole()
    }

    /// Takes on a run that has waited for room.
    pub(super) fn take_on_whole(&mut self) -> Result<()> {
        if self.filled < self.half.run_len() || !self.has_room() {
            return Ok(());
        }
        self.take_on(self.filled, false)
    }

    /// Takes on the whole chunks that there are, and keeps the rest.
    pub(super) fn take_on_chunks(&mut self) -> Result<()> {
        let whole = self.filled - self.filled % self.half.chunk_len();
        if whole == 0 || !self.has_room() {
            return Ok(());
        }
        self.take_on(whole, false)
    }

    /// The input has ended well: takes on what there is, and the end.
    pub(super) fn end(&mut self) -> Result<()> {
        self.take_on(self.filled, true)?;
        self.state = State::Ended;
        Ok(())
    }

    fn take_on(&mut self, len: usize, last: bool) -> Result<()> {
        self.check()?;
        let run = self.half.cut(len, last).inspect_err(|_| self.fail())?;
        let mut buffers = self.spare.pop().unwrap_or_else(|| Buffers {
            input: Zeroizing::new(Vec::new()),
            output: Zeroizing::new(Vec::new()),
        });
        std::mem::swap(&mut buffers.input, &mut self.input);
        let filled = std::mem::take(&mut self.filled);
        if let Some(rest) = buffers.input.get(len..filled).filter(|rest| !rest.is_empty()) {
            self.filled = copy_prefix(rest, self.space());
        }
        let stopped = Arc::clone(&self.stopped);
        self.running.push_back(spawn_blocking(move || {
            let wanted = run.output_len();
            if buffers.output.len() < wanted {
                buffers.output = Zeroizing::new(vec![0; wanted]);
            }
            let input = buffers.input.get(..len).unwrap_or_default();
            let out = buffers.output.get_mut(..wanted).unwrap_or_default();
            let done = run.work(input, out, || stopped.load(Relaxed)).map(|()| wanted);
            (buffers, done)
        }));
        Ok(())
    }

    /// Waits for the next run in order to become output. `None`: none is under way.
    pub(super) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<()>>> {
        let Some(first) = self.running.front_mut() else { return Poll::Ready(None) };
        let joined = ready!(Pin::new(first).poll(cx));
        self.running.pop_front();
        let (mut buffers, done) = match joined {
            Ok(done) => done,
            Err(error) => {
                self.fail();
                let text = "a worker of a stream ended without a result";
                let error = Error::new(ErrorKind::Internal, text).with_source(error);
                return Poll::Ready(Some(Err(error)));
            }
        };
        match done {
            Ok(len) => {
                std::mem::swap(&mut buffers.output, &mut self.output);
                (self.start, self.end) = (0, len);
                self.spare.push(buffers);
                Poll::Ready(Some(Ok(())))
            }
            Err(error) => {
                self.fail();
                Poll::Ready(Some(Err(error)))
            }
        }
    }

    /// Lives as long as any worker does.
    #[cfg(test)]
    pub(super) fn watch_workers(&self) -> std::sync::Weak<AtomicBool> {
        Arc::downgrade(&self.stopped)
    }

    fn stop(&mut self) {
        self.stopped.store(true, Relaxed);
        for run in self.running.drain(..) {
            run.abort(); // one that has not begun never does
        }
    }
}

impl<H> Drop for Pipeline<H> {
    /// Leaves nothing running but for the chunk that each worker is at.
    fn drop(&mut self) {
        self.stopped.store(true, Relaxed);
        self.running.iter().for_each(JoinHandle::abort);
    }
}
