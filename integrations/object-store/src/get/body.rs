//! The body of an answer: a stream of pieces, or a file.

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream, stream::BoxStream};
use object_store::{GetResult, GetResultPayload, Result};

#[cfg(all(feature = "fs", unix))]
use super::file::FileBody;
use crate::pieces::Pieces;

/// Sealed bytes that come.
pub(super) enum Body {
    Stream(StreamBody),
    #[cfg(all(feature = "fs", unix))]
    File(FileBody),
}

pub(super) struct StreamBody {
    /// What has come already and is still wanted.
    pub(super) ahead: Pieces,
    pub(super) rest: BoxStream<'static, Result<Bytes>>,
}

impl Body {
    pub(super) fn new(result: GetResult) -> Self {
        let rest = match result.payload {
            GetResultPayload::Stream(rest) => rest,
            #[cfg(all(feature = "fs", unix))]
            GetResultPayload::File(file, path) => {
                return Self::File(FileBody::new(file, path, result.range.start));
            }
            #[allow(unreachable_patterns, reason = "without the store's feature there is no other")]
            _ => result.into_stream(),
        };
        Self::Stream(StreamBody { ahead: Pieces::default(), rest })
    }

    /// A body that has come already.
    pub(super) fn at_hand(bytes: Bytes) -> Self {
        let mut ahead = Pieces::default();
        ahead.push(bytes);
        Self::Stream(StreamBody { ahead, rest: stream::empty().boxed() })
    }

    /// The next `len` bytes, or all that there are. They stay.
    pub(super) async fn peek(&mut self, len: usize) -> Result<Bytes> {
        match self {
            Self::Stream(StreamBody { ahead, rest }) => {
                while ahead.len() < len {
                    match rest.try_next().await? {
                        Some(piece) => ahead.push(piece),
                        None => break,
                    }
                }
                Ok(ahead.peek(len))
            }
            #[cfg(all(feature = "fs", unix))]
            Self::File(file) => file.peek(len).await,
        }
    }

    /// Passes over bytes that were peeked at.
    pub(super) fn skip(&mut self, len: usize) {
        match self {
            Self::Stream(StreamBody { ahead, .. }) => drop(ahead.split_to(len)),
            #[cfg(all(feature = "fs", unix))]
            Self::File(file) => file.skip(len),
        }
    }

    /// All that is left, as it came.
    pub(super) fn into_payload(self) -> GetResultPayload {
        match self {
            Self::Stream(StreamBody { ahead, rest }) => {
                let ahead = stream::iter(ahead.into_pieces().into_iter().map(Ok));
                GetResultPayload::Stream(ahead.chain(rest).boxed())
            }
            #[cfg(all(feature = "fs", unix))]
            Self::File(file) => file.into_payload(),
        }
    }
}
