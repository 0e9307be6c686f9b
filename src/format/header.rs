//! The header: written and read byte by byte, as FORMAT.md, "Header", has it.
//!
//! Whatever is read here comes from an attacker until the tag is checked. Every length is bounded
//! before it is used, and whatever parses is the only spelling of what it says.

use std::fmt;

use super::{
    DIRECT_MAGIC, MAGIC,
    derive::TAG_LEN,
    reader::{Reader, read_context},
    recipient,
    suite::Suite,
};
use crate::{
    context::{EncryptionContext, Transform},
    error::{Error, ErrorKind, Result},
    key::Wrapped,
};

/// The most recipients that a header may have.
pub const MAX_RECIPIENTS: usize = 8;

/// The bytes from which the length of a header can be told: 10.
pub const PREFIX_LEN: usize = 10;

const VERSION: u8 = 1;
const FLAG_SHARED: u8 = 1;

/// The shortest header: prefix, empty context, one recipient with one byte each, tag.
const MIN_LEN: usize = PREFIX_LEN + 1 + 1 + (1 + 1 + 1 + 2 + 1 + 2 + 1) + TAG_LEN;

/// A parsed header. **Nothing in it is authenticated** until a data key has checked its tag; what
/// an [`Opener`](crate::Opener) hands out is.
#[derive(Clone, PartialEq, Eq)]
pub struct Header {
    pub(crate) suite: Suite,
    pub(crate) shared: bool,
    pub(crate) stored: EncryptionContext,
    pub(crate) recipients: Vec<Wrapped>,
    padding: usize,
    raw: Vec<u8>,
}

impl Header {
    /// The whole length of the header that starts with `prefix`, tag and padding included: at most
    /// 65,535 bytes.
    ///
    /// # Errors
    /// [`Malformed`](ErrorKind::Malformed) if this is no sealed data, or fewer than
    /// [`PREFIX_LEN`] bytes; [`Unsupported`](ErrorKind::Unsupported) for a version or suite of
    /// the future.
    pub fn declared_len(prefix: &[u8]) -> Result<usize> {
        Prefix::parse(&mut Reader(prefix)).map(|p| p.len)
    }

    /// Reads a header: exactly the bytes of one.
    ///
    /// # Errors
    /// As for [`declared_len`](Self::declared_len), and [`Malformed`](ErrorKind::Malformed) for
    /// whatever breaks a rule of the format.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        let mut reader = Reader(bytes);
        let Prefix { suite, shared, len } = Prefix::parse(&mut reader)?;
        if len != bytes.len() {
            return Err(Error::malformed("the header is cut short"));
        }
        let untagged = reader.0.len() - TAG_LEN; // `len` is at least MIN_LEN
        reader = Reader(reader.take(untagged)?);
        let stored = read_context(&mut reader)?;
        let count = usize::from(reader.u8()?);
        if !(1..=MAX_RECIPIENTS).contains(&count) {
            return Err(Error::malformed("a header has 1 to 8 recipients"));
        }
        let recipients =
            (0..count).map(|_| recipient::read(&mut reader)).collect::<Result<Vec<_>>>()?;
        recipient::refuse_duplicates(&recipients)
            .map_err(|e| Error::malformed(e.message().to_owned()))?;
        if reader.0.iter().any(|byte| *byte != 0) {
            return Err(Error::malformed("the header's padding is not zero"));
        }
        let padding = reader.0.len();
        Ok(Self { suite, shared, stored, recipients, padding, raw: bytes.to_vec() })
    }

    /// The suite of the body.
    #[must_use]
    pub fn suite(&self) -> Suite {
        self.suite
    }

    /// Whether other messages are sealed under the same data key (flag bit 0). Whoever may open
    /// one of them can open all.
    #[must_use]
    pub fn is_data_key_shared(&self) -> bool {
        self.shared
    }

    /// The stored context: the key context that was sealed under.
    #[must_use]
    pub fn stored_context(&self) -> &EncryptionContext {
        &self.stored
    }

    /// The recipients, any one of which opens.
    #[must_use]
    pub fn recipients(&self) -> &[Wrapped] {
        &self.recipients
    }

    /// The whole header as bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.raw
    }

    /// What was done to the plaintext before it was sealed, by the stored pair `bulla.transform`. What opens
    /// is the transformed bytes.
    ///
    /// # Errors
    /// [`Unsupported`](ErrorKind::Unsupported) for a transform, or another pair of the library's own, that this
    /// version does not know. No message with such a pair opens.
    pub fn transform(&self) -> Result<Option<Transform>> {
        self.stored.transform()
    }

    /// Everything that an unwrap depends on: stored context and recipients, and no padding, which
    /// anybody can change.
    pub(crate) fn wraps(&self) -> &[u8] {
        let untagged = self.untagged();
        untagged.get(PREFIX_LEN..untagged.len() - self.padding).unwrap_or_default()
    }

    /// Whether there is room between the recipients and the tag.
    pub(crate) fn is_padded(&self) -> bool {
        self.padding > 0
    }

    pub(crate) fn untagged(&self) -> &[u8] {
        self.raw.split_last_chunk::<TAG_LEN>().map_or(&[], |(head, _)| head)
    }

    pub(crate) fn tag(&self) -> &[u8] {
        self.raw.split_last_chunk::<TAG_LEN>().map_or(&[], |(_, tag)| tag)
    }
}

