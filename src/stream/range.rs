//! Random access: any range of the plaintext, by opening only the chunks that hold it.

use std::{
    fmt,
    fs::File,
    future::Future,
    ops::Range,
    sync::{Arc, Mutex, PoisonError},
};

use async_trait::async_trait;
use bytes::Bytes;

use crate::{
    crypto::TAG_LEN,
    error::{Error, ErrorKind, Result},
    format::{Header, Opening, chunk::ChunkOpener, derive::AFTER_HEADER_LEN},
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
/// a range that reaches past the end) authenticates the last chunk first.
pub struct RangeReader<R> {
    source: R,
    header: Header,
    chunks: ChunkOpener,
    preamble_len: u64,
    /// What the source says; not authenticated.
    sealed_len: u64,
    aside: Aside,
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
        let Opening { chunks, header } = opened;
        let preamble_len = (header.as_bytes().len() + AFTER_HEADER_LEN) as u64;
        let sealed_len = size.checked_sub(preamble_len).ok_or_else(Error::not_authentic)?;
        let this =
            Self { source, header, chunks, preamble_len, sealed_len, aside: Aside::default() };
        this.claimed_len()?;
        Ok(this)
    }

    /// The authenticated header.
    #[must_use]
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The length of the plaintext in bytes, authenticated: opens the last chunk.
    ///
    /// # Errors
    /// As for [`read`](Self::read).
    pub async fn len(&self) -> Result<u64> {
        let len = self.claimed_len()?;
        let last = self.last_chunk();
        let sealed = self.fetch(last..last + 1).await?;
        self.open_onto(&mut Wiped::default(), last, &sealed, len..len)?;
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
        let claimed = self.claimed_len()?;
        if range.end > claimed {
            self.len().await?;
        }
        let (start, end) = (range.start.min(claimed), range.end.min(claimed));
        let chunk_len = self.chunks.suite().chunk_len() as u64;
        let mut plaintext = Wiped::default();
        if start < end {
            // Reserved once: growing would leave copies of plaintext behind.
            let too_long = || Error::invalid("the range is longer than this machine can hold");
            let len = usize::try_from(end - start).map_err(|_| too_long())?;
            plaintext.try_reserve_exact(len).map_err(|_| too_long())?;
        }
        let mut at = start;
        while at < end {
            let first = at / chunk_len;
            let last = ((end - 1) / chunk_len).min(first + CHUNKS_AT_ONCE - 1);
            let until = end.min((last + 1) * chunk_len);
            let sealed = self.fetch(first..last + 1).await?;
            self.open_onto(&mut plaintext, first, &sealed, at..until)?;
            at = until;
        }
        Ok(Plaintext::new(plaintext.into_vec()))
    }

    /// Opens neighbouring chunks, of which `sealed` is all, and puts `range` of their plaintext behind
    /// what `out` holds. A chunk of which only a part is wanted is opened aside.
    fn open_onto(
        &self,
        out: &mut Wiped,
        first: u64,
        sealed: &[u8],
        range: Range<u64>,
    ) -> Result<()> {
        let suite = self.chunks.suite();
        let chunk_len = suite.chunk_len() as u64;
        for (index, chunk) in (first..).zip(sealed.chunks(suite.sealed_chunk_len())) {
            let len = chunk.len().checked_sub(TAG_LEN).ok_or_else(Error::not_authentic)?;
            let begins = index * chunk_len;
            let place =
                |at: u64| usize::try_from(at.saturating_sub(begins)).unwrap_or(len).min(len);
            let wanted = place(range.start)..place(range.end);
            if wanted == (0..len) {
                let start = out.len();
                out.resize(start + len, 0);
                self.chunks.open(index, chunk, out.get_mut(start..).unwrap_or_default())?;
            } else {
                let mut aside = self.aside.take(suite.chunk_len());
                let opened = aside.get_mut(..len).ok_or_else(Error::not_authentic)?;
                self.chunks.open(index, chunk, opened)?;
                out.extend_from_slice(opened.get(wanted).ok_or_else(Error::not_authentic)?);
                self.aside.put(aside);
            }
        }
        Ok(())
    }

    fn claimed_len(&self) -> Result<u64> {
        self.chunks.suite().plaintext_len(self.sealed_len).ok_or_else(Error::not_authentic)
    }

    /// The number of the last chunk, if the source's length is true.
    fn last_chunk(&self) -> u64 {
        self.sealed_len / self.chunks.suite().sealed_chunk_len() as u64
    }

    /// Neighbouring chunks as the source has them, all of which must be there.
    async fn fetch(&self, chunks: Range<u64>) -> Result<Bytes> {
        let sealed_chunk = self.chunks.suite().sealed_chunk_len() as u64;
        let start = chunks.start * sealed_chunk;
        let end = (chunks.end * sealed_chunk).min(self.sealed_len);
        let places = self.preamble_len + start..self.preamble_len + end;
        let sealed = self.source.read_at(places).await?;
        if sealed.len() as u64 != end - start {
            return Err(Error::not_authentic()); // cut or replaced since its size was asked for
        }
        Ok(sealed)
    }
}

/// Room for one chunk, kept from read to read. Reads at the same time make their own.
#[derive(Default)]
struct Aside(Mutex<Option<Wiped>>);

impl Aside {
    fn take(&self, len: usize) -> Wiped {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        kept.unwrap_or_else(|| Wiped::zeros(len))
    }

    fn put(&self, room: Wiped) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(room);
    }
}

impl<R> fmt::Debug for RangeReader<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RangeReader").field("header", &self.header).finish_non_exhaustive()
    }
}
