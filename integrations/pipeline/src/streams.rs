//! Readers, writers and streams of both ways.

use std::{
    any::Any,
    error::Error as StdError,
    fmt, io,
    ops::Deref,
    pin::Pin,
    task::{self, Poll},
};

use bulla::{
    Context, CryptoProvider, Error, Result,
    format::Opening,
    stream::{DecryptReader, EncryptReader, EncryptStream, read_preamble_async},
};
use bytes::Bytes;
use futures_core::{Stream, stream::BoxStream};
use futures_util::TryStreamExt;
use pin_project_lite::pin_project;
use tokio::io::{AsyncRead, ReadBuf};
use tokio_util::io::{ReaderStream, StreamReader};

use crate::{
    Reading, Writing,
    wiped::WipedReader,
    zstd::{Compress, Decompress},
};

/// Bytes on their way, in pieces. It ends without an error only where everything is well.
pub type ByteStream<'a> = BoxStream<'a, Result<Bytes>>;

/// The pieces of a stream of compressed bytes that were sealed, and of plaintext.
const PIECE_LEN: usize = 64 << 10;

impl<P> Writing<P>
where
    P: Deref<Target: CryptoProvider> + Send + Sync,
{
    /// Wraps a reader of plaintext into one of sealed bytes, whose end of file is the message's end.
    ///
    /// # Errors
    /// As for [`Sealer::begin`](bulla::Sealer::begin);
    /// [`InvalidInput`](bulla::ErrorKind::InvalidInput) for a context that names a transform.
    /// The reader fails as its source does, and with [`QuotaExceeded`](bulla::ErrorKind::QuotaExceeded) beyond
    /// the bounds; what it yielded then does not open.
    pub async fn reader<R: AsyncRead + Send>(
        &self,
        plaintext: R,
        context: &Context,
    ) -> Result<SealedReader<R>> {
        let sealing = self.sealer.begin(&self.context(context)?).await?;
        let inner = match &self.zstd {
            None => Sealed::Plain { reader: EncryptReader::new(sealing, plaintext) },
            Some(zstd) => {
                let compressed = Compress::new(zstd, WipedReader::new(plaintext));
                Sealed::Compressed { reader: EncryptReader::new(sealing, compressed) }
            }
        };
        Ok(SealedReader { inner })
    }

    /// Wraps a stream of plaintext into one of sealed bytes.
    ///
    /// # Errors
    /// As for [`reader`](Self::reader).
    pub async fn stream<'a, S, E>(&self, plaintext: S, context: &Context) -> Result<ByteStream<'a>>
    where
        S: Stream<Item = Result<Bytes, E>> + Send + 'a,
        E: StdError + Send + Sync + 'static,
    {
        let sealing = self.sealer.begin(&self.context(context)?).await?;
        Ok(match &self.zstd {
            None => Box::pin(EncryptStream::new(sealing, plaintext)),
            Some(zstd) => {
                let plaintext = StreamReader::new(plaintext.map_err(to_io));
                to_stream(EncryptReader::new(sealing, Compress::new(zstd, plaintext)))
            }
        })
    }
}

