//! Reading the beginning of an object, and saying what it is by that.

use std::fmt;

use bulla::format::{DirectMessage, MAGIC, Preamble, PreambleReader};
use bytes::{Bytes, BytesMut};
use futures_util::TryStreamExt as _;
use object_store::{Attributes, GetOptions, GetRange, ObjectMeta, ObjectStore};

/// What an object is, as far as its first bytes and its length tell. **Nothing of it is authenticated.**
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum State {
    /// A sealed message, whose length is one that such messages have.
    Sealed,
    /// A direct message: a key itself encrypted the payload. None is made by an encrypted store.
    Direct,
    /// Something else: it was never sealed, or its beginning was overwritten.
    Plain,
    /// It begins as sealed data does and ends before its first chunk does.
    Short,
    /// It begins as sealed data does, and breaks a rule of the format or has a length that no message has.
    Damaged,
    /// Sealed data of a version or suite that this version of the library does not know.
    Unknown,
    /// It was listed, and gone when it was to be read.
    Gone,
    /// The store would not give it out.
    Unread,
}

impl State {
    /// Every state, in the order in which they are told.
    pub const ALL: [Self; 8] = [
        Self::Sealed,
        Self::Direct,
        Self::Plain,
        Self::Short,
        Self::Damaged,
        Self::Unknown,
        Self::Gone,
        Self::Unread,
    ];

    /// A stable lower-case name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sealed => "sealed",
            Self::Direct => "direct",
            Self::Plain => "plain",
            Self::Short => "short",
            Self::Damaged => "damaged",
            Self::Unknown => "unknown",
            Self::Gone => "gone",
            Self::Unread => "unread",
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The beginning of an object, and which object that was.
pub(super) struct Read {
    /// As the store had it when the beginning was read, which may be later than it was listed.
    pub(super) meta: ObjectMeta,
    pub(super) attributes: Attributes,
    /// What was read: the preamble, and as much of what follows as came with it.
    pub(super) start: Bytes,
    pub(super) head: Head,
}

/// What the beginning says.
pub(super) enum Head {
    Sealed(Preamble),
    /// Something else, and what is to be said of it.
    Other(State, Option<String>),
}

/// How reading failed.
pub(super) enum Unread {
    Gone,
    /// It was replaced between two requests.
    Changed,
    Store(object_store::Error),
}

impl From<object_store::Error> for Unread {
    fn from(error: object_store::Error) -> Self {
        match error {
            object_store::Error::NotFound { .. } => Self::Gone,
            object_store::Error::Precondition { .. } => Self::Changed,
            other => Self::Store(other),
        }
    }
}

/// Reads the beginning of a listed object: by one request of `first` bytes, and by a second one only if
/// its header is longer. At most 65,591 bytes if `first` is less.
pub(super) async fn read<S: ObjectStore + ?Sized>(
    store: &S,
    listed: &ObjectMeta,
    first: u64,
) -> Result<Read, Unread> {
    if listed.size == 0 {
        // No range of nothing can be asked for.
        let head = Head::Other(State::Plain, Some("it is empty".to_owned()));
        let (attributes, start) = (Attributes::new(), Bytes::new());
        return Ok(Read { meta: listed.clone(), attributes, start, head });
    }
    let options = GetOptions::new().with_range(Some(GetRange::Bounded(0..first)));
    let result = store.get_opts(&listed.location, options).await?;
    let (meta, attributes) = (result.meta.clone(), result.attributes.clone());
    let mut start = bounded(result, first).await?;
    let head = loop {
        // It starts anew with each request, of which there are three at most.
        let mut reader = PreambleReader::new();
        match reader.push(&start) {
            Err(error) => break refused(&start, &error),
            Ok(_) if reader.needed() == 0 => break finish(reader, &meta),
            Ok(_) if start.len() as u64 >= meta.size => break cut(&start, meta.size),
            Ok(_) => {}
        }
        let at = start.len() as u64;
        let end = (at + reader.needed() as u64).min(meta.size);
        let options = GetOptions::new()
            .with_range(Some(GetRange::Bounded(at..end)))
            .with_if_match(meta.e_tag.clone());
        let more = bounded(store.get_opts(&listed.location, options).await?, end - at).await?;
        if more.is_empty() {
            break cut(&start, meta.size);
        }
        start = [start, more].concat().into();
    };
    Ok(Read { meta, attributes, start, head })
}

/// What a request brought, and not a byte more than was asked for, whatever the server sends.
pub(super) async fn bounded(
    result: object_store::GetResult,
    most: u64,
) -> Result<Bytes, object_store::Error> {
    let most = usize::try_from(most).unwrap_or(usize::MAX);
    let mut stream = result.into_stream();
    // One piece, as most stores send it, is not copied.
    let mut all = stream.try_next().await?.unwrap_or_default();
    all.truncate(most);
    while all.len() < most
        && let Some(mut piece) = stream.try_next().await?
    {
        piece.truncate(most - all.len());
        let mut joined = BytesMut::from(all);
        joined.extend_from_slice(&piece);
        all = joined.freeze();
    }
    Ok(all)
}

fn refused(start: &[u8], error: &bulla::Error) -> Head {
    let message = Some(error.message().to_owned());
    if DirectMessage::begins(start) {
        return Head::Other(State::Direct, None);
    }
    if !start.starts_with(&MAGIC) {
        return Head::Other(State::Plain, None);
    }
    let state = match error.kind() {
        bulla::ErrorKind::Unsupported => State::Unknown,
        _ => State::Damaged,
    };
    Head::Other(state, message)
}

/// The object ended before its preamble did.
fn cut(start: &[u8], size: u64) -> Head {
    // As much of the magic number as there is tells what it was to be.
    let begins = start.iter().zip(MAGIC).all(|(one, other)| *one == other);
    match begins && !start.is_empty() {
        true if start.len() >= MAGIC.len() => {
            Head::Other(State::Short, Some(format!("it ends after {size} bytes, inside its head")))
        }
        _ if DirectMessage::begins(start) => Head::Other(State::Direct, None),
        _ => Head::Other(State::Plain, None),
    }
}

fn finish(reader: PreambleReader, meta: &ObjectMeta) -> Head {
    let preamble = match reader.finish() {
        Ok(preamble) => preamble,
        Err(error) if error.kind() == bulla::ErrorKind::Unsupported => {
            return Head::Other(State::Unknown, Some(error.message().to_owned()));
        }
        Err(error) => return Head::Other(State::Damaged, Some(error.message().to_owned())),
    };
    let Some(body) = meta.size.checked_sub(preamble.len() as u64) else {
        return Head::Other(State::Short, Some("it ends inside its head".to_owned()));
    };
    match preamble.header().suite().plaintext_len(body) {
        Some(_) => Head::Sealed(preamble),
        None if body == 0 => Head::Other(State::Short, Some("it ends behind its head".to_owned())),
        None => Head::Other(
            State::Damaged,
            Some(format!("no message has a body of {body} bytes: it was cut or damaged")),
        ),
    }
}
