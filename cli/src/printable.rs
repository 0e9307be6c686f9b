//! Which decrypted bytes a terminal may see: text, and nothing that could steer it.

/// Judges plaintext piece by piece; a character may be split between two.
#[derive(Default)]
pub(crate) struct Printable {
    /// The first bytes of a character that the next piece goes on with: at most 3.
    begun: Vec<u8>,
}

impl Printable {
    /// The text of this piece, up to the last whole character; `None` if it isn't plain text.
    pub(crate) fn admit(&mut self, piece: &[u8]) -> Option<String> {
        let mut bytes = std::mem::take(&mut self.begun);
        bytes.extend_from_slice(piece);
        let text = match String::from_utf8(bytes) {
            Ok(text) => text,
            Err(error) if error.utf8_error().error_len().is_some() => return None,
            Err(error) => {
                let whole = error.utf8_error().valid_up_to();
                let mut bytes = error.into_bytes();
                self.begun = bytes.split_off(whole);
                String::from_utf8(bytes).ok()?
            }
        };
        let plain = |c: char| !c.is_control() || matches!(c, '\n' | '\r' | '\t');
        text.chars().all(plain).then_some(text)
    }

    /// Whether the text ended with a whole character.
    pub(crate) fn is_whole(&self) -> bool {
        self.begun.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_may_be_split_anywhere() {
        let text = "price: 5 \u{20ac}\t\u{1f512}\r\n";
        for piece_len in 1..text.len() {
            let mut printable = Printable::default();
            let out: String = text
                .as_bytes()
                .chunks(piece_len)
                .map(|piece| printable.admit(piece).unwrap())
                .collect();
            assert_eq!(out, text);
            assert!(printable.is_whole());
        }
    }

    #[test]
    fn what_could_steer_a_terminal_is_refused() {
        for bad in ["a\x1b[2J", "\x07", "\0", "\x7f", "\u{9b}2J", "a\x08"] {
            assert_eq!(Printable::default().admit(bad.as_bytes()), None, "{bad:?}");
        }
        assert_eq!(Printable::default().admit(b"a\xff"), None);
        let mut printable = Printable::default();
        assert_eq!(printable.admit(b"a\xe2\x82").as_deref(), Some("a"));
        assert!(!printable.is_whole());
        assert_eq!(printable.admit(b"\x41"), None);
    }
}
