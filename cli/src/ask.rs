//! Questions to whoever sits at the terminal, whatever standard input is used for.

use std::{
    fs::{File, OpenOptions},
    io::{self, BufRead as _, BufReader, Write as _},
};

use bulla_local::Passphrase;

use crate::{
    cleanup::Cleanup,
    failure::{Failure, Outcome},
};

const TERMINAL: &str = "/dev/tty";

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
    secret(prompt, cleanup).map(Passphrase::from)
}

/// Asks for a new passphrase twice: a slip would lock its owner out.
pub(crate) fn new_passphrase(what: &str, cleanup: &Cleanup) -> Outcome<Passphrase> {
    let first = secret(&format!("New passphrase for {what}: "), cleanup)?;
    if first.is_empty() {
        return Err(Failure::usage("a passphrase may not be empty"));
    }
    let second = secret("The same again: ", cleanup)?;
    if first != second {
        return Err(Failure::usage("the two passphrases differ, so nothing was done"));
    }
    Ok(Passphrase::from(first))
}

fn secret(prompt: &str, cleanup: &Cleanup) -> Outcome<String> {
    let terminal = terminal().ok_or_else(|| {
        Failure::usage("a passphrase is needed, and there is no terminal to ask on")
            .hint("--passphrase-file reads it from a file")
    })?;
    // The terminal shows nothing while it is asked; a signal must not leave it so.
    cleanup.restore_later(terminal);
    let answer = rpassword::prompt_password(prompt);
    cleanup.restore_no_more();
    answer.map_err(|error| match error.kind() {
        io::ErrorKind::Interrupted => Failure::interrupted(),
        io::ErrorKind::UnexpectedEof => Failure::usage("no passphrase was given"),
        _ => Failure::io("terminal", &error),
    })
}

fn terminal() -> Option<File> {
    OpenOptions::new().read(true).write(true).open(TERMINAL).ok()
}
