//! JSON on standard output, in ASCII alone: what a terminal could take for a command is escaped.

use std::fmt::Write as _;

use serde::Serialize;

use crate::{
    failure::{Failure, Outcome},
    stdio,
};

/// Prints `value`, indented, with a newline behind it.
pub(crate) fn print(value: &impl Serialize) -> Outcome<()> {
    let text = to_ascii(value).map_err(|e| Failure::other(format!("writing JSON: {e}")))?;
    stdio::print(&text)
}

/// `value` on one line, without a newline: a part of what is too long to be held.
#[cfg(feature = "store")]
pub(crate) fn line(value: &impl Serialize) -> Outcome<String> {
    let text = serde_json::to_string(value);
    text.map(|text| escape(&text)).map_err(|e| Failure::other(format!("writing JSON: {e}")))
}

fn to_ascii(value: &impl Serialize) -> serde_json::Result<String> {
    Ok(escape(&serde_json::to_string_pretty(value)?) + "\n")
}

fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 1);
    let mut units = [0; 2];
    // Such characters stand in strings only, where each has an escape.
    for c in text.chars() {
        if c.is_ascii() && c != '\x7f' {
            out.push(c);
            continue;
        }
        for unit in c.encode_utf16(&mut units) {
            let _ = write!(out, "\\u{unit:04x}");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_ascii_and_means_the_same() {
        let hostile = "\u{9b}2J\x1b\u{202e}\u{1f512}\x7f\u{e9}";
        let value = serde_json::json!({"context": {hostile: [hostile, "plain"]}, "n": 1});
        let text = to_ascii(&value).unwrap();
        assert!(text.bytes().all(|b| b == b'\n' || (b' '..0x7f).contains(&b)), "{text}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&text).unwrap(), value);
    }
}