/// Writes a header, its tag still zero: as short as it can be, or padded to `padded` bytes. There is
/// room for `room` more bytes behind it.
///
/// # Errors
/// [`InvalidInput`](ErrorKind::InvalidInput) for recipients that the format can't hold, or
/// that don't fit into `padded` bytes.
pub(crate) fn write(
    suite: Suite,
    shared: bool,
    stored: &EncryptionContext,
    recipients: &[Wrapped],
    padded: Option<u16>,
    room: usize,
) -> Result<Vec<u8>> {
    if !(1..=MAX_RECIPIENTS).contains(&recipients.len()) {
        return Err(Error::invalid("data is sealed to 1 to 8 recipients"));
    }
    recipient::refuse_duplicates(recipients)?;
    let most = recipients.iter().map(|r| recipient::max_len(&r.key, r.blob.len())).sum();
    let expected = padded.map_or_else(|| fixed_len(stored).saturating_add(most), usize::from);
    let mut raw = Vec::with_capacity(expected.saturating_add(room));
    raw.extend_from_slice(&MAGIC);
    let flags = if shared { FLAG_SHARED } else { 0 };
    raw.extend_from_slice(&[VERSION, suite.code(), flags, 0, 0]);
    stored.encode_to(&mut raw);
    raw.push(u8::try_from(recipients.len()).unwrap_or(u8::MAX));
    for recipient in recipients {
        recipient::write(&mut raw, recipient)?;
    }
    let needed = raw.len() + TAG_LEN;
    let len = padded.map_or(needed, usize::from);
    if needed > len || len > usize::from(u16::MAX) {
        return Err(Error::invalid(format!(
            "the header needs {needed} bytes and {} are set aside; use a longer header, fewer \
             recipients or a shorter key context",
            padded.unwrap_or(u16::MAX)
        )));
    }
    raw.resize(len, 0);
    let encoded_len = u16::try_from(len).unwrap_or(u16::MAX).to_be_bytes();
    if let Some(field) = raw.get_mut(8..PREFIX_LEN) {
        field.copy_from_slice(&encoded_len);
    }
    Ok(raw)
}

/// What the tag of a written header is over, and its place.
pub(crate) fn split_tag(header: &mut [u8]) -> (&[u8], &mut [u8; TAG_LEN]) {
    match header.split_last_chunk_mut() {
        Some((untagged, tag)) => (untagged, tag),
        None => unreachable!("a header that was written has room for its tag"),
    }
}

/// Without the raw bytes, which would show the context's values.
impl fmt::Debug for Header {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Header")
            .field("suite", &self.suite)
            .field("shared", &self.shared)
            .field("stored", &self.stored)
            .field("recipients", &self.recipients.iter().map(|r| &r.key).collect::<Vec<_>>())
            .field("len", &self.raw.len())
            .finish()
    }
}

/// The bytes of a header beside its recipients.
pub(crate) fn fixed_len(stored: &EncryptionContext) -> usize {
    PREFIX_LEN + stored.encoded_len() + 1 + TAG_LEN
}

pub(super) struct Prefix {
    pub(super) suite: Suite,
    shared: bool,
    pub(super) len: usize,
}

impl Prefix {
    pub(super) fn parse(reader: &mut Reader<'_>) -> Result<Self> {
        if reader.0.first_chunk() != Some(&MAGIC) {
            return Err(Error::malformed(match reader.0.first_chunk() {
                Some(&DIRECT_MAGIC) => "this is a direct message; `decrypt_direct` opens it",
                _ => "this does not begin as data sealed by bulla does",
            }));
        }
        reader.take(MAGIC.len())?;
        let version = reader.u8()?;
        if version != VERSION {
            return Err(Error::new(
                ErrorKind::Unsupported,
                format!("format version {version} is not known to this version of bulla"),
            ));
        }
        let suite = Suite::from_code(reader.u8()?)?;
        let flags = reader.u8()?;
        if flags & !FLAG_SHARED != 0 {
            return Err(Error::malformed("the header has unknown flags"));
        }
        let len = usize::from(reader.u16()?);
        if len < MIN_LEN {
            return Err(Error::malformed("the header's length is impossible"));
        }
        Ok(Self { suite, shared: flags & FLAG_SHARED != 0, len })
    }
}
