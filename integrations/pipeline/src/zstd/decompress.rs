//! One frame in, plaintext out: within bounds, whole, and with nothing behind it.

use std::{
    fmt, io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use async_compression::{tokio::bufread::ZstdDecoder, zstd::DParameter};
use bulla::{Error, ErrorKind};
use pin_project_lite::pin_project;
use tokio::io::{AsyncBufRead, AsyncRead, ReadBuf};

use super::frame::{FrameHeader, MAX_HEADER_LEN, damaged};
use crate::Bounds;

pin_project! {
    /// Reads one compressed frame from `R` and yields what was compressed.
    ///
    /// An end of file here means that the frame was whole **and** that `R` ended behind it. After an error
    /// every call fails.
    pub(crate) struct Decompress<R> {
        #[pin]
        decoder: ZstdDecoder<Judged<R>>,
        bounds: Bounds,
        made: u64,
        state: State,
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    InFrame,
    /// The frame is whole; whether something is behind it is still to be seen.
    BehindFrame,
    Done,
    Failed,
}

impl<R: AsyncBufRead> Decompress<R> {
    pub(crate) fn new(bounds: Bounds, inner: R) -> Self {
        let judged = Judged { inner, bounds, head: Head::default(), taken: 0, failed: false };
        let window = DParameter::window_log_max(bounds.window_log());
        let decoder = ZstdDecoder::with_params(judged, &[window]);
        Self { decoder, bounds, made: 0, state: State::InFrame }
    }

    fn poll_step(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let mut this = self.project();
        if *this.state == State::InFrame {
            let before = buf.filled().len();
            let answer = ready!(this.decoder.as_mut().poll_read(cx, buf));
            let Judged { taken, failed, .. } = this.decoder.get_ref();
            if let Err(error) = answer {
                return Poll::Ready(Err(if *failed { error } else { decoder(error).into() }));
            }
            let len = buf.filled().len() - before;
            if len > 0 {
                *this.made += len as u64;
                let checked = this.bounds.check_read(*this.made, *taken);
                return Poll::Ready(checked.map_err(|error| {
                    // Nothing beyond the bounds is handed out.
                    buf.filled_mut().get_mut(before..).unwrap_or_default().fill(0);
                    buf.set_filled(before);
                    error.into()
                }));
            }
            *this.state = State::BehindFrame;
        }
        if *this.state == State::BehindFrame {
            // This also is what authenticates the end of the message.
            if !ready!(this.decoder.get_pin_mut().poll_fill_buf(cx))?.is_empty() {
                let text = "something stands behind the compressed frame";
                return Poll::Ready(Err(damaged(text).into()));
            }
            *this.state = State::Done;
        }
        Poll::Ready(match this.state {
            State::Done => Ok(()),
            _ => Err(Error::new(ErrorKind::Closed, "the stream has failed before").into()),
        })
    }
}

impl<R: AsyncBufRead> AsyncRead for Decompress<R> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if buf.remaining() == 0 {
            return Poll::Ready(Ok(())); // which the decoder would take for an end
        }
        let answer = ready!(self.as_mut().poll_step(cx, buf));
        if answer.is_err() {
            *self.project().state = State::Failed;
        }
        Poll::Ready(answer)
    }
}

pin_project! {
    /// Counts what the decoder takes, and lets it see no frame header that was not judged.
    struct Judged<R> {
        #[pin]
        inner: R,
        bounds: Bounds,
        head: Head,
        taken: u64,
        // Whether an error is this reader's, and not the decoder's.
        failed: bool,
    }
}

/// The beginning of the frame, which may come in pieces.
#[derive(Default)]
struct Head {
    bytes: [u8; MAX_HEADER_LEN],
    /// How many of them were taken.
    taken: usize,
    is_judged: bool,
}

impl Head {
    /// Looks at what is next, as far as it is part of the head.
    fn judge(&mut self, next: &[u8], bounds: &Bounds) -> bulla::Result<()> {
        if self.is_judged {
            return Ok(());
        }
        let room = self.bytes.get_mut(self.taken..).unwrap_or_default();
        let len = room.len().min(next.len());
        if let (Some(room), Some(next)) = (room.get_mut(..len), next.get(..len)) {
            room.copy_from_slice(next);
        }
        let seen = self.bytes.get(..self.taken + len).unwrap_or_default();
        if let Some(header) = FrameHeader::read(seen)? {
            header.check(bounds)?;
            self.is_judged = true;
        }
        Ok(())
    }
}

impl<R: AsyncBufRead> AsyncBufRead for Judged<R> {
    fn poll_fill_buf(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<&[u8]>> {
        let this = self.project();
        let filled = ready!(this.inner.poll_fill_buf(cx));
        let judged = filled.and_then(|buf| {
            this.head.judge(buf, this.bounds).map(|()| buf).map_err(io::Error::from)
        });
        *this.failed = judged.is_err();
        Poll::Ready(judged)
    }

    fn consume(self: Pin<&mut Self>, len: usize) {
        let this = self.project();
        if !this.head.is_judged {
            this.head.taken = (this.head.taken + len).min(MAX_HEADER_LEN);
        }
        *this.taken += len as u64;
        this.inner.consume(len);
    }
}

/// The decoder reads by the buffer alone.
impl<R: AsyncBufRead> AsyncRead for Judged<R> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let filled = ready!(self.as_mut().poll_fill_buf(cx))?;
        let len = filled.len().min(buf.remaining());
        buf.put_slice(filled.get(..len).unwrap_or_default());
        self.consume(len);
        Poll::Ready(Ok(()))
    }
}

fn decoder(error: io::Error) -> Error {
    let text = match error.kind() {
        io::ErrorKind::UnexpectedEof => "the compressed frame ends before it is whole",
        _ => "what was sealed as compressed can't be decompressed",
    };
    damaged(text).with_source(error)
}

impl<R> fmt::Debug for Decompress<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Decompress")
            .field("made", &self.made)
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}
