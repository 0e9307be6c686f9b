use std::fmt::{self, Write};

use super::text::{PIN_VALUE, decode, echo, encode, invalid, split_pair, split_query};
use crate::error::{Error, Result};

const SCHEME: &str = "pkcs11";

const TYPES: [&str; 5] = ["public", "private", "cert", "secret-key", "data"];

/// The attributes before the `?`, in canonical order.
const PATH: Component = Component {
    what: "path attribute",
    separator: ';',
    names: &[
        "token",
        "manufacturer",
        "serial",
        "model",
        "library-manufacturer",
        "library-version",
        "library-description",
        "object",
        "type",
        "id",
        "slot-description",
        "slot-manufacturer",
        "slot-id",
    ],
    allowed: |byte| is_common(byte) || byte == b'&',
};

/// The attributes after the `?`, in canonical order.
const QUERY: Component = Component {
    what: "query attribute",
    separator: '&',
    names: &["pin-source", "module-name", "module-path"],
    allowed: |byte| is_common(byte) || matches!(byte, b'/' | b'?' | b'|'),
};

/// A key in a PKCS #11 token, as in [RFC 7512].
///
/// ```text
/// pkcs11  = pattr *( ";" pattr ) [ "?" qattr *( "&" qattr ) ]
/// pattr   = ( "token" / "manufacturer" / "serial" / "model" / "library-manufacturer"
///           / "library-description" / "slot-description" / "slot-manufacturer" ) "=" *pchar
///         / ( "object" / "id" ) "=" 1*pchar
///         / "library-version=" 1*DIGIT [ "." 1*DIGIT ]      ; each at most 255
///         / "type=" ( "public" / "private" / "cert" / "secret-key" / "data" )
///         / "slot-id=" 1*DIGIT                              ; below 2^64
/// qattr   = ( "pin-source" / "module-name" / "module-path" ) "=" 1*qchar
/// pchar   = common / "&"
/// qchar   = common / "/" / "?" / "|"
/// common  = ALPHA / DIGIT / "%" HEXDIG HEXDIG / "-" / "." / "_" / "~" / ":" / "[" / "]" / "@"
///         / "!" / "$" / "'" / "(" / ")" / "*" / "+" / "," / "="
/// ```
///
/// Stricter than the RFC: `object` or `id` must be there, to name a key. Vendor attributes are
/// refused. So is `pin-value`: a URI ends up in logs and process lists. Text, all but `id`, must
/// be UTF-8 without control characters, and a module name has no `/`. An empty `serial` or the
/// like means a token whose serial is blank, whereas an absent one means any.
///
/// In the canonical form attributes stand in the RFC's order and `id` is percent-encoded
/// throughout.
///
/// ```
/// use bulla::KeyUri;
///
/// let text = "pkcs11:token=HSM%201;id=%01%a2?pin-source=file:/run/pin";
/// let KeyUri::Pkcs11(uri) = text.parse()? else { unreachable!() };
/// assert_eq!(uri.token(), Some("HSM 1"));
/// assert_eq!(uri.id(), Some(&[0x01, 0xa2][..]));
/// assert_eq!(uri.pin_source(), Some("file:/run/pin"));
/// # Ok::<(), bulla::Error>(())
/// ```
///
/// [RFC 7512]: https://www.rfc-editor.org/rfc/rfc7512
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Pkcs11Uri {
    token: Option<String>,
    manufacturer: Option<String>,
    serial: Option<String>,
    model: Option<String>,
    library_manufacturer: Option<String>,
    library_version: Option<(u8, u8)>,
    library_description: Option<String>,
    object: Option<String>,
    object_type: Option<&'static str>,
    id: Option<Vec<u8>>,
    slot_description: Option<String>,
    slot_manufacturer: Option<String>,
    slot_id: Option<u64>,
    pin_source: Option<String>,
    module_name: Option<String>,
    module_path: Option<String>,
}

impl Pkcs11Uri {
    /// The token's label.
    #[must_use]
    pub fn token(&self) -> Option<&str> {
        self.token.as_deref()
    }

    /// The token's manufacturer.
    #[must_use]
    pub fn manufacturer(&self) -> Option<&str> {
        self.manufacturer.as_deref()
    }

    /// The token's serial number.
    #[must_use]
    pub fn serial(&self) -> Option<&str> {
        self.serial.as_deref()
    }

    /// The token's model.
    #[must_use]
    pub fn model(&self) -> Option<&str> {
        self.model.as_deref()
    }

    /// The manufacturer of the PKCS #11 library.
    #[must_use]
    pub fn library_manufacturer(&self) -> Option<&str> {
        self.library_manufacturer.as_deref()
    }

