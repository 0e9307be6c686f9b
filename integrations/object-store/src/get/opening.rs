//! Opening what comes, in runs of chunks, ahead of who reads it.

use std::{
    collections::VecDeque,
    ops::Range,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bulla::{Error, stream::RandomAccess};
use bytes::{Buf, Bytes};
use futures_util::{Stream, StreamExt, future::ready};
use object_store::{GetResult, GetResultPayload, Result, path::Path};

#[cfg(all(feature = "fs", unix))]
use super::file::FileBody;
use super::{
    RUN_LEN,
    body::{Body, StreamBody},
    fetch::collect,
    rooms::Rooms,
};
use crate::{error::failed, offload::Work};

/// How many pieces are taken at a time before others get a turn.
const PIECES_A_TURN: usize = 4096;

/// Neighbouring chunks of an object, and which bytes of its plaintext are wanted of them.
#[derive(Clone)]
pub(super) struct Part {
    pub(super) location: Path,
    pub(super) message: RandomAccess,
    pub(super) chunks: Range<u64>,
    pub(super) wanted: Range<u64>,
}

impl Part {
    /// How many bytes the chunks have as they are stored.
    pub(super) fn sealed_len(&self) -> usize {
        let places = self.message.layout().sealed_places(self.chunks.clone());
        usize::try_from(places.end - places.start).unwrap_or(usize::MAX)
    }

    /// Opens the chunks, all or none.
    pub(super) fn open(&self, sealed: impl Buf) -> Result<Bytes> {
        let opened = self.message.open_range(self.chunks.clone(), sealed, self.wanted.clone());
        let opened = opened.map_err(|error| failed(&self.location, error))?;
        Ok(opened.into_vec().into())
    }

    /// The same into a room that comes back, if all that the chunks hold is wanted.
    pub(super) fn open_in(&self, rooms: &Arc<Rooms>, sealed: impl Buf) -> Result<Bytes> {
        let held = self.message.layout().plaintext_places(self.chunks.clone());
        if self.wanted.start > held.start || self.wanted.end < held.end {
            return self.open(sealed);
        }
        let mut room = rooms.take(usize::try_from(held.end - held.start).unwrap_or(usize::MAX));
        let opened = self.message.open(self.chunks.clone(), sealed, &mut room);
        opened.map_err(|error| failed(&self.location, error))?;
        Ok(rooms.lend(room))
    }

    /// The same in runs, each of which is worked on by itself.
    #[cfg(all(feature = "fs", unix))]
    pub(super) fn runs(self, width: usize) -> impl Iterator<Item = Self> + Send + 'static {
        let (all, most) = (self.chunks.clone(), self.run_chunks(width));
        let mut first = all.start;
        std::iter::from_fn(move || {
            let run = self.run(first..all.end.min(first + most));
            first = run.chunks.end;
            (!run.chunks.is_empty()).then_some(run)
        })
    }

    fn run(&self, chunks: Range<u64>) -> Self {
        Self { chunks, ..self.clone() }
    }

    /// How many chunks are in a run. Of what is short each of `width` threads gets one run: to begin another costs more
    /// than it gains.
    fn run_chunks(&self, width: usize) -> u64 {
        let usual = RUN_LEN / self.message.layout().suite().chunk_len() as u64;
        match self.chunks.end - self.chunks.start {
            few if few <= 4 * usual => few.div_ceil(width.max(1) as u64).max(1),
            _ => usual,
        }
    }
}

/// Opens a part whose chunks are all of an answer, before any of it is handed out.
pub(super) async fn open_all(result: GetResult, part: Part) -> Result<Bytes> {
    #[cfg(all(feature = "fs", unix))]
    if let GetResultPayload::File(file, path) = result.payload {
        return FileBody::new(file, path, result.range.start).open_all(part).await;
    }
    let sealed = collect(&part.location, result, part.sealed_len()).await?;
    Work::begin(sealed.len(), move || part.open(sealed)).await
}

