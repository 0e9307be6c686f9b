//! Reading what stands before the chunks, and not a byte more.

use std::{error::Error as StdError, io::Read};

use bytes::{Buf, Bytes};
use futures_core::Stream;
use futures_util::StreamExt;
use tokio::io::{AsyncRead, AsyncReadExt};

use super::{ReadAt, bytes::source_error};
use crate::{
    error::{Error, Result},
    format::{Preamble, PreambleReader},
};

/// The pieces in which a preamble is read: a hostile length can't make more be set aside at once.
const PIECE_LEN: usize = 4096;

/// Reads a preamble from a blocking reader, which then stands at the first chunk.
///
/// # Errors
/// [`Io`](crate::ErrorKind::Io) if the reader fails; as for [`PreambleReader::push`] and
/// [`PreambleReader::finish`].
pub fn read_preamble<R: Read>(reader: &mut R) -> Result<Preamble> {
    let mut preamble = PreambleReader::new();
    let mut piece = [0; PIECE_LEN];
    while preamble.needed() > 0 {
        let want = preamble.needed().min(PIECE_LEN);
        match reader.read(piece.get_mut(..want).unwrap_or_default()) {
            Ok(0) => break,
            Ok(len) => preamble.push(piece.get(..len).unwrap_or_default()).map(drop)?,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(Error::from_io(error)),
        }
    }
    preamble.finish()
}

/// Reads a preamble from an asynchronous reader, which then stands at the first chunk.
///
/// # Errors
/// As for [`read_preamble`].
#[allow(clippy::future_not_send, reason = "it is Send where the reader is")]
pub async fn read_preamble_async<R: AsyncRead + Unpin>(reader: &mut R) -> Result<Preamble> {
    let mut preamble = PreambleReader::new();
    let mut piece = vec![0; PIECE_LEN];
    while preamble.needed() > 0 {
        let want = preamble.needed().min(PIECE_LEN);
        let read = reader.read(piece.get_mut(..want).unwrap_or_default()).await;
        match read.map_err(Error::from_io)? {
            0 => break,
            len => preamble.push(piece.get(..len).unwrap_or_default()).map(drop)?,
        }
    }
    preamble.finish()
}

/// Reads a preamble in ranges: two, of which the first is its fixed beginning.
///
/// # Errors
/// As for [`ReadAt::read_at`], [`PreambleReader::push`] and [`PreambleReader::finish`].
#[allow(clippy::future_not_send, reason = "it is Send where the source is")]
pub async fn read_preamble_at<R: ReadAt + ?Sized>(source: &R) -> Result<Preamble> {
    let mut preamble = PreambleReader::new();
    let mut at = 0;
    while preamble.needed() > 0 {
        let piece = source.read_at(at..at + preamble.needed() as u64).await?;
        if piece.is_empty() {
            break;
        }
        at += preamble.push(&piece)? as u64;
    }
    preamble.finish()
}

/// Reads a preamble from a stream, and gives back what the last piece held beyond it.
///
/// # Errors
/// [`Io`](crate::ErrorKind::Io) if the stream fails; as for [`read_preamble`].
#[allow(clippy::future_not_send, reason = "it is Send where the stream is")]
pub(crate) async fn read_preamble_of<S, F>(stream: &mut S) -> Result<(Preamble, Bytes)>
where
    S: Stream<Item = Result<Bytes, F>> + Unpin,
    F: StdError + Send + Sync + 'static,
{
    let mut preamble = PreambleReader::new();
    let mut rest = Bytes::new();
    while preamble.needed() > 0 {
        match stream.next().await {
            None => break,
            Some(piece) => rest = piece.map_err(source_error)?,
        }
        rest.advance(preamble.push(&rest)?);
    }
    Ok((preamble.finish()?, rest))
}