    /// The library's version, major and minor; a minor one that is left out is 0.
    #[must_use]
    pub fn library_version(&self) -> Option<(u8, u8)> {
        self.library_version
    }

    /// The description of the PKCS #11 library.
    #[must_use]
    pub fn library_description(&self) -> Option<&str> {
        self.library_description.as_deref()
    }

    /// The key's label, `CKA_LABEL`.
    #[must_use]
    pub fn object(&self) -> Option<&str> {
        self.object.as_deref()
    }

    /// The attribute `type`: `public`, `private`, `cert`, `secret-key` or `data`.
    #[must_use]
    pub fn object_type(&self) -> Option<&'static str> {
        self.object_type
    }

    /// The key's `CKA_ID`, which is bytes and not text.
    #[must_use]
    pub fn id(&self) -> Option<&[u8]> {
        self.id.as_deref()
    }

    /// The slot's description.
    #[must_use]
    pub fn slot_description(&self) -> Option<&str> {
        self.slot_description.as_deref()
    }

    /// The slot's manufacturer.
    #[must_use]
    pub fn slot_manufacturer(&self) -> Option<&str> {
        self.slot_manufacturer.as_deref()
    }

    /// The slot's number. It may change when a reader is plugged in; a label or serial does not.
    #[must_use]
    pub fn slot_id(&self) -> Option<u64> {
        self.slot_id
    }

    /// Where the PIN is to be read from. The RFC lets this be a URI, a path or `|` and a command;
    /// the provider decides which of them it accepts.
    #[must_use]
    pub fn pin_source(&self) -> Option<&str> {
        self.pin_source.as_deref()
    }

    /// The name of the PKCS #11 library, without a directory.
    #[must_use]
    pub fn module_name(&self) -> Option<&str> {
        self.module_name.as_deref()
    }

    /// The path of the PKCS #11 library.
    #[must_use]
    pub fn module_path(&self) -> Option<&str> {
        self.module_path.as_deref()
    }

    pub(super) fn parse(rest: &str) -> Result<Self> {
        // First of all, and by any separator: no later error can then quote a piece of a PIN.
        let is_pin = |part: &str| {
            part.split('=').next().is_some_and(|name| name.eq_ignore_ascii_case(PIN_VALUE))
        };
        if rest.split([';', '&', '?']).any(is_pin) {
            let why = "\"pin-value\" is refused, as URIs end up in logs; use \"pin-source\"";
            return Err(invalid(SCHEME, why));
        }
        let (path, query) = split_query(rest);
        let path = PATH.parse(Some(path).filter(|path| !path.is_empty()))?;
        let query = QUERY.parse(query)?;
        let uri = Self {
            token: path.text("token")?,
            manufacturer: path.text("manufacturer")?,
            serial: path.text("serial")?,
            model: path.text("model")?,
            library_manufacturer: path.text("library-manufacturer")?,
            library_version: path.value("library-version", "MAJOR[.MINOR], up to 255", version)?,
            library_description: path.text("library-description")?,
            object: path.filled("object")?,
            object_type: path.value("type", &format!("one of {}", TYPES.join(", ")), |text| {
                TYPES.into_iter().find(|name| *name == text)
            })?,
            id: path.bytes("id").map(<[u8]>::to_vec),
            slot_description: path.text("slot-description")?,
            slot_manufacturer: path.text("slot-manufacturer")?,
            slot_id: path.value("slot-id", "a number below 2^64", number)?,
            pin_source: query.filled("pin-source")?,
            module_name: query.filled("module-name")?,
            module_path: query.filled("module-path")?,
        };
        if uri.id.as_ref().is_some_and(Vec::is_empty) {
            return Err(invalid(SCHEME, "attribute \"id\" is empty"));
        }
        if uri.object.is_none() && uri.id.is_none() {
            return Err(invalid(SCHEME, "neither \"object\" nor \"id\" is there to name a key"));
        }
        if uri.module_name().is_some_and(|name| name.contains('/')) {
            return Err(invalid(SCHEME, "\"module-name\" has a \"/\"; use \"module-path\""));
        }
        Ok(uri)
    }

    pub(super) fn write(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let version = self.library_version.map(|(major, minor)| format!("{major}.{minor}"));
        let slot_id = self.slot_id.map(|id| id.to_string());
        let path = [
            self.token(),
            self.manufacturer(),
            self.serial(),
            self.model(),
            self.library_manufacturer(),
            version.as_deref(),
            self.library_description(),
            self.object(),
            self.object_type(),
            None,
            self.slot_description(),
            self.slot_manufacturer(),
            slot_id.as_deref(),
        ];
        let mut separators = std::iter::once("").chain(std::iter::repeat(";"));
        for (name, value) in PATH.names.iter().zip(path) {
            let (value, allowed): (_, fn(u8) -> bool) = match (value, &self.id) {
                (Some(value), _) => (value.as_bytes(), PATH.allowed),
                // Printed as a whole, as the RFC advises.
                (None, Some(id)) if *name == "id" => (id, |_| false),
                _ => continue,
            };
            write!(f, "{}{name}=", separators.next().unwrap_or_default())?;
            encode(f, value, allowed)?;
        }
        let mut separators = std::iter::once('?').chain(std::iter::repeat('&'));
        let query = [self.pin_source(), self.module_name(), self.module_path()];
        for (name, value) in QUERY.names.iter().zip(query) {
            if let Some(value) = value {
                f.write_char(separators.next().unwrap_or('&'))?;
                write!(f, "{name}=")?;
                encode(f, value.as_bytes(), QUERY.allowed)?;
            }
        }
        Ok(())
    }
}