impl<P> Reading<P>
where
    P: Deref<Target: CryptoProvider> + Send + Sync,
{
    /// Reads the head of a message, and wraps the rest into a reader of plaintext. An end of file there means that
    /// the message was whole.
    ///
    /// # Errors
    /// As for [`Opener::decrypt_reader`](bulla::Opener::decrypt_reader);
    /// [`Unsupported`](bulla::ErrorKind::Unsupported) for a transform that was not
    /// [allowed](crate::ReadingBuilder::allow). The reader fails with
    /// [`QuotaExceeded`](bulla::ErrorKind::QuotaExceeded) beyond the bounds, and with
    /// [`Damaged`](bulla::ErrorKind::Damaged) if what was sealed is not one whole frame and nothing else.
    pub async fn reader<R: AsyncRead + Unpin + Send>(
        &self,
        mut sealed: R,
        context: &Context,
    ) -> Result<OpenedReader<R>> {
        let preamble = read_preamble_async(&mut sealed).await?;
        let context = self.context(preamble.header().transform()?, context)?;
        let opening = self.opener.begin(preamble, &context).await?;
        self.opened(opening, sealed)
    }

    /// The same from a message whose head was opened elsewhere, under a context that names the transform.
    ///
    /// # Errors
    /// As for [`reader`](Self::reader).
    pub fn opened<R: AsyncRead>(&self, opening: Opening, sealed: R) -> Result<OpenedReader<R>> {
        let transform = opening.header().transform()?;
        self.context(transform, &Context::new())?;
        let reader = DecryptReader::new(opening, sealed);
        let inner = match transform {
            None => Opened::Plain { reader },
            Some(_) => Opened::Compressed { reader: Decompress::new(self.bounds, reader) },
        };
        Ok(OpenedReader { inner })
    }

    /// Reads the head of a message out of a stream, and wraps the rest into a stream of plaintext.
    ///
    /// # Errors
    /// As for [`reader`](Self::reader), and [`Io`](bulla::ErrorKind::Io) if the stream fails.
    pub async fn stream<'a, S, E>(&self, sealed: S, context: &Context) -> Result<ByteStream<'a>>
    where
        S: Stream<Item = Result<Bytes, E>> + Send + 'a,
        E: StdError + Send + Sync + 'static,
    {
        let sealed: BoxStream<'a, io::Result<Bytes>> = Box::pin(sealed.map_err(to_io));
        let reader = self.reader(StreamReader::new(sealed), context).await?;
        Ok(to_stream(reader))
    }
}

/// Keeps errors of this library as they are, also those that come as an [`io::Error`].
pub(crate) fn to_own<E: StdError + Send + Sync + 'static>(error: E) -> Error {
    Error::from_io(to_io(error))
}

fn to_stream<'a>(reader: impl AsyncRead + Send + 'a) -> ByteStream<'a> {
    Box::pin(ReaderStream::with_capacity(reader, PIECE_LEN).map_err(Error::from_io))
}

/// Keeps errors of this library and of I/O as they are.
fn to_io<E: StdError + Send + Sync + 'static>(error: E) -> io::Error {
    let mut error = Some(error);
    let any: &mut dyn Any = &mut error;
    match any.downcast_mut::<Option<io::Error>>().and_then(Option::take) {
        Some(own) => own,
        None => error.map_or_else(|| io::ErrorKind::Other.into(), io::Error::other),
    }
}

pin_project! {
    /// Yields the sealed form of a plaintext. An end of file means that both have ended well.
    pub struct SealedReader<R> {
        #[pin]
        inner: Sealed<R>,
    }
}

pin_project! {
    #[project = SealedProjection]
    enum Sealed<R> {
        Plain { #[pin] reader: EncryptReader<R> },
        Compressed { #[pin] reader: EncryptReader<Compress<WipedReader<R>>> },
    }
}

impl<R: AsyncRead> AsyncRead for SealedReader<R> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut task::Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.project().inner.project() {
            SealedProjection::Plain { reader } => reader.poll_read(cx, buf),
            SealedProjection::Compressed { reader } => reader.poll_read(cx, buf),
        }
    }
}

pin_project! {
    /// Yields the plaintext of a message. An end of file means that the message was whole, and so was what was
    /// compressed.
    pub struct OpenedReader<R> {
        #[pin]
        inner: Opened<R>,
    }
}

pin_project! {
    #[project = OpenedProjection]
    enum Opened<R> {
        Plain { #[pin] reader: DecryptReader<R> },
        Compressed { #[pin] reader: Decompress<DecryptReader<R>> },
    }
}

impl<R: AsyncRead> AsyncRead for OpenedReader<R> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut task::Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.project().inner.project() {
            OpenedProjection::Plain { reader } => reader.poll_read(cx, buf),
            OpenedProjection::Compressed { reader } => reader.poll_read(cx, buf),
        }
    }
}

impl<R> fmt::Debug for SealedReader<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SealedReader").finish_non_exhaustive()
    }
}

impl<R> fmt::Debug for OpenedReader<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenedReader").finish_non_exhaustive()
    }
}
