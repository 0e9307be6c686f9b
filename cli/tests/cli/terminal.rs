//! What a terminal gets to see, on a real pseudo-terminal.

use std::{
    fs::{File, OpenOptions},
    io::{Read as _, Write as _},
    os::unix::ffi::OsStrExt as _,
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use rustix::{
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
    termios::{LocalModes, tcgetattr},
};

use crate::sandbox::{BULLA, Ended, Sandbox, ended, noise};

pub(crate) struct Terminal {
    pub(crate) ours: File,
    pub(crate) theirs: File,
}

impl Terminal {
    pub(crate) fn new() -> Self {
        let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&ours).unwrap();
        unlockpt(&ours).unwrap();
        let name = ptsname(&ours, Vec::new()).unwrap();
        let path = std::ffi::OsStr::from_bytes(name.as_bytes());
        let theirs = OpenOptions::new().read(true).write(true).open(path).unwrap();
        Self { ours: ours.into(), theirs }
    }

    pub(crate) fn end(&self) -> Stdio {
        self.theirs.try_clone().unwrap().into()
    }

    /// All that was written to the terminal.
    fn seen(self) -> String {
        drop(self.theirs);
        let mut seen = Vec::new();
        // With nobody at the other end, a terminal fails instead of ending.
        let _ = (&self.ours).read_to_end(&mut seen);
        String::from_utf8(seen).unwrap()
    }
}

/// Runs `bulla` in a session of its own on a terminal, and answers what it asks: each answer when
/// its question has appeared. Returns the exit code and all that the terminal showed.
pub(crate) fn talk(sandbox: &Sandbox, args: &str, answers: &[(&str, &str)]) -> (i32, String) {
    talk_and(sandbox, args, answers, |_| {})
}

/// The same, and does something before each answer, given the process's number.
pub(crate) fn talk_and(
    sandbox: &Sandbox,
    args: &str,
    answers: &[(&str, &str)],
    mut meanwhile: impl FnMut(u32),
) -> (i32, String) {
    let Terminal { ours, theirs } = Terminal::new();
    // Whoever runs the tests in the background has them ignore SIGINT, which is inherited.
    let mut command = sandbox.program(Path::new("env"));
    command.args(["--default-signal=INT", "setsid", "--ctty", BULLA]).args(args.split_whitespace());
    let end = || Stdio::from(theirs.try_clone().unwrap());
    let mut child = command.stdin(end()).stdout(end()).stderr(end()).spawn().unwrap();
    drop((command, theirs));

    let mut answers = answers.iter();
    let mut next = answers.next();
    let (mut seen, mut answered, mut piece) = (String::new(), 0, [0; 1024]);
    // With nobody at the other end, a terminal fails instead of ending.
    while let Ok(len @ 1..) = (&ours).read(&mut piece) {
        seen.push_str(std::str::from_utf8(&piece[..len]).unwrap());
        while let Some((question, answer)) = next
            && seen[answered..].contains(question)
        {
            answered = seen.len();
            let secret = question.ends_with(": ") && !question.contains("yes");
            assert!(!(secret && shows_input(&ours)), "it asks for a secret, and shows it");
            meanwhile(child.id());
            (&ours).write_all(answer.as_bytes()).unwrap();
            next = answers.next();
        }
    }
    (child.wait().unwrap().code().unwrap(), seen)
}

/// Whether a terminal shows what is typed.
pub(crate) fn shows_input(terminal: &File) -> bool {
    tcgetattr(terminal).unwrap().local_modes.contains(LocalModes::ECHO)
}

/// Runs with standard output on a terminal.
fn on_terminal(command: &mut Command) -> (Ended, String) {
    let terminal = Terminal::new();
    command.stdout(terminal.end()).stderr(Stdio::piped());
    let child = command.spawn().unwrap();
    // The command's own handles would keep the terminal open.
    command.stdout(Stdio::null());
    let ended = ended(child);
    (ended, terminal.seen())
}

fn run(sandbox: &Sandbox, args: &str) -> (Ended, String) {
    on_terminal(sandbox.bulla().args(args.split_whitespace()))
}

#[test]
fn sealed_bytes_are_refused() {
    let sandbox = Sandbox::new();
    sandbox.write("a", "text");
    let (ended, seen) = run(&sandbox, "encrypt a -o -");
    ended.expect(2, "sealed data is not for a terminal");
    ended.expect(2, "name a file with -o");
    assert_eq!(seen, "");
    assert!(!sandbox.home().exists(), "it was refused before any work");
}

#[test]
fn the_text_form_is_shown() {
    let sandbox = Sandbox::new();
    sandbox.write("a", "text");
    let (ended, seen) = run(&sandbox, "encrypt a --text -o -");
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(seen.starts_with("bulla1."), "{seen}");
}

#[test]
fn decrypted_text_is_shown_and_nothing_else() {
    let sandbox = Sandbox::new();
    sandbox.write("text", "5 \u{20ac}\tper line\n");
    sandbox.write("escape", "harmless \x1b]0;title\x07");
    sandbox.write("binary", noise(1000));
    sandbox.write("half", b"cut \xe2\x82");
    for name in ["text", "escape", "binary", "half"] {
        sandbox.ok(&format!("encrypt {name}"));
    }
    let (ended, seen) = run(&sandbox, "decrypt text.bulla -o -");
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_eq!(seen, "5 \u{20ac}\tper line\r\n");
    for (name, shown) in [("escape", ""), ("binary", ""), ("half", "cut ")] {
        let (ended, seen) = run(&sandbox, &format!("decrypt {name}.bulla -o -"));
        ended.expect(2, "the decrypted data is not plain text");
        assert_eq!(seen, shown);
    }
}

#[test]
fn without_input_a_terminal_is_not_waited_for() {
    let sandbox = Sandbox::new();
    for args in ["encrypt", "decrypt", "inspect"] {
        let terminal = Terminal::new();
        let mut command = sandbox.bulla();
        command.arg(args).stdin(terminal.end()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let ended = ended(command.spawn().unwrap());
        ended.expect(2, "no input: standard input is a terminal");
    }
}

/// Feeds an input that takes longer than anybody's patience.
fn slowly(sandbox: &Sandbox, stderr: Stdio) -> Ended {
    let mut command = sandbox.bulla();
    command.args(["encrypt", "-o", "out", "--force"]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(stderr);
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    for _ in 0..3 {
        stdin.write_all(&noise(70_000)).unwrap();
        std::thread::sleep(Duration::from_millis(600));
    }
    drop(stdin);
    ended(child)
}

#[test]
fn progress_is_shown_on_a_terminal_only() {
    let sandbox = Sandbox::new();
    sandbox.ok("keys create default");
    let terminal = Terminal::new();
    let ended = slowly(&sandbox, terminal.end());
    assert_eq!(ended.code, Some(0));
    let seen = terminal.seen();
    assert!(seen.contains("KiB"), "{seen:?}");

    let ended = slowly(&sandbox, Stdio::piped());
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
}

#[test]
fn a_derived_name_is_told_on_a_terminal() {
    let sandbox = Sandbox::new();
    sandbox.ok("keys create default");
    sandbox.write("a", "text");
    let terminal = Terminal::new();
    let mut command = sandbox.bulla();
    let child = command.args(["encrypt", "a"]).stderr(terminal.end()).spawn().unwrap();
    drop(command);
    assert_eq!(ended(child).code, Some(0));
    assert_eq!(terminal.seen(), "bulla: wrote a.bulla\r\n");
}
