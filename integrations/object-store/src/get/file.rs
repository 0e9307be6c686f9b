//! Files of local stores, read by several threads at places of their own.

use std::{
    fs::File,
    io,
    os::unix::fs::FileExt,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};
use object_store::{GetResultPayload, Result};

use super::opening::Part;
use crate::{error::generic, offload::Work};

/// A file, from some place on. Its cursor is not moved.
pub(super) struct FileBody {
    file: Arc<File>,
    path: PathBuf,
    at: u64,
}

impl FileBody {
    pub(super) fn new(file: File, path: PathBuf, at: u64) -> Self {
        Self { file: Arc::new(file), path, at }
    }

    pub(super) async fn peek(&self, len: usize) -> Result<Bytes> {
        let (file, at) = (Arc::clone(&self.file), self.at);
        Work::begin_blocking(move || {
            let mut bytes = vec![0; len];
            let filled = read_at(&file, &mut bytes, at)?;
            bytes.truncate(filled);
            Ok(bytes.into())
        })
        .await
    }

    pub(super) fn skip(&mut self, len: usize) {
        self.at += len as u64;
    }

    pub(super) fn into_payload(self) -> GetResultPayload {
        let Self { file, path, .. } = self;
        match Arc::try_unwrap(file) {
            Ok(file) => GetResultPayload::File(file, path),
            // A read that nobody waits for is still under way.
            Err(file) => match file.try_clone() {
                Ok(file) => GetResultPayload::File(file, path),
                Err(error) => {
                    let failed = stream::once(async { Err(generic(error)) });
                    GetResultPayload::Stream(failed.boxed())
                }
            },
        }
    }

    /// Reads and opens runs of chunks, `width` of them at the same time, and yields them in order.
    pub(super) fn open(
        self,
        part: Part,
        width: usize,
    ) -> impl Stream<Item = Result<Bytes>> + Send + 'static {
        let Self { file, mut at, .. } = self;
        let rooms = Arc::new(Rooms::default());
        let runs = part.runs().map(move |run| {
            let from = at;
            at += run.sealed_len() as u64;
            read_and_open(&file, from, run, &rooms)
        });
        stream::iter(runs).buffered(width.max(1))
    }

    /// Reads and opens all chunks at once.
    pub(super) async fn open_all(self, part: Part) -> Result<Bytes> {
        read_and_open(&self.file, self.at, part, &Arc::default()).await
    }
}

fn read_and_open(file: &Arc<File>, from: u64, part: Part, rooms: &Arc<Rooms>) -> Work<Bytes> {
    let (file, rooms) = (Arc::clone(file), Arc::clone(rooms));
    Work::begin_blocking(move || {
        let len = part.sealed_len();
        let mut sealed = rooms.take();
        sealed.resize(len, 0);
        let filled = read_at(&file, &mut sealed, from)?;
        // A file that was cut meanwhile is found out by the length.
        let opened = part.open(sealed.get(..filled).unwrap_or_default());
        rooms.put(sealed);
        opened
    })
}

/// Rooms for what is read, used again: one for each thread at work.
#[derive(Default)]
struct Rooms(Mutex<Vec<Vec<u8>>>);

impl Rooms {
    fn take(&self) -> Vec<u8> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_default()
    }

    fn put(&self, room: Vec<u8>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(room);
    }
}

/// Fills the buffer from a place on, or as much of it as there is.
fn read_at(file: &File, buffer: &mut [u8], at: u64) -> Result<usize> {
    let mut filled = 0;
    while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match file.read_at(rest, at + filled as u64) {
            Ok(0) => break,
            Ok(len) => filled += len,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(generic(error)),
        }
    }
    Ok(filled)
}
