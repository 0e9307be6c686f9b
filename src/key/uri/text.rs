//! What the grammars share: options, percent-encoding, and errors that are safe to print.

use std::fmt::{self, Display, Write};

use percent_encoding::{percent_decode_str, percent_encode_byte};

use crate::error::{Error, ErrorKind, Result};

/// The name of the attribute that holds a PIN, whose value must never be printed.
pub(super) const PIN_VALUE: &str = "pin-value";

const MAX_ECHO: usize = 80;

pub(super) fn invalid(scheme: &str, message: impl Display) -> Error {
    Error::new(ErrorKind::InvalidInput, format!("{scheme} URI: {message}"))
}

/// Refuses `text`, the part of the URI called `what`, unless it is `ok`.
pub(super) fn require(ok: bool, scheme: &str, what: &str, text: &str, rule: &str) -> Result<()> {
    if ok {
        return Ok(());
    }
    Err(invalid(scheme, format_args!("the {what} {} is not {rule}", echo(text))))
}

/// Whether `text` has 1 to `max` bytes, all of them `allowed`.
pub(super) fn is_word(text: &str, max: usize, allowed: impl Fn(u8) -> bool) -> bool {
    (1..=max).contains(&text.len()) && text.bytes().all(allowed)
}

/// Letters, digits, `.`, `_` and `-`.
pub(super) fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-')
}

/// `text` in quotes, fit for a message: escaped, cut if long, and without what may be a secret in
/// a misplaced part of a URI.
pub(super) fn echo(text: &str) -> String {
    let pin = text.to_ascii_lowercase().find(PIN_VALUE);
    let shown = match (pin.and_then(|at| text.get(..at + PIN_VALUE.len())), text.rsplit_once('@')) {
        (Some(_), Some(_)) => "…".to_owned(),
        (Some(head), None) if head.len() < text.len() => format!("{head}…"),
        (None, Some((_, host))) => format!("…@{host}"),
        _ => text.to_owned(),
    };
    let mut cut: String = shown.chars().take(MAX_ECHO).collect();
    if cut.len() < shown.len() {
        cut.push('…');
    }
    format!("{cut:?}")
}

/// Splits `name=value`; `what` and `nth` say in an error which one it was. The name is one that
/// can be quoted, as it can't hold any value.
pub(super) fn split_pair<'t>(
    scheme: &str,
    what: &str,
    nth: usize,
    text: &'t str,
) -> Result<(&'t str, &'t str)> {
    if text.is_empty() {
        return Err(invalid(scheme, format_args!("{what} {nth} is empty")));
    }
    let Some((name, value)) = text.split_once('=') else {
        return Err(invalid(scheme, format_args!("{what} {nth} has no \"=\"")));
    };
    if name.is_empty() || !name.bytes().all(is_name_byte) {
        return Err(invalid(
            scheme,
            format_args!("{what} {nth} has a name that is not of [A-Za-z0-9._-]"),
        ));
    }
    Ok((name, value))
}

/// Undoes percent-encoding. `None` if a `%` is not followed by two hex digits.
pub(super) fn decode(text: &str) -> Option<Vec<u8>> {
    let is_escape = |tail: &str| {
        let mut digits = tail.bytes().take_while(u8::is_ascii_hexdigit);
        digits.next().is_some() && digits.next().is_some()
    };
    text.split('%').skip(1).all(is_escape).then(|| percent_decode_str(text).collect())
}

/// Writes `bytes`, percent-encoding those that are not `allowed`.
pub(super) fn encode(out: &mut impl Write, bytes: &[u8], allowed: fn(u8) -> bool) -> fmt::Result {
    bytes.iter().try_for_each(|&byte| match byte {
        _ if allowed(byte) => out.write_char(char::from(byte)),
        _ => out.write_str(percent_encode_byte(byte)),
    })
}

/// The path, and the query if there is a `?`.
pub(super) fn split_query(rest: &str) -> (&str, Option<&str>) {
    rest.split_once('?').map_or((rest, None), |(path, query)| (path, Some(query)))
}

/// The options of a URI, decoded, each known to the scheme and given once.
pub(super) struct Options(Vec<(&'static str, String)>);

impl Options {
    pub(super) fn parse(scheme: &str, query: Option<&str>, known: &[&'static str]) -> Result<Self> {
        let mut options: Vec<(&'static str, String)> = Vec::new();
        for (index, pair) in query.into_iter().flat_map(|query| query.split('&')).enumerate() {
            let (name, value) = split_pair(scheme, "option", index + 1, pair)?;
            let Some(&name) = known.iter().find(|known| **known == name) else {
                let list = match known {
                    [] => "this scheme has none".to_owned(),
                    _ => format!("the options are {}", known.join(", ")),
                };
                return Err(invalid(scheme, format_args!("unknown option {}; {list}", echo(name))));
            };
            if options.iter().any(|(other, _)| *other == name) {
                return Err(invalid(scheme, format_args!("option {name:?} is given twice")));
            }
            let fault = |what| invalid(scheme, format_args!("option {name:?} {what}"));
            let bytes = decode(value).ok_or_else(|| fault("has bad percent-encoding"))?;
            let value = String::from_utf8(bytes)
                .ok()
                .filter(|value| value.bytes().all(|b| b.is_ascii_graphic()))
                .ok_or_else(|| fault("decodes to something else than visible ASCII"))?;
            if value.is_empty() {
                return Err(fault("is empty"));
            }
            options.push((name, value));
        }
        Ok(Self(options))
    }

    pub(super) fn take(&mut self, name: &str) -> Option<String> {
        let at = self.0.iter().position(|(known, _)| *known == name)?;
        Some(self.0.swap_remove(at).1)
    }
}

/// Writes the options that are set, in canonical form.
pub(super) fn write_options(
    f: &mut fmt::Formatter<'_>,
    options: &[(&str, Option<&str>)],
) -> fmt::Result {
    let is_plain = |b| is_name_byte(b) || matches!(b, b'~' | b':' | b'/' | b'[' | b']');
    let set = options.iter().filter_map(|(name, value)| Some((name, (*value)?)));
    for (index, (name, value)) in set.enumerate() {
        write!(f, "{}{name}=", if index == 0 { '?' } else { '&' })?;
        encode(f, value.as_bytes(), is_plain)?;
    }
    Ok(())
}
