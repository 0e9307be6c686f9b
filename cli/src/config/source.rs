//! The text of a configuration, and places in it.

use std::ops::Range;

use crate::failure::Failure;

/// More of a line than this is not repeated.
const MOST_SHOWN: usize = 60;

pub(super) struct Source<'a> {
    pub(super) path: &'a str,
    pub(super) text: &'a str,
}

impl Source<'_> {
    /// Says what is wrong where.
    pub(super) fn wrong(&self, span: Range<usize>, message: impl AsRef<str>) -> Failure {
        let (line, column) = self.position(span.start);
        Failure::usage(format!("{}:{line}:{column}: {}", self.path, message.as_ref()))
    }

    /// Says what the parser found, and repeats the line: its words don't always name the field.
    pub(super) fn not_read(&self, error: &toml::de::Error) -> Failure {
        let span = error.span().unwrap_or_default();
        let message = error.message().lines().next().unwrap_or_default();
        let (number, _) = self.position(span.start);
        let line = self.text.split('\n').nth(number - 1).unwrap_or_default().trim();
        let line: String = line.chars().take(MOST_SHOWN).flat_map(char::escape_debug).collect();
        let line = line.replace("\\\"", "\"");
        let message: String = message.chars().flat_map(printable).collect();
        if line.is_empty() {
            return self.wrong(span, message);
        }
        self.wrong(span, format!("{message}, in: {line}"))
    }

    /// Line and column, in characters, both from 1.
    fn position(&self, at: usize) -> (usize, usize) {
        let before = self.text.get(..at).unwrap_or(self.text);
        let line = before.split('\n').count();
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count();
        (line, column + 1)
    }
}

/// The parser's words hold names from the file.
fn printable(c: char) -> Vec<char> {
    if c.is_control() { c.escape_debug().collect() } else { vec![c] }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_count_characters_from_one() {
        let source = Source { path: "f", text: "ä = 1\n\nb = 2" };
        assert_eq!(source.position(0), (1, 1));
        assert_eq!(source.position(3), (1, 3)); // behind the two bytes of `ä`, and a space
        assert_eq!(source.position(7), (2, 1));
        assert_eq!(source.position(12), (3, 5));
        assert_eq!(source.position(99), (3, 6)); // past the end: the end
    }
}
