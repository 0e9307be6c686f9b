//! Foreign text made fit for a terminal: nothing in it can move the cursor or reorder a line.

use std::{borrow::Cow, path::Path};

/// A context key or value: as it is if it is one plain word, else quoted with escapes.
pub(crate) fn token(text: &str) -> Cow<'_, str> {
    let plain = |c: char| c.is_alphanumeric() || "._-:/@+,#~".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(format!("{text:?}"))
}

/// A file's name: as it is if all of it can be printed, else quoted with escapes.
pub(crate) fn path(path: &Path) -> String {
    let text = path.to_string_lossy();
    // A character that is printable is escaped to itself, quotes and the backslash aside.
    let printable = |c: char| "'\"\\".contains(c) || c.escape_debug().eq([c]);
    if text.chars().all(printable) { text.into_owned() } else { format!("{text:?}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_reaches_the_terminal_that_could_steer_it() {
        assert_eq!(token("acme"), "acme");
        assert_eq!(token(""), "\"\"");
        assert_eq!(token("a b"), "\"a b\"");
        assert_eq!(token("\x1b[2J"), "\"\\u{1b}[2J\"");
        assert_eq!(token("a\u{202e}b"), "\"a\\u{202e}b\"");
        assert_eq!(path(Path::new("it's a file.txt")), "it's a file.txt");
        assert_eq!(path(Path::new("a\n\x1b]0;x\x07")), "\"a\\n\\u{1b}]0;x\\u{7}\"");
        assert_eq!(path(Path::new("\u{9b}2J")), "\"\\u{9b}2J\"");
    }
}
