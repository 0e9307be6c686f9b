//! The text of a configuration, and what is wrong in it where.

use std::ops::Range;

use crate::error::Mistake;

/// More of a line than this is not repeated.
const MOST_SHOWN: usize = 60;

pub(crate) struct Source<'a> {
    pub(crate) text: &'a str,
    /// Where, and what.
    wrong: Vec<(usize, String)>,
}

impl<'a> Source<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        Self { text, wrong: Vec::new() }
    }

    /// Notes what is wrong where.
    pub(crate) fn wrong(&mut self, span: Range<usize>, message: impl Into<String>) {
        self.wrong.push((span.start, message.into()));
    }

    /// Notes what the parser found, with the line: its words don't always name the field.
    pub(crate) fn not_read(&mut self, error: &toml::de::Error) {
        let span = error.span().unwrap_or_default();
        let message = printable(error.message().lines().next().unwrap_or_default());
        let before = before(self.text, span.start);
        let start = before.rfind('\n').map_or(0, |end| end + 1);
        let line = self.text.get(start..).unwrap_or_default();
        let line = line.split('\n').next().unwrap_or_default().trim();
        let line = printable(&line.chars().take(MOST_SHOWN).collect::<String>());
        if line.is_empty() {
            return self.wrong(span, message);
        }
        self.wrong(span, format!("{message}, in: {line}"));
    }

    /// All of it, in the order of the text.
    pub(crate) fn mistakes(self) -> Vec<Mistake> {
        let Self { text, mut wrong } = self;
        wrong.sort_by_key(|(at, _)| *at);
        let (mut line, mut counted) = (1, 0);
        let mistake = |(at, message)| {
            let before = before(text, at);
            line += before.get(counted..).unwrap_or_default().matches('\n').count();
            counted = before.len();
            let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
            Mistake { line, column, text: message }
        };
        wrong.into_iter().map(mistake).collect()
    }
}

/// What stands before a place. Past the end is the end.
fn before(text: &str, at: usize) -> &str {
    text.get(..at).unwrap_or(text)
}

/// Text from a file, made fit for a terminal: nothing in it can move the cursor or reorder a line.
pub(crate) fn printable(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\'' | '"' | '\\' => shown.push(c),
            _ => shown.extend(c.escape_debug()),
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_count_characters_from_one() {
        let mut source = Source::new("ä = 1\n\nb = 2");
        // Behind the two bytes of `ä` and a space is the third column; past the end is the end.
        for at in [99, 12, 7, 3, 0] {
            source.wrong(at..at, "");
        }
        let places: Vec<_> = source.mistakes().iter().map(|m| (m.line, m.column)).collect();
        assert_eq!(places, [(1, 1), (1, 3), (2, 1), (3, 5), (3, 6)]);
    }

    #[test]
    fn nothing_reaches_the_terminal_that_could_steer_it() {
        assert_eq!(printable("it's \"a\" file"), "it's \"a\" file");
        assert_eq!(printable("\x1b[2J\u{202e}\n\u{9b}"), "\\u{1b}[2J\\u{202e}\\n\\u{9b}");
    }
}
