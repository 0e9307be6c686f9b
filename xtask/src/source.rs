//! Enough of a Rust lexer to look at code without its comments and literals.

/// The source with comments and the contents of literals turned into spaces. Lines stay where they
/// are.
pub(crate) fn code_of(source: &str) -> String {
    let mut code = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(first) = rest.chars().next() {
        let blank = comment_or_literal(rest);
        let (token, after) = rest.split_at(if blank > 0 { blank } else { word(rest, first) });
        if blank > 0 {
            code.extend(token.chars().map(|c| if c == '\n' { '\n' } else { ' ' }));
        } else {
            code.push_str(token);
        }
        rest = after;
    }
    code
}

/// The words of a text that are `word`, each with the text before and the text after it.
pub(crate) fn words<'a>(text: &'a str, word: &str) -> impl Iterator<Item = (&'a str, &'a str)> {
    text.match_indices(word)
        .filter_map(move |(at, found)| Some((text.get(..at)?, text.get(at + found.len()..)?)))
        .filter(|(before, after)| !before.ends_with(is_word) && !after.starts_with(is_word))
}

/// Splits code that starts with a bracket behind the one that closes it.
pub(crate) fn split_brackets(code: &str) -> Option<(&str, &str)> {
    let mut depth = 0_usize;
    for (at, c) in code.char_indices() {
        match c {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth = depth.checked_sub(1)?,
            _ => {}
        }
        if depth == 0 {
            return code.split_at_checked(at + c.len_utf8());
        }
    }
    None
}

/// The attributes in code, outer and inner, each with the code before it.
pub(crate) fn attributes(code: &str) -> impl Iterator<Item = (&str, &str)> {
    code.match_indices('#').filter_map(|(at, _)| {
        let (before, rest) = code.split_at_checked(at)?;
        let rest = rest.strip_prefix('#')?;
        let rest = rest.strip_prefix('!').unwrap_or(rest);
        let (attribute, _) = split_brackets(rest).filter(|_| rest.starts_with('['))?;
        Some((before, attribute))
    })
}

/// The number of the line that begins or goes on after `before`.
pub(crate) fn line(before: &str) -> usize {
    before.matches('\n').count() + 1
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// The length of the word that `text` starts with, or else of its first character.
fn word(text: &str, first: char) -> usize {
    if is_word(first) { text.find(|c| !is_word(c)).unwrap_or(text.len()) } else { first.len_utf8() }
}

/// The length of the comment or the literal that `text` starts with, or 0.
fn comment_or_literal(text: &str) -> usize {
    if text.starts_with("//") {
        text.find('\n').unwrap_or(text.len())
    } else if text.starts_with("/*") {
        block_comment(text)
    } else if text.starts_with('"') {
        quoted(text, '"')
    } else if text.starts_with('\'') {
        character(text)
    } else {
        raw_string(text)
    }
}

fn block_comment(text: &str) -> usize {
    let (mut depth, mut at) = (0_usize, 0);
    while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
        if rest.starts_with("/*") {
            (depth, at) = (depth + 1, at + 2);
        } else if rest.starts_with("*/") {
            (depth, at) = (depth - 1, at + 2);
            if depth == 0 {
                break;
            }
        } else {
            at += rest.chars().next().map_or(1, char::len_utf8);
        }
    }
    at
}

/// A literal between two of `quote`, with escapes.
fn quoted(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if c == quote => return at + c.len_utf8(),
            _ => {}
        }
    }
    text.len()
}

/// A character literal, as opposed to a lifetime.
fn character(text: &str) -> usize {
    let mut chars = text.chars().skip(1);
    let (first, second) = (chars.next(), chars.next());
    if first == Some('\\') || second == Some('\'') { quoted(text, '\'') } else { 0 }
}

fn raw_string(text: &str) -> usize {
    let Some(rest) = ["r", "br", "cr"].iter().find_map(|prefix| text.strip_prefix(prefix)) else {
        return 0;
    };
    let body = rest.trim_start_matches('#');
    if !body.starts_with('"') {
        return 0;
    }
    let hashes = rest.len() - body.len();
    let start = text.len() - body.len() + 1;
    let end = format!("\"{}", "#".repeat(hashes));
    let close = text.get(start..).and_then(|body| body.find(&end));
    close.map_or(text.len(), |at| start + at + end.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn squeezed(source: &str) -> String {
        code_of(source).split_whitespace().collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn comments_and_literals_are_blank() {
        for (source, code) in [
            ("a // b\nc", "a c"),
            ("a /* b /* c */ d */ e", "a e"),
            (r#"a("b \" c", d)"#, "a( , d)"),
            (r##"a(r#"b " c"#, br"\", d)"##, "a( , , d)"),
            (r"a('\'', 'x', '{', b'\\', c)", "a( , , , b , c)"),
            ("fn a<'b>(c: &'b str) {}", "fn a<'b>(c: &'b str) {}"),
            ("let r#type = bar; for r in b {}", "let r#type = bar; for r in b {}"),
            ("a /* b", "a"),
            ("'ä' \"ö\" ü", "ü"),
        ] {
            assert_eq!(squeezed(source), code, "{source}");
        }
    }

    #[test]
    fn lines_stay_where_they_are() {
        assert_eq!(code_of("a\n/* b\nc */ d\n\"e\n\"\nf").lines().count(), 6);
    }

    #[test]
    fn words_are_whole() {
        let found: Vec<_> = words("todo!() my_todo!() todos todo", "todo").collect();
        assert_eq!(found, [("", "!() my_todo!() todos todo"), ("todo!() my_todo!() todos ", "")]);
    }

    #[test]
    fn brackets_are_split_where_they_close() {
        assert_eq!(split_brackets("[a(b[c])] d"), Some(("[a(b[c])]", " d")));
        assert_eq!(split_brackets("[a"), None);
    }
}