/// Yields the plaintext of a part whose chunks come in `body`, in order. It ends without an error only if
/// all of them were there and authentic; after an error it yields nothing more. It holds half a MiB for
/// each of `width` threads and 1.5 MiB, or what the store yields in one piece if that is more.
pub(super) fn open_stream(body: Body, part: Part, width: usize) -> GetResultPayload {
    let opened = match body {
        Body::Stream(StreamBody { ahead, rest }) => {
            let next = part.chunks.start;
            let running = VecDeque::new();
            let body = StreamBody { ahead, rest };
            let (width, run) = (width.max(1), part.run_chunks(width));
            let rooms = Rooms::new(width + 2);
            Opened { part, body, next, run, running, width, rooms, failed: None }.boxed()
        }
        #[cfg(all(feature = "fs", unix))]
        Body::File(file) => file.open(part, width).boxed(),
    };
    let until_error = opened.scan(false, |ended, item| {
        let item = (!*ended).then_some(item);
        *ended |= !matches!(item, Some(Ok(_)));
        ready(item)
    });
    GetResultPayload::Stream(until_error.boxed())
}

struct Opened {
    part: Part,
    body: StreamBody,
    /// The first chunk that is still to come.
    next: u64,
    /// How many chunks are in a run.
    run: u64,
    /// Runs under way, in order.
    running: VecDeque<Work<Bytes>>,
    width: usize,
    rooms: Arc<Rooms>,
    /// What is to be told once what came before it has been handed out.
    failed: Option<object_store::Error>,
}

impl Opened {
    /// Takes on what has come, and as much of it as there is room for. `true`: it is for the store to go
    /// on, or for others to have a turn.
    fn take_on(&mut self, cx: &mut Context<'_>) -> bool {
        let end = self.part.chunks.end;
        for _ in 0..PIECES_A_TURN {
            if self.next >= end || self.failed.is_some() || self.running.len() > self.width {
                return false;
            }
            let run = self.part.run(self.next..end.min(self.next + self.run));
            if self.body.ahead.len() >= run.sealed_len() {
                self.begin(run);
                continue;
            }
            match self.body.rest.poll_next_unpin(cx) {
                Poll::Ready(Some(Ok(piece))) => self.body.ahead.push(piece),
                Poll::Ready(Some(Err(error))) => self.failed = Some(error),
                Poll::Ready(None) => {
                    self.failed = Some(failed(&self.part.location, Error::not_authentic()));
                }
                Poll::Pending => {
                    // Rather than wait, somebody gets the chunks that are there.
                    let sealed_len = self.part.message.layout().suite().sealed_chunk_len();
                    let whole = (self.body.ahead.len() / sealed_len) as u64;
                    if self.running.is_empty() && whole > 0 {
                        self.begin(self.part.run(self.next..end.min(self.next + whole)));
                    }
                    return true;
                }
            }
        }
        cx.waker().wake_by_ref();
        true
    }

    fn begin(&mut self, run: Part) {
        let len = run.sealed_len();
        self.next = run.chunks.end;
        let (sealed, rooms) = (self.body.ahead.split_to(len), Arc::clone(&self.rooms));
        self.running.push_back(Work::begin(len, move || run.open_in(&rooms, sealed)));
    }
}

impl Stream for Opened {
    type Item = Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            let waits = self.take_on(cx);
            let Some(first) = self.running.front_mut() else {
                return match self.failed.take() {
                    Some(error) => Poll::Ready(Some(Err(error))),
                    None if waits => Poll::Pending,
                    None => Poll::Ready(None),
                };
            };
            let Poll::Ready(opened) = Pin::new(first).poll(cx) else { return Poll::Pending };
            self.running.pop_front();
            // The last chunk of an object may be empty.
            if opened.as_ref().is_ok_and(Bytes::is_empty) {
                continue;
            }
            return Poll::Ready(Some(opened));
        }
    }
}