/// One of the two lists of attributes that make up a URI.
struct Component {
    what: &'static str,
    separator: char,
    names: &'static [&'static str],
    allowed: fn(u8) -> bool,
}

impl Component {
    fn parse(&self, text: Option<&str>) -> Result<Attributes> {
        let Self { what, separator, names, allowed } = self;
        let mut attributes: Vec<(&'static str, Vec<u8>)> = Vec::new();
        for (index, pair) in text.into_iter().flat_map(|t| t.split(*separator)).enumerate() {
            let (name, value) = split_pair(SCHEME, what, index + 1, pair)?;
            let Some(&name) = names.iter().find(|known| **known == name) else {
                return Err(self.unknown(name));
            };
            if attributes.iter().any(|(other, _)| *other == name) {
                return Err(invalid(SCHEME, format_args!("{what} {name:?} is given twice")));
            }
            if let Some(at) = value.bytes().position(|b| !allowed(b) && b != b'%') {
                return Err(invalid(
                    SCHEME,
                    format_args!(
                        "{what} {name:?} has a character that must be percent-encoded, at byte {} \
                         of its value",
                        at + 1
                    ),
                ));
            }
            let value = decode(value).ok_or_else(|| {
                invalid(SCHEME, format_args!("{what} {name:?} has bad percent-encoding"))
            })?;
            attributes.push((name, value));
        }
        Ok(Attributes(attributes))
    }

    fn unknown(&self, name: &str) -> Error {
        let what = self.what;
        let misplaced = [(PATH, "before"), (QUERY, "after")]
            .into_iter()
            .find(|(component, _)| component.names.contains(&name));
        let hint = match misplaced {
            Some((_, side)) => format!("it belongs {side} the \"?\""),
            None => format!("the {what}s are {}", self.names.join(", ")),
        };
        invalid(SCHEME, format_args!("unknown {what} {}; {hint}", echo(name)))
    }
}

/// Attributes by name, their values decoded.
struct Attributes(Vec<(&'static str, Vec<u8>)>);

impl Attributes {
    fn bytes(&self, name: &str) -> Option<&[u8]> {
        self.0.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_slice())
    }

    fn text(&self, name: &str) -> Result<Option<String>> {
        let Some(value) = self.bytes(name) else { return Ok(None) };
        match std::str::from_utf8(value) {
            Ok(text) if !text.contains(char::is_control) => Ok(Some(text.to_owned())),
            Ok(_) => Err(invalid(SCHEME, format_args!("{name:?} decodes to a control character"))),
            Err(_) => Err(invalid(SCHEME, format_args!("{name:?} does not decode to UTF-8"))),
        }
    }

    fn filled(&self, name: &str) -> Result<Option<String>> {
        let text = self.text(name)?;
        if text.as_ref().is_some_and(String::is_empty) {
            return Err(invalid(SCHEME, format_args!("attribute {name:?} is empty")));
        }
        Ok(text)
    }

    /// The value is not quoted: with a wrong separator, anything may have become part of it.
    fn value<T>(
        &self,
        name: &str,
        rule: &str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Result<Option<T>> {
        let Some(text) = self.text(name)? else { return Ok(None) };
        let value = parse(&text)
            .ok_or_else(|| invalid(SCHEME, format_args!("attribute {name:?} is not {rule}")))?;
        Ok(Some(value))
    }
}

/// The characters that stand for themselves on both sides of the `?`.
fn is_common(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~:[]@!$'()*+,=".contains(&byte)
}

fn version(text: &str) -> Option<(u8, u8)> {
    let (major, minor) = text.split_once('.').unwrap_or((text, "0"));
    Some((number(major)?, number(minor)?))
}

/// Digits only: `parse` alone would take a sign.
fn number<T: std::str::FromStr>(text: &str) -> Option<T> {
    text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}
