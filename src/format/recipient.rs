//! Recipient records: FORMAT.md, "Header".

use super::reader::Reader;
use crate::{
    error::{Error, ErrorKind, Result},
    key::{
        KeyName, KeyVersion, MAX_NAME_LEN, MAX_SCHEME_LEN, MAX_WRAPPED_LEN, WrapAlgorithm, Wrapped,
    },
};

/// How many bytes the recipients of these names take in a header, at most.
pub(crate) fn max_len(key: &KeyName, wrapped_len: usize) -> usize {
    // A version may stand behind the name: `@` and up to 64 bytes.
    let name = key.encode(None).map_or(MAX_NAME_LEN, |n| (n.len() + 65).min(MAX_NAME_LEN));
    1 + 1 + key.scheme().len() + 2 + name + 2 + wrapped_len
}

pub(super) fn refuse_duplicates(recipients: &[Wrapped]) -> Result<()> {
    // Versions of one key are one recipient: a second wrap for it would only hide a mistake.
    let before = |index| recipients.iter().take(index);
    let is_new = |(index, r): (usize, &Wrapped)| before(index).all(|other| other.key != r.key);
    if recipients.iter().enumerate().all(is_new) {
        return Ok(());
    }
    Err(Error::invalid("two recipients are the same key"))
}

pub(super) fn write(out: &mut Vec<u8>, recipient: &Wrapped) -> Result<()> {
    let Wrapped { key, version, algorithm, blob } = recipient;
    if !(1..=MAX_WRAPPED_LEN).contains(&blob.len()) {
        return Err(Error::new(
            ErrorKind::Unsupported,
            format!("the provider of {key} wraps to {} bytes, not 1 to 4096", blob.len()),
        ));
    }
    out.push(algorithm.code());
    write_name(out, key, version.as_ref())?;
    out.extend_from_slice(&u16::try_from(blob.len()).unwrap_or(u16::MAX).to_be_bytes());
    out.extend_from_slice(blob);
    Ok(())
}

pub(super) fn read(reader: &mut Reader<'_>) -> Result<Wrapped> {
    let algorithm = WrapAlgorithm::from_code(reader.u8()?)?;
    let (key, version) = read_name(reader)?;
    let blob_len = usize::from(reader.u16()?);
    let blob = reader.take_bounded(blob_len, MAX_WRAPPED_LEN)?.to_vec();
    Ok(Wrapped { key, version, algorithm, blob })
}

/// `len1 ‖ scheme ‖ len2 ‖ key name`, which direct messages have too.
pub(super) fn write_name(
    out: &mut Vec<u8>,
    key: &KeyName,
    version: Option<&KeyVersion>,
) -> Result<()> {
    let name = key.encode(version)?;
    out.push(u8::try_from(key.scheme().len()).unwrap_or(u8::MAX));
    out.extend_from_slice(key.scheme().as_bytes());
    out.extend_from_slice(&u16::try_from(name.len()).unwrap_or(u16::MAX).to_be_bytes());
    out.extend_from_slice(name.as_bytes());
    Ok(())
}

pub(super) fn read_name(reader: &mut Reader<'_>) -> Result<(KeyName, Option<KeyVersion>)> {
    let scheme_len = usize::from(reader.u8()?);
    let scheme = reader.take_bounded(scheme_len, MAX_SCHEME_LEN)?;
    let name_len = usize::from(reader.u16()?);
    let name = reader.take_bounded(name_len, MAX_NAME_LEN)?;
    KeyName::decode(scheme, name)
}
