//! Bytes in several pieces, none of which is copied.

use std::collections::VecDeque;

use bytes::{Buf, Bytes};
use object_store::PutPayload;

/// Bytes in several pieces, in order.
#[derive(Debug, Default)]
pub(crate) struct Pieces {
    pieces: VecDeque<Bytes>,
    len: usize,
}

impl Pieces {
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn push(&mut self, piece: Bytes) {
        if !piece.is_empty() {
            self.len += piece.len();
            self.pieces.push_back(piece);
        }
    }

    pub(crate) fn extend(&mut self, payload: PutPayload) {
        payload.into_iter().for_each(|piece| self.push(piece));
    }

    /// Cuts off the first `len` bytes, or all that there are.
    pub(crate) fn split_to(&mut self, len: usize) -> Self {
        let mut head = Self::default();
        while head.len < len {
            let Some(mut piece) = self.pieces.pop_front() else { break };
            let wanted = len - head.len;
            if piece.len() > wanted {
                let first = piece.split_to(wanted);
                self.pieces.push_front(piece);
                piece = first;
            }
            self.len -= piece.len();
            head.push(piece);
        }
        head
    }

    /// The first `len` bytes, or all that there are, in one piece. They stay.
    pub(crate) fn peek(&self, len: usize) -> Bytes {
        if let Some(first) = self.pieces.front().filter(|first| first.len() >= len) {
            return first.slice(..len);
        }
        let mut bytes = Vec::with_capacity(len.min(self.len));
        for piece in &self.pieces {
            let wanted = len - bytes.len();
            bytes.extend_from_slice(piece.get(..wanted).unwrap_or(piece));
        }
        bytes.into()
    }

    pub(crate) fn into_pieces(self) -> VecDeque<Bytes> {
        self.pieces
    }
}

impl Buf for Pieces {
    fn remaining(&self) -> usize {
        self.len
    }

    fn chunk(&self) -> &[u8] {
        self.pieces.front().map_or(&[], |first| first)
    }

    fn advance(&mut self, count: usize) {
        drop(self.split_to(count));
    }
}

impl From<PutPayload> for Pieces {
    fn from(payload: PutPayload) -> Self {
        let mut pieces = Self::default();
        pieces.extend(payload);
        pieces
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces() -> Pieces {
        let mut pieces = Pieces::default();
        for piece in ["ab", "", "cdefg", "h"] {
            pieces.push(Bytes::from_static(piece.as_bytes()));
        }
        pieces
    }

    #[test]
    fn they_are_cut_anywhere() {
        for at in 0..=9 {
            let mut rest = pieces();
            let mut head = rest.split_to(at);
            assert_eq!(head.len(), at.min(8));
            assert_eq!(rest.len(), 8 - at.min(8));
            let (a, b) = (head.copy_to_bytes(head.len()), rest.copy_to_bytes(rest.len()));
            assert_eq!([a, b].concat(), b"abcdefgh");
        }
    }

    #[test]
    fn what_is_peeked_stays() {
        let all = pieces();
        for len in 0..=9 {
            assert_eq!(all.peek(len), b"abcdefgh"[..len.min(8)]);
        }
        assert_eq!(all.len(), 8);
    }
}
