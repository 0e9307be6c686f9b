//! Random access without I/O: any chunk of a message is opened by its number.

use std::{
    fmt,
    ops::Range,
    sync::{Arc, Mutex, PoisonError},
};

use bytes::Buf;

use super::Layout;
use crate::{
    error::{Error, Result},
    format::{Header, Opening, chunk::ChunkOpener},
    key::{Plaintext, Wiped},
};

/// Opens chunks of one message by their numbers, in any order and on any thread. No I/O, no waiting: for
/// who fetches sealed bytes in a way of their own. [`RangeReader`](super::RangeReader) fetches them
/// itself.
///
/// Header, context and commitment were checked when it was made. [`layout`](Self::layout) says which
/// chunks to fetch for a range, and where they stand. Each chunk is authenticated before any of it comes
/// out. That the message is as long as it was said to be is known once its [last
/// chunk](Layout::last_chunk) was opened, by any of the methods here: an answer that tells where the
/// plaintext ends must wait for that.
///
/// Clones share the key.
#[derive(Clone)]
pub struct RandomAccess(Arc<Opened>);

struct Opened {
    chunks: ChunkOpener,
    header: Header,
    layout: Layout,
    aside: Aside,
}

impl RandomAccess {
    /// Opens chunks of a message that is said to have `len` bytes in all, preamble included.
    ///
    /// # Errors
    /// [`NotAuthentic`](crate::ErrorKind::NotAuthentic) if no message has that length.
    pub fn new(opening: Opening, len: u64) -> Result<Self> {
        let Opening { chunks, header } = opening;
        let layout = Layout::of(&header, len).ok_or_else(Error::not_authentic)?;
        Ok(Self(Arc::new(Opened { chunks, header, layout, aside: Aside::default() })))
    }

    /// The authenticated header.
    #[must_use]
    pub fn header(&self) -> &Header {
        &self.0.header
    }

    /// Where the chunks stand, if the message is as long as was said.
    #[must_use]
    pub fn layout(&self) -> &Layout {
        &self.0.layout
    }

    /// Opens neighbouring chunks into `out`, which has room for exactly the plaintext of all of them.
    ///
    /// # Errors
    /// [`NotAuthentic`](crate::ErrorKind::NotAuthentic) if `sealed` is not all of these chunks, or one of
    /// them was altered; [`InvalidInput`](crate::ErrorKind::InvalidInput) if there are no such chunks,
    /// or `out` has another length. Then use nothing of `out`.
    pub fn open(&self, chunks: Range<u64>, sealed: impl Buf, out: &mut [u8]) -> Result<()> {
        self.check(&chunks, &sealed)?;
        let plaintext = self.layout().plaintext_places(chunks.clone());
        if out.len() as u64 != plaintext.end - plaintext.start {
            return Err(Error::invalid("room for another plaintext than that of these chunks"));
        }
        self.0.chunks.open_run(chunks.start, sealed, out, || false)
    }

    /// Opens neighbouring chunks, and gives out the bytes of the plaintext in `wanted` that are in them:
    /// all or nothing.
    ///
    /// # Errors
    /// As for [`open`](Self::open).
    pub fn open_range(
        &self,
        chunks: Range<u64>,
        sealed: impl Buf,
        wanted: Range<u64>,
    ) -> Result<Plaintext> {
        let within = self.layout().plaintext_places(chunks.clone());
        let start = wanted.start.clamp(within.start, within.end);
        let end = wanted.end.clamp(start, within.end);
        let mut plaintext = with_room(end - start)?;
        self.open_onto(&mut plaintext, chunks, sealed, start..end)?;
        Ok(Plaintext::new(plaintext.into_vec()))
    }

    /// Opens neighbouring chunks and puts `wanted` of their plaintext behind what `out` holds. A chunk of
    /// which only a part is wanted is opened aside.
    pub(super) fn open_onto(
        &self,
        out: &mut Wiped,
        chunks: Range<u64>,
        mut sealed: impl Buf,
        wanted: Range<u64>,
    ) -> Result<()> {
        self.check(&chunks, &sealed)?;
        let suite = self.layout().suite();
        for number in chunks {
            let places = self.layout().sealed_places(number..number + 1);
            let sealed_len = usize::try_from(places.end - places.start).unwrap_or(usize::MAX);
            let len = Layout::opened_len(sealed_len).ok_or_else(Error::not_authentic)?;
            let chunk = (&mut sealed).take(sealed_len);
            let begins = self.layout().plaintext_places(number..number).start;
            let place =
                |at: u64| usize::try_from(at.saturating_sub(begins)).unwrap_or(len).min(len);
            let wanted = place(wanted.start)..place(wanted.end);
            if wanted == (0..len) {
                let start = out.len();
                out.resize(start + len, 0);
                let room = out.get_mut(start..).unwrap_or_default();
                self.0.chunks.open_run(number, chunk, room, || false)?;
            } else {
                let mut aside = self.0.aside.take(suite.chunk_len());
                let opened = aside.get_mut(..len).ok_or_else(Error::not_authentic)?;
                self.0.chunks.open_run(number, chunk, opened, || false)?;
                out.extend_from_slice(opened.get(wanted).ok_or_else(Error::not_authentic)?);
                self.0.aside.put(aside);
            }
        }
        Ok(())
    }

    /// Whether these are chunks of the message, and `sealed` has the length that they have. So a chunk
    /// is held to be the last, or not, by its number.
    fn check(&self, chunks: &Range<u64>, sealed: &impl Buf) -> Result<()> {
        if chunks.start > chunks.end || chunks.end > self.layout().chunk_count() {
            return Err(Error::invalid("the message has no such chunks"));
        }
        let places = self.layout().sealed_places(chunks.clone());
        if sealed.remaining() as u64 != places.end - places.start {
            return Err(Error::not_authentic());
        }
        Ok(())
    }
}

/// Room reserved once: growing would leave copies of plaintext behind.
pub(super) fn with_room(len: u64) -> Result<Wiped> {
    let too_long = || Error::invalid("the range is longer than this machine can hold");
    let len = usize::try_from(len).map_err(|_| too_long())?;
    let mut plaintext = Wiped::default();
    plaintext.try_reserve_exact(len).map_err(|_| too_long())?;
    Ok(plaintext)
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

impl fmt::Debug for RandomAccess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RandomAccess")
            .field("header", &self.0.header)
            .field("layout", &self.0.layout)
            .finish_non_exhaustive()
    }
}
