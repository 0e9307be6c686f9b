//! The header: written and read byte by byte, as FORMAT.md, "Header", has it.
//!
//! Whatever is read here comes from an attacker until the tag is checked. Every length is bounded
//! before it is used, and whatever parses is the only spelling of what it says.

use std::{collections::HashSet, fmt};

use super::{derive::TAG_LEN, direct::DirectMessage, suite::Suite};
use crate::{
    context::EncryptionContext,
    error::{Error, ErrorKind, Result},
    key::{KeyName, MAX_NAME_LEN, MAX_SCHEME_LEN, MAX_WRAPPED_LEN, WrapAlgorithm, Wrapped},
};

/// The most recipients that a header may have.
pub const MAX_RECIPIENTS: usize = 8;

/// The first bytes of sealed data.
pub const MAGIC: [u8; 5] = *b"bulla";

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
            (0..count).map(|_| read_recipient(&mut reader)).collect::<Result<Vec<_>>>()?;
        refuse_duplicates(&recipients).map_err(|e| Error::malformed(e.message().to_owned()))?;
        if reader.0.iter().any(|byte| *byte != 0) {
            return Err(Error::malformed("the header's padding is not zero"));
        }
        let padding = reader.0.len();
        Ok(Self { suite, shared, stored, recipients, padding, raw: bytes.to_vec() })
    }

    /// Writes a header, its tag still zero: as short as it can be, or padded to `padded` bytes.
    ///
    /// # Errors
    /// [`InvalidInput`](ErrorKind::InvalidInput) for recipients that the format can't hold, or
    /// that don't fit into `padded` bytes.
    pub(crate) fn write(
        suite: Suite,
        shared: bool,
        stored: EncryptionContext,
        recipients: Vec<Wrapped>,
        padded: Option<u16>,
    ) -> Result<Self> {
        if !(1..=MAX_RECIPIENTS).contains(&recipients.len()) {
            return Err(Error::invalid("data is sealed to 1 to 8 recipients"));
        }
        refuse_duplicates(&recipients)?;
        let mut raw = Vec::with_capacity(usize::from(padded.unwrap_or(512)));
        raw.extend_from_slice(&MAGIC);
        let flags = if shared { FLAG_SHARED } else { 0 };
        raw.extend_from_slice(&[VERSION, suite.code(), flags, 0, 0]);
        raw.extend_from_slice(&stored.encode());
        raw.push(u8::try_from(recipients.len()).unwrap_or(u8::MAX));
        for recipient in &recipients {
            write_recipient(&mut raw, recipient)?;
        }
        let needed = raw.len() + TAG_LEN;
        let len = usize::from(padded.unwrap_or(0)).max(if padded.is_none() { needed } else { 0 });
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
        Ok(Self { suite, shared, stored, recipients, padding: len - needed, raw })
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

    /// Everything that an unwrap depends on: stored context and recipients.
    pub(crate) fn wraps(&self) -> Vec<u8> {
        self.untagged().get(PREFIX_LEN..).unwrap_or_default().to_vec()
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

    pub(crate) fn set_tag(&mut self, tag: &[u8; TAG_LEN]) {
        if let Some((_, place)) = self.raw.split_last_chunk_mut::<TAG_LEN>() {
            *place = *tag;
        }
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

/// How many bytes the recipients of these names take in a header, at most.
pub(crate) fn recipient_len(key: &KeyName, wrapped_len: usize) -> usize {
    // A version may stand behind the name: `@` and up to 64 bytes.
    let name = key.encode(None).map_or(MAX_NAME_LEN, |n| (n.len() + 65).min(MAX_NAME_LEN));
    1 + 1 + key.scheme().len() + 2 + name + 2 + wrapped_len
}

/// The bytes of a header beside its recipients.
pub(crate) fn fixed_len(stored: &EncryptionContext) -> usize {
    PREFIX_LEN + stored.encoded_len() + 1 + TAG_LEN
}

fn refuse_duplicates(recipients: &[Wrapped]) -> Result<()> {
    // Versions of one key are one recipient: a second wrap for it would only hide a mistake.
    let mut seen = HashSet::new();
    if recipients.iter().all(|r| seen.insert(&r.key)) {
        return Ok(());
    }
    Err(Error::invalid("two recipients are the same key"))
}

fn write_recipient(out: &mut Vec<u8>, recipient: &Wrapped) -> Result<()> {
    let Wrapped { key, version, algorithm, blob } = recipient;
    if !(1..=MAX_WRAPPED_LEN).contains(&blob.len()) {
        return Err(Error::new(
            ErrorKind::Unsupported,
            format!("the provider of {key} wraps to {} bytes, not 1 to 4096", blob.len()),
        ));
    }
    let name = key.encode(version.as_ref())?;
    let len2 = |len: usize| u16::try_from(len).unwrap_or(u16::MAX).to_be_bytes();
    out.push(algorithm.code());
    out.push(u8::try_from(key.scheme().len()).unwrap_or(u8::MAX));
    out.extend_from_slice(key.scheme().as_bytes());
    out.extend_from_slice(&len2(name.len()));
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(&len2(blob.len()));
    out.extend_from_slice(blob);
    Ok(())
}

fn read_recipient(reader: &mut Reader<'_>) -> Result<Wrapped> {
    let algorithm = WrapAlgorithm::from_code(reader.u8()?)?;
    let scheme_len = usize::from(reader.u8()?);
    let scheme = reader.take_bounded(scheme_len, MAX_SCHEME_LEN)?;
    let name_len = usize::from(reader.u16()?);
    let name = reader.take_bounded(name_len, MAX_NAME_LEN)?;
    let (key, version) = KeyName::decode(scheme, name)?;
    let blob_len = usize::from(reader.u16()?);
    let blob = reader.take_bounded(blob_len, MAX_WRAPPED_LEN)?.to_vec();
    Ok(Wrapped { key, version, algorithm, blob })
}

/// Reads `pairs(S)`: a count, then keys and values in strictly ascending order of the keys.
pub(crate) fn read_context(reader: &mut Reader<'_>) -> Result<EncryptionContext> {
    let count = reader.u8()?;
    EncryptionContext::from_ordered((0..count).map(|_| Ok((reader.text()?, reader.text()?))))
}

struct Prefix {
    suite: Suite,
    shared: bool,
    len: usize,
}

impl Prefix {
    fn parse(reader: &mut Reader<'_>) -> Result<Self> {
        if reader.0.first_chunk() != Some(&MAGIC) {
            return Err(Error::malformed(match DirectMessage::begins(reader.0) {
                true => "this is a direct message; `decrypt_direct` opens it",
                false => "this does not begin as data sealed by bulla does",
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

/// Takes bytes off the front, and never more than there are.
pub(crate) struct Reader<'a>(pub(crate) &'a [u8]);

impl<'a> Reader<'a> {
    pub(crate) fn take(&mut self, len: usize) -> Result<&'a [u8]> {
        let (head, tail) = self
            .0
            .split_at_checked(len)
            .ok_or_else(|| Error::malformed("the header is cut short"))?;
        self.0 = tail;
        Ok(head)
    }

    pub(crate) fn take_bounded(&mut self, len: usize, most: usize) -> Result<&'a [u8]> {
        if !(1..=most).contains(&len) {
            return Err(Error::malformed("a field of a recipient has an impossible length"));
        }
        self.take(len)
    }

    pub(crate) fn u8(&mut self) -> Result<u8> {
        self.take(1)?.first().copied().ok_or_else(|| Error::malformed("the header is cut short"))
    }

    pub(crate) fn u16(&mut self) -> Result<u16> {
        Ok(u16::from_be_bytes([self.u8()?, self.u8()?]))
    }

    pub(crate) fn u32(&mut self) -> Result<u32> {
        Ok(u32::from_be_bytes([self.u8()?, self.u8()?, self.u8()?, self.u8()?]))
    }

    fn text(&mut self) -> Result<String> {
        let len = usize::from(self.u16()?);
        let bytes = self.take(len)?;
        std::str::from_utf8(bytes)
            .map(str::to_owned)
            .map_err(|_| Error::malformed("the stored context is not UTF-8"))
    }
}
