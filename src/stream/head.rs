//! Reading the head of a message, and not a byte more, from readers and streams.

use std::{error::Error as StdError, io::Read, ops::Deref, pin::Pin};

use bytes::{Buf, Bytes};
use futures_core::Stream;
use futures_util::StreamExt;
use tokio::io::{AsyncRead, AsyncReadExt};

use super::{
    DecryptReader, DecryptStream, EncryptReader, EncryptStream, EncryptWriter, bytes::source_error,
};
use crate::{
    context::Context,
    envelope::{Head, HeadReader, Opener, Sealer},
    error::{Error, Result},
    provider::CryptoProvider,
};

/// The pieces in which a head is read: a hostile length can't make more be set aside at once.
const PIECE_LEN: usize = 4096;

/// Reads a head from a blocking reader, which then stands at the first chunk.
///
/// # Errors
/// [`Io`](crate::ErrorKind::Io) if the reader fails; as for [`HeadReader::push`] and
/// [`HeadReader::finish`].
pub fn read_head<R: Read>(reader: &mut R) -> Result<Head> {
    let mut head = HeadReader::new();
    let mut piece = [0; PIECE_LEN];
    while head.needed() > 0 {
        let want = head.needed().min(PIECE_LEN);
        match reader.read(piece.get_mut(..want).unwrap_or_default()) {
            Ok(0) => break,
            Ok(len) => head.push(piece.get(..len).unwrap_or_default()).map(drop)?,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(Error::from_io(error)),
        }
    }
    head.finish()
}

/// Reads a head from an asynchronous reader, which then stands at the first chunk.
///
/// # Errors
/// As for [`read_head`].
#[allow(clippy::future_not_send, reason = "it is Send where the reader is")]
pub async fn read_head_async<R: AsyncRead + Unpin>(reader: &mut R) -> Result<Head> {
    let mut head = HeadReader::new();
    let mut piece = vec![0; PIECE_LEN];
    while head.needed() > 0 {
        let want = head.needed().min(PIECE_LEN);
        let read = reader.read(piece.get_mut(..want).unwrap_or_default()).await;
        match read.map_err(Error::from_io)? {
            0 => break,
            len => head.push(piece.get(..len).unwrap_or_default()).map(drop)?,
        }
    }
    head.finish()
}

impl<P> Sealer<P>
where
    P: Deref<Target: CryptoProvider> + Send + Sync,
{
    /// Wraps a reader (blocking or asynchronous) of plaintext into one of sealed bytes.
    ///
    /// # Errors
    /// As for [`begin`](Self::begin).
    pub async fn encrypt_reader<R: Send>(
        &self,
        reader: R,
        context: &Context,
    ) -> Result<EncryptReader<R>> {
        Ok(EncryptReader::new(self.begin(context).await?, reader))
    }

    /// Wraps a writer (blocking or asynchronous) of sealed bytes into one of plaintext. Its
    /// `finish` or `finish_async` ends the message, and nothing else does.
    ///
    /// # Errors
    /// As for [`begin`](Self::begin).
    pub async fn encrypt_writer<W: Send>(
        &self,
        writer: W,
        context: &Context,
    ) -> Result<EncryptWriter<W>> {
        Ok(EncryptWriter::new(self.begin(context).await?, writer))
    }

    /// Wraps a stream of plaintext into one of sealed bytes.
    ///
    /// # Errors
    /// As for [`begin`](Self::begin).
    pub async fn encrypt_stream<S: Send>(
        &self,
        stream: S,
        context: &Context,
    ) -> Result<EncryptStream<S>> {
        Ok(EncryptStream::new(self.begin(context).await?, stream))
    }
}

impl<P> Opener<P>
where
    P: Deref<Target: CryptoProvider> + Send + Sync,
{
    /// Reads the head from an asynchronous reader of sealed bytes, and wraps the rest into a
    /// reader of plaintext. One `unwrap_data_key`.
    ///
    /// For a blocking reader: [`read_head`], [`open_head`](Self::open_head),
    /// [`DecryptReader::new`].
    ///
    /// # Errors
    /// As for [`open`](Self::open) and [`read_head_async`].
    pub async fn decrypt_reader<R: AsyncRead + Unpin + Send>(
        &self,
        mut reader: R,
        context: &Context,
    ) -> Result<DecryptReader<R>> {
        let head = read_head_async(&mut reader).await?;
        Ok(DecryptReader::new(self.open_head(head, context).await?, reader))
    }

    /// Reads the head from a stream of sealed bytes, and wraps the rest into a stream of
    /// plaintext. One `unwrap_data_key`.
    ///
    /// # Errors
    /// As for [`open`](Self::open), and [`Io`](crate::ErrorKind::Io) if the stream fails.
    pub async fn decrypt_stream<S, F>(
        &self,
        stream: S,
        context: &Context,
    ) -> Result<DecryptStream<Pin<Box<S>>>>
    where
        S: Stream<Item = Result<Bytes, F>> + Send,
        F: StdError + Send + Sync + 'static,
    {
        let mut stream = Box::pin(stream);
        let mut reader = HeadReader::new();
        let mut rest = Bytes::new();
        while reader.needed() > 0 {
            match stream.next().await {
                None => break,
                Some(piece) => rest = piece.map_err(source_error)?,
            }
            rest.advance(reader.push(&rest)?);
        }
        let opened = self.open_head(reader.finish()?, context).await?;
        Ok(DecryptStream::new(opened, rest, stream))
    }
}
