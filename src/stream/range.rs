//! Random access: any range of the plaintext, by opening only the chunks that hold it.

use std::{fmt, fs::File, future::Future, ops::Range, sync::Arc};

use async_trait::async_trait;
use bytes::Bytes;

use super::{RandomAccess, random::with_room};
use crate::{
    error::{Error, ErrorKind, Result},
    format::{Header, Opening},
    key::{Plaintext, Wiped},
};

/// Chunks fetched at a time: 1 MiB of suite 1.
const CHUNKS_AT_ONCE: u64 = 16;

/// Something that reads at an offset: a file, bytes, a ranged request to a store.
///
/// For a closure: [`read_at_with`].
#[async_trait]
pub trait ReadAt: Send + Sync {
    /// How many bytes there are. An attacker who owns the store may lie; nothing depends on it
    /// being true.
    ///
    /// # Errors
    /// [`Io`](ErrorKind::Io) or what the store said.
    async fn size(&self) -> Result<u64>;

    /// The bytes of `range`, fewer only if the source ends before.
    ///
    /// Every call must answer from the same version of the object, or fail: pin it by its ETag or
    /// generation. If that is not possible, a mixture is still found out by the chunks' tags.
    ///
    /// # Errors
    /// [`Io`](ErrorKind::Io) or what the store said.
    async fn read_at(&self, range: Range<u64>) -> Result<Bytes>;
}

#[async_trait]
impl ReadAt for Bytes {
    async fn size(&self) -> Result<u64> {
        Ok(self.len() as u64)
    }

    async fn read_at(&self, range: Range<u64>) -> Result<Bytes> {
        let clip = |at: u64| usize::try_from(at).unwrap_or(usize::MAX).min(self.len());
        let (start, end) = (clip(range.start), clip(range.end));
        Ok(self.slice(start..end.max(start)))
    }
}

/// A file, read on the blocking threads of tokio's runtime, without moving its cursor.
#[cfg(unix)]
#[async_trait]
impl ReadAt for Arc<File> {
    async fn size(&self) -> Result<u64> {
        self.metadata().map(|m| m.len()).map_err(Error::from_io)
    }

    async fn read_at(&self, range: Range<u64>) -> Result<Bytes> {
        use std::os::unix::fs::FileExt;
        let file = Self::clone(self);
        let read = move || {
            let len = usize::try_from(range.end.saturating_sub(range.start)).unwrap_or(usize::MAX);
            let mut bytes = vec![0; len];
            let mut filled = 0;
            while let Some(rest) = bytes.get_mut(filled..).filter(|rest| !rest.is_empty()) {
                match FileExt::read_at(&*file, rest, range.start + filled as u64) {
                    Ok(0) => break,
                    Ok(len) => filled += len,
                    Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
                    Err(e) => return Err(Error::from_io(e)),
                }
            }
            bytes.truncate(filled);
            Ok(Bytes::from(bytes))
        };
        tokio::task::spawn_blocking(read)
            .await
            .map_err(|_| Error::new(ErrorKind::Internal, "a thread that read a file was lost"))?
    }
}

/// Makes a [`ReadAt`] of a size and an asynchronous closure that fetches a range.
pub fn read_at_with<F, Fut>(size: u64, fetch: F) -> impl ReadAt
where
    F: Fn(Range<u64>) -> Fut + Send + Sync,
    Fut: Future<Output = Result<Bytes>> + Send,
{
    Fetch { size, fetch }
}

struct Fetch<F> {
    size: u64,
    fetch: F,
}

#[async_trait]
impl<F, Fut> ReadAt for Fetch<F>
where
    F: Fn(Range<u64>) -> Fut + Send + Sync,
    Fut: Future<Output = Result<Bytes>> + Send,
{
    async fn size(&self) -> Result<u64> {
        Ok(self.size)
    }

    async fn read_at(&self, range: Range<u64>) -> Result<Bytes> {
        (self.fetch)(range).await
    }
}

/// Reads ranges of the plaintext of one sealed message.
///
/// Header, context and commitment were checked when it was made. Each chunk is authenticated
/// before any of it is returned, and whatever tells where the plaintext ends ([`len`](Self::len),
/// a range that reaches past the end) authenticates the last chunk first. It fetches 1 MiB at a time;
/// who would rather fetch in a way of their own uses [`RandomAccess`], of which this is made.
pub struct RangeReader<R> {
    source: R,
    message: RandomAccess,
}

impl<R: ReadAt> RangeReader<R> {
    /// Reads behind a preamble that was opened already; `source` still begins with it. An
    /// [`Opener`](crate::Opener) does both in [`range_reader`](crate::Opener::range_reader).
    ///
    /// # Errors
    /// As for [`ReadAt::size`]; [`NotAuthentic`](ErrorKind::NotAuthentic) if no message has the
    /// length of the source.
    pub async fn new(opened: Opening, source: R) -> Result<Self> {
        let size = source.size().await?;
        let message = RandomAccess::new(opened, size)?;
        Ok(Self { source, message })
    }

    /// The authenticated header.
    #[must_use]
    pub fn header(&self) -> &Header {
        self.message.header()
    }

    /// The length of the plaintext in bytes, authenticated: opens the last chunk.
    ///
    /// # Errors
    /// As for [`read`](Self::read).
    pub async fn len(&self) -> Result<u64> {
        let layout = self.message.layout();
        let (len, last) = (layout.plaintext_len(), layout.last_chunk());
        let sealed = self.fetch(last..last + 1).await?;
        self.message.open_onto(&mut Wiped::default(), last..last + 1, sealed, len..len)?;
        Ok(len)
    }

    /// The plaintext in `range`, clipped to where the plaintext ends. Fetches and opens the chunks
    /// that hold it, at most 16 at a time, and no others, but for the last one where the range
    /// reaches to the end or past it.
    ///
    /// The whole answer is in memory: ask for ranges of a size that you want to hold.
    ///
    /// # Errors
    /// [`NotAuthentic`](ErrorKind::NotAuthentic) if a chunk was altered or the message cut or
    /// extended; [`InvalidInput`](ErrorKind::InvalidInput) if the range ends before it starts;
    /// as for [`ReadAt::read_at`].
    pub async fn read(&self, range: Range<u64>) -> Result<Plaintext> {
        if range.end < range.start {
            return Err(Error::invalid("the range ends before it starts"));
        }
        let claimed = self.message.layout().plaintext_len();
        if range.end > claimed {
            self.len().await?;
        }
        let (start, end) = (range.start.min(claimed), range.end.min(claimed));
        let mut plaintext = with_room(end - start)?;
        let all = self.message.layout().chunks_of(start..end);
        let mut first = all.start;
        while first < all.end {
            let chunks = first..all.end.min(first + CHUNKS_AT_ONCE);
            first = chunks.end;
            let sealed = self.fetch(chunks.clone()).await?;
            self.message.open_onto(&mut plaintext, chunks, sealed, start..end)?;
        }
        Ok(Plaintext::new(plaintext.into_vec()))
    }

    /// Neighbouring chunks as the source has them. That they are all there is for who opens them to
    /// check: the object may have been cut or replaced since its size was asked for.
    async fn fetch(&self, chunks: Range<u64>) -> Result<Bytes> {
        self.source.read_at(self.message.layout().sealed_places(chunks)).await
    }
}

impl<R> fmt::Debug for RangeReader<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let header = self.message.header();
        f.debug_struct("RangeReader").field("header", header).finish_non_exhaustive()
    }
}
