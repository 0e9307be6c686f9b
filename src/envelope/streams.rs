//! Readers, writers and streams of a sealer and an opener.

use std::{error::Error as StdError, ops::Deref, pin::Pin};

use bytes::Bytes;
use futures_core::Stream;
use tokio::io::AsyncRead;

use super::{Opener, Sealer};
use crate::{
    context::Context,
    error::Result,
    provider::CryptoProvider,
    stream::{
        DecryptReader, DecryptStream, EncryptReader, EncryptStream, EncryptWriter, RangeReader,
        ReadAt, read_preamble_async, read_preamble_at, read_preamble_of,
    },
};

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
    /// Reads the preamble from an asynchronous reader of sealed bytes, and wraps the rest into a
    /// reader of plaintext. One `unwrap_data_key`.
    ///
    /// For a blocking reader: [`read_preamble`](crate::stream::read_preamble), [`begin`](Self::begin),
    /// [`DecryptReader::new`].
    ///
    /// # Errors
    /// As for [`open`](Self::open) and [`read_preamble_async`].
    pub async fn decrypt_reader<R: AsyncRead + Unpin + Send>(
        &self,
        mut reader: R,
        context: &Context,
    ) -> Result<DecryptReader<R>> {
        let preamble = read_preamble_async(&mut reader).await?;
        Ok(DecryptReader::new(self.begin(preamble, context).await?, reader))
    }

    /// Reads the preamble from a stream of sealed bytes, and wraps the rest into a stream of
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
        let (preamble, rest) = read_preamble_of(&mut stream).await?;
        Ok(DecryptStream::new(self.begin(preamble, context).await?, rest, stream))
    }

    /// Reads and opens the preamble of a message that is read at offsets: one `unwrap_data_key`, two
    /// reads.
    ///
    /// # Errors
    /// As for [`open`](Self::open) and [`ReadAt`];
    /// [`NotAuthentic`](crate::ErrorKind::NotAuthentic) if no message has the length of the source.
    pub async fn range_reader<R: ReadAt>(
        &self,
        source: R,
        context: &Context,
    ) -> Result<RangeReader<R>> {
        let preamble = read_preamble_at(&source).await?;
        RangeReader::new(self.begin(preamble, context).await?, source).await
    }
}
