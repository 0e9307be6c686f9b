//! What gRPC's C core calls a Unix socket, made readable to `h2`.
//!
//! For `unix:/run/api.sock`, C core (and so Python, Ruby and PHP) sends `:authority: run%2Fapi.sock` (grpc 1.85). The
//! crate `http` knows no host with `%` in it, so `h2` resets the stream as malformed (issue 487 of `h2`), and such
//! clients can't ask. Nothing here reads the authority, so that its `%` become `-` on their way in, in place: same
//! length, and the same to all later headers that HPACK refers back to.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Bytes of the client's connection preface (RFC 9113, section 3.4), and of a frame's header (section 4.1).
const PREFACE_LEN: usize = 24;
const FRAME_HEADER_LEN: usize = 9;

/// The type of HEADERS (section 6.2).
const HEADERS: u8 = 1;

const NAME: &[u8] = b":authority";

/// A connection, of which authorities have no `%` when they are read.
pub(super) struct Lenient<S> {
    stream: S,
    frames: Frames,
}

impl<S> Lenient<S> {
    pub(super) fn new(stream: S) -> Self {
        Self { stream, frames: Frames::default() }
    }
}

/// Where in the client's frames the next byte stands.
#[derive(Debug, Default)]
struct Frames {
    /// Bytes of preface and frame header that were read.
    preface: usize,
    header: usize,
    /// The length of this frame's payload, as far as it was read; what is left of it; and the frame's type.
    length: usize,
    left: usize,
    kind: u8,
    value: Value,
}

/// Where in a header block, as far as that matters: behind the literal name `:authority` stands the length of a value
/// that is not in Huffman's code (RFC 7541, section 5.2), and that value.
#[derive(Clone, Copy, Debug)]
enum Value {
    Name(usize),
    Length,
    Left(usize),
}

impl Default for Value {
    fn default() -> Self {
        Self::Name(0)
    }
}

impl Frames {
    fn pass(&mut self, bytes: &mut [u8]) {
        for byte in bytes {
            self.next(byte);
        }
    }

    fn next(&mut self, byte: &mut u8) {
        if self.preface < PREFACE_LEN {
            self.preface += 1;
            return;
        }
        if self.left == 0 {
            self.frame_header(*byte);
            return;
        }
        self.left -= 1;
        if self.kind == HEADERS {
            self.value = self.value.next(byte);
        }
    }

    fn frame_header(&mut self, byte: u8) {
        match self.header {
            0..3 => self.length = self.length << 8 | usize::from(byte),
            3 => self.kind = byte,
            _ => {}
        }
        self.header += 1;
        if self.header == FRAME_HEADER_LEN {
            self.header = 0;
            self.left = self.length;
            self.length = 0;
            self.value = Value::default();
        }
    }
}

impl Value {
    fn next(self, byte: &mut u8) -> Self {
        match self {
            Self::Name(seen) => match NAME.get(seen) {
                Some(expected) if expected == byte && seen + 1 == NAME.len() => Self::Length,
                Some(expected) if expected == byte => Self::Name(seen + 1),
                // A colon stands at its beginning alone.
                _ => Self::Name(usize::from(NAME.first() == Some(byte))),
            },
            // Longer ones, and those in Huffman's code, are left as they are.
            Self::Length if (1..0x7f).contains(byte) => Self::Left(usize::from(*byte)),
            Self::Length => Self::Name(0),
            Self::Left(left) => {
                if *byte == b'%' {
                    *byte = b'-';
                }
                if left > 1 { Self::Left(left - 1) } else { Self::Name(0) }
            }
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Lenient<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buffer.filled().len();
        let read = Pin::new(&mut this.stream).poll_read(cx, buffer);
        if let Some(new) = buffer.filled_mut().get_mut(before..) {
            this.frames.pass(new);
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Lenient<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffers: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write_vectored(cx, buffers)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

    fn frame(kind: u8, payload: &[u8]) -> Vec<u8> {
        let len = u32::try_from(payload.len()).unwrap().to_be_bytes();
        [&len[1..], &[kind, 4, 0, 0, 0, 1], payload].concat()
    }

    fn passed(bytes: &[u8], at_once: usize) -> Vec<u8> {
        let mut frames = Frames::default();
        let mut bytes = bytes.to_vec();
        bytes.chunks_mut(at_once).for_each(|chunk| frames.pass(chunk));
        bytes
    }

    /// As grpc 1.85 sends it: a literal name, and a value as it is.
    fn authority(value: &[u8]) -> Vec<u8> {
        [b"\x83@\x0a:authority", &[u8::try_from(value.len()).unwrap()][..], value, b"\x86"].concat()
    }

    #[test]
    fn an_authority_loses_its_percent_signs_and_nothing_else_does() {
        let block = authority(b"tmp%2Fapi.sock");
        let data = b"@\x0a:authority\x03a%b";
        let bytes = [PREFACE, &frame(4, b""), &frame(HEADERS, &block), &frame(0, data)].concat();
        let block = authority(b"tmp-2Fapi.sock");
        let expected = [PREFACE, &frame(4, b""), &frame(HEADERS, &block), &frame(0, data)].concat();
        for at_once in 1..bytes.len() {
            assert_eq!(passed(&bytes, at_once), expected);
        }
    }

    #[test]
    fn what_is_before_and_behind_it_stays() {
        let around = |value: &[u8]| {
            let block = [b"@\x04path\x03%%%", &authority(value)[..], b"@\x04more\x03%%%"].concat();
            [PREFACE, &frame(HEADERS, &block)].concat()
        };
        assert_eq!(passed(&around(b"a%b%c"), 7), around(b"a-b-c"));
        assert_eq!(passed(&around(b"localhost"), 7), around(b"localhost"));
    }

    #[test]
    fn huffman_and_long_lengths_are_left_alone() {
        for length in [0x83, 0xff, 0x7f, 0x00] {
            let block = [b"@\x0a:authority", &[length][..], b"%%%"].concat();
            let bytes = [PREFACE, &frame(HEADERS, &block)].concat();
            assert_eq!(passed(&bytes, 5), bytes);
        }
    }

    #[test]
    fn anything_may_come() {
        for seed in 0..200_u64 {
            let mut state = seed;
            let mut noise = || {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                state.to_be_bytes()[0]
            };
            let bytes: Vec<u8> = (0..500).map(|_| noise()).collect();
            assert_eq!(passed(&bytes, 13).len(), bytes.len());
        }
    }
}
