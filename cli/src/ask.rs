//! Questions to whoever sits at the terminal, whatever standard input is used for.

use std::{
    fs::{File, OpenOptions},
    io::{self, BufRead as _, BufReader, Read, Write as _},
};

use bulla_local::Passphrase;
use rustix::termios::{InputModes, LocalModes, OptionalActions, tcgetattr, tcsetattr};
use zeroize::Zeroizing;

use crate::{
    cleanup::Cleanup,
    failure::{Failure, Outcome},
};

const TERMINAL: &str = "/dev/tty";

/// What a terminal hands over as one line.
const MAX_LEN: usize = 4096;

/// Goes on only if the answer is yes, or if `sure` says so beforehand.
pub(crate) fn confirm(question: &str, sure: bool) -> Outcome<()> {
    if sure {
        return Ok(());
    }
    let mut terminal = terminal().ok_or_else(|| {
        Failure::usage("this asks first, and there is no terminal to ask on")
            .hint("--yes goes ahead without asking")
    })?;
    let failed = |error: io::Error| Failure::io("terminal", &error);
    write!(terminal, "{question} Type yes to go on: ").map_err(failed)?;
    let mut answer = String::new();
    BufReader::new(terminal).read_line(&mut answer).map_err(failed)?;
    match answer.trim() {
        "yes" => Ok(()),
        _ => Err(Failure::other("not confirmed, so nothing was done")),
    }
}

/// Asks for a passphrase, and doesn't show it.
pub(crate) fn passphrase(prompt: &str, cleanup: &Cleanup) -> Outcome<Passphrase> {
    secret(prompt, cleanup).map(hand_over)
}

/// Asks for a new passphrase twice: a slip would lock its owner out.
pub(crate) fn new_passphrase(what: &str, cleanup: &Cleanup) -> Outcome<Passphrase> {
    let first = secret(&format!("New passphrase for {what}: "), cleanup)?;
    if first.is_empty() {
        return Err(Failure::usage("a passphrase may not be empty"));
    }
    let second = secret("The same again: ", cleanup)?;
    if *first != *second {
        return Err(Failure::usage("the two passphrases differ, so nothing was done"));
    }
    Ok(hand_over(first))
}

/// Makes no copy.
fn hand_over(mut text: Zeroizing<String>) -> Passphrase {
    Passphrase::from(std::mem::take(&mut *text))
}

/// Reads a line that the terminal doesn't show, into memory that is wiped.
fn secret(prompt: &str, cleanup: &Cleanup) -> Outcome<Zeroizing<String>> {
    let terminal = terminal().ok_or_else(|| {
        Failure::usage("a passphrase is needed, and there is no terminal to ask on")
            .hint("--passphrase-file reads it from a file")
    })?;
    let failed = |error: io::Error| Failure::io("terminal", &error);
    // A signal must not leave it showing nothing either.
    cleanup.restore_later(terminal.try_clone().map_err(failed)?);
    let line = hide_input(&terminal)
        .and_then(|()| (&terminal).write_all(prompt.as_bytes()))
        .and_then(|()| read_line(&terminal));
    cleanup.restore();
    text(&line.map_err(failed)?)
}

fn hide_input(terminal: &File) -> io::Result<()> {
    let mut settings = tcgetattr(terminal)?;
    // The terminal edits the line and tells where it ends, so that only the end is shown.
    settings.input_modes.insert(InputModes::ICRNL);
    settings.local_modes.remove(LocalModes::ECHO);
    settings.local_modes.insert(LocalModes::ECHONL | LocalModes::ICANON | LocalModes::ISIG);
    Ok(tcsetattr(terminal, OptionalActions::Now, &settings)?)
}

/// Up to the end of a line, or of the input. A buffer that grew would leave copies behind.
fn read_line(mut from: impl Read) -> io::Result<Zeroizing<Vec<u8>>> {
    let mut line = Zeroizing::new(vec![0; MAX_LEN]);
    let mut len = 0;
    while len < MAX_LEN && !line.iter().take(len).any(|byte| *byte == b'\n') {
        match from.read(line.get_mut(len..).unwrap_or_default()) {
            Ok(0) => break,
            Ok(read) => len += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    line.truncate(len);
    Ok(line)
}

/// What was typed, without the end of the line.
fn text(line: &[u8]) -> Outcome<Zeroizing<String>> {
    if line.is_empty() {
        return Err(Failure::usage("no passphrase was given"));
    }
    let ended = line.strip_suffix(b"\n");
    if ended.is_none() && line.len() == MAX_LEN {
        return Err(Failure::usage("this is too long for a passphrase"));
    }
    let text = std::str::from_utf8(ended.unwrap_or(line))
        .map_err(|_| Failure::usage("the passphrase is not UTF-8, as this terminal sends it"))?;
    if text.chars().any(char::is_control) {
        return Err(Failure::usage("the passphrase holds a control character")
            .hint("arrow keys, Escape and Tab send them; Backspace and Ctrl-U correct a slip"));
    }
    Ok(Zeroizing::new(text.to_owned()))
}

fn terminal() -> Option<File> {
    OpenOptions::new().read(true).write(true).open(TERMINAL).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(typed: &[u8]) -> Result<String, String> {
        let line = read_line(typed).unwrap();
        text(&line).map(|text| text.to_string()).map_err(|failure| failure.message().to_owned())
    }

    #[test]
    fn a_line_is_read_and_no_more() {
        assert_eq!(read(b"correct horse\n"), Ok("correct horse".to_owned()));
        assert_eq!(read(b"\n"), Ok(String::new()));
        assert_eq!(read("\u{20ac} 5\n".as_bytes()), Ok("\u{20ac} 5".to_owned()));
        assert_eq!(read(b"cut off"), Ok("cut off".to_owned()));
        assert_eq!(read(b""), Err("no passphrase was given".to_owned()));
        let longest = [[b'x'; MAX_LEN - 1].as_slice(), b"\n"].concat();
        assert_eq!(read(&longest).unwrap().len(), MAX_LEN - 1);
        for (typed, said) in [
            (&[b'x'; MAX_LEN] as &[u8], "too long"),
            (b"horse\x1b[D\n", "control character"),
            (b"caf\xe9\n", "not UTF-8"),
        ] {
            assert!(read(typed).is_err_and(|message| message.contains(said)), "{said}");
        }
    }
}
