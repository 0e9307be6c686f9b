//! Files of local stores, read by several threads at places of their own.

use std::{fs::File, io, os::unix::fs::FileExt, path::PathBuf, sync::Arc};

use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};
use object_store::{GetResultPayload, Result};

use super::{opening::Part, rooms::Rooms};
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
        let width = width.max(1);
        let (sealed, opened) = (Rooms::new(width), Rooms::new(width + 2));
        let runs = part.runs(width).map(move |run| {
            let from = at;
            at += run.sealed_len() as u64;
            let (file, sealed, opened) =
                (Arc::clone(&file), Arc::clone(&sealed), Arc::clone(&opened));
            Work::begin_blocking(move || {
                let mut room = sealed.take(run.sealed_len());
                let filled = read_at(&file, &mut room, from)?;
                // A file that was cut meanwhile is found out by the length.
                let run = run.open_in(&opened, room.get(..filled).unwrap_or_default());
                sealed.put(room);
                run
            })
        });
        stream::iter(runs).buffered(width + 1)
    }

    /// Reads and opens all chunks at once.
    pub(super) async fn open_all(self, part: Part) -> Result<Bytes> {
        let Self { file, at, .. } = self;
        Work::begin_blocking(move || {
            let mut sealed = vec![0; part.sealed_len()];
            let filled = read_at(&file, &mut sealed, at)?;
            part.open(sealed.get(..filled).unwrap_or_default())
        })
        .await
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
