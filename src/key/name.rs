//! Canonical key names, as they stand in a recipient record.
//!
//! A name comes out of a ciphertext before anything is authenticated, and ends up in URL paths and
//! on terminals. So it has one spelling, of visible ASCII, and parsing refuses any other.

use std::{borrow::Cow, fmt};

use crate::error::{Error, Result};

/// The most bytes that a scheme may have.
pub const MAX_SCHEME_LEN: usize = 32;

/// The most bytes that an encoded name, version included, may have.
pub const MAX_NAME_LEN: usize = 1024;

const MAX_VERSION_LEN: usize = 64;

/// The immutable name of a key: which kind of provider, and its id there.
///
/// Aliases are no names: they can be pointed elsewhere. A provider resolves them once, when it is
/// built.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyName {
    scheme: Cow<'static, str>,
    id: String,
}

impl KeyName {
    /// The key `id` at a provider of `scheme`.
    ///
    /// # Errors
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) if the scheme is not 1 to 32 bytes of
    /// `[a-z0-9-]`, or if the id is empty or longer than 1,024 bytes encoded.
    pub fn new(scheme: impl Into<Cow<'static, str>>, id: impl Into<String>) -> Result<Self> {
        let (scheme, id) = (scheme.into(), id.into());
        if !is_scheme(&scheme) {
            return Err(Error::invalid("a key's scheme is not 1 to 32 bytes of [a-z0-9-]"));
        }
        if id.is_empty() {
            return Err(Error::invalid("a key's id is empty"));
        }
        let name = Self { scheme, id };
        if name.encode_id().len() > MAX_NAME_LEN {
            return Err(Error::invalid(format!("a key's id is over {MAX_NAME_LEN} bytes encoded")));
        }
        Ok(name)
    }

    /// The scheme, such as `awskms`.
    #[must_use]
    pub fn scheme(&self) -> &str {
        &self.scheme
    }

    /// The id, such as an ARN.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The name field of a recipient record: the id, with `@`, `%` and everything but visible
    /// ASCII percent-encoded, and `@version` behind it if there is one.
    pub(crate) fn encode(&self, version: Option<&KeyVersion>) -> Result<String> {
        let mut name = self.encode_id();
        if let Some(version) = version {
            name.push('@');
            name.push_str(version.as_str());
        }
        if name.len() > MAX_NAME_LEN {
            return Err(Error::invalid(format!(
                "a key's id and version are over {MAX_NAME_LEN} bytes encoded"
            )));
        }
        Ok(name)
    }

    fn encode_id(&self) -> String {
        let mut out = String::with_capacity(self.id.len());
        for byte in self.id.bytes() {
            if is_plain(byte) {
                out.push(char::from(byte));
            } else {
                const HEX: [char; 16] = [
                    '0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'A', 'B', 'C', 'D', 'E', 'F',
                ];
                let digit = |n: u8| HEX.get(usize::from(n)).copied().unwrap_or('0');
                out.extend(['%', digit(byte >> 4), digit(byte & 15)]);
            }
        }
        out
    }

    /// Reads back what [`encode`](Self::encode) wrote, and nothing else.
    pub(crate) fn decode(scheme: &[u8], name: &[u8]) -> Result<(Self, Option<KeyVersion>)> {
        let scheme =
            std::str::from_utf8(scheme).ok().filter(|s| is_scheme(s)).ok_or_else(|| {
                Error::malformed("a recipient's scheme is not 1 to 32 bytes of [a-z0-9-]")
            })?;
        let bad = || Error::malformed("a recipient's key name is not in canonical form");
        let name = std::str::from_utf8(name).map_err(|_| bad())?;
        if name.len() > MAX_NAME_LEN {
            return Err(bad());
        }
        let (encoded, version) = match name.split_once('@') {
            Some((id, version)) => (id, Some(KeyVersion::parse(version).map_err(|_| bad())?)),
            None => (name, None),
        };
        let id = percent_encoding::percent_decode_str(encoded)
            .decode_utf8()
            .map_err(|_| bad())?
            .into_owned();
        let key = Self::new(scheme.to_owned(), id).map_err(|_| bad())?;
        // One name, one spelling: `%41`, lower-case hex and bare control bytes all fail here.
        if key.encode_id() != encoded {
            return Err(bad());
        }
        Ok((key, version))
    }
}

/// `scheme:id`, with the id encoded as in a header, so that it is safe to print.
impl fmt::Display for KeyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.scheme, self.encode_id())
    }
}

/// The version of a key: 1 to 64 bytes of `[A-Za-z0-9_-]`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyVersion(String);

impl KeyVersion {
    /// Parses a version.
    ///
    /// # Errors
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) for anything but 1 to 64 bytes of
    /// `[A-Za-z0-9_-]`.
    pub fn parse(text: &str) -> Result<Self> {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-');
        if (1..=MAX_VERSION_LEN).contains(&text.len()) && text.bytes().all(allowed) {
            return Ok(Self(text.to_owned()));
        }
        Err(Error::invalid("a key version is not 1 to 64 bytes of [A-Za-z0-9_-]"))
    }

    /// The version as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for KeyVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn is_scheme(text: &str) -> bool {
    (1..=MAX_SCHEME_LEN).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

fn is_plain(byte: u8) -> bool {
    byte.is_ascii_graphic() && !matches!(byte, b'@' | b'%')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn one_name_has_one_spelling() {
        let (key, version) = KeyName::decode(b"local", b"a%40b@7").unwrap();
        assert_eq!((key.id(), version.unwrap().as_str()), ("a@b", "7"));
        for bad in
            ["", "%41", "a%4", "a%zz", "%c3%a9", "\u{e9}", "a b", "a@", "a@1@2", "a@../x", "@1"]
        {
            assert!(KeyName::decode(b"local", bad.as_bytes()).is_err(), "{bad:?}");
        }
        for scheme in ["", "Local", "a:b", &"x".repeat(33)] {
            assert!(KeyName::decode(scheme.as_bytes(), b"a").is_err(), "{scheme:?}");
        }
    }

    #[test]
    fn display_never_prints_control_bytes() {
        let key = KeyName::new("local", "a\x1b[2J\nb").unwrap();
        assert_eq!(key.to_string(), "local:a%1B[2J%0Ab");
    }

    proptest! {
        #[test]
        fn encode_then_decode(id in ".{1,80}", version in proptest::option::of("[A-Za-z0-9_-]{1,64}")) {
            let key = KeyName::new("local", id).unwrap();
            let version = version.map(|v| KeyVersion::parse(&v).unwrap());
            let name = key.encode(version.as_ref()).unwrap();
            prop_assert_eq!(KeyName::decode(b"local", name.as_bytes()).unwrap(), (key, version));
        }

        #[test]
        fn decode_then_encode(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
            if let Ok((key, version)) = KeyName::decode(b"local", &bytes) {
                prop_assert_eq!(key.encode(version.as_ref()).unwrap().into_bytes(), bytes);
            }
        }
    }
}
