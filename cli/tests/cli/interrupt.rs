//! Signals in the middle of the work.

use std::{
    fs::{self, File, OpenOptions},
    io::Write as _,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};

use crate::sandbox::{BULLA, Sandbox, end, ended, noise};

/// `bulla`, whatever signals whoever runs the tests ignores.
fn bulla(sandbox: &Sandbox, args: &str) -> Command {
    let mut command = sandbox.program(Path::new("env"));
    command.args(["--default-signal", BULLA]).args(args.split_whitespace());
    command
}

/// `bulla` as somebody starts it who wants a signal ignored, such as `nohup`.
fn deaf(sandbox: &Sandbox, signal: &str, args: &str) -> Command {
    let mut command = sandbox.program(Path::new("sh"));
    command.args(["-c", &format!("umask 022; trap '' {signal}; exec {BULLA} {args}")]);
    command
}

/// Waits for what comes soon.
fn wait<T>(mut look: impl FnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(started.elapsed() < Duration::from_secs(20), "it did not come");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// The file that a run writes to.
fn temporary(sandbox: &Sandbox) -> Option<PathBuf> {
    let name = sandbox.names().into_iter().find(|name| name.starts_with(".bulla-"))?;
    Some(sandbox.path(&name))
}

/// Feeds part of an input and waits until the run has begun to write.
fn begin(sandbox: &Sandbox, mut command: Command, part: &[u8]) -> Child {
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.as_mut().unwrap().write_all(part).unwrap();
    wait(|| temporary(sandbox));
    child
}

fn interrupt(child: Child, signal: Signal) {
    let pid = Pid::from_child(&child);
    kill_process(pid, signal).unwrap();
    // Its input stays open meanwhile: it hangs in a read.
    let mut child = child;
    let stdin = child.stdin.take();
    let ended = ended(child);
    drop(stdin);
    assert_eq!(ended.code, Some(130), "{}", ended.stderr);
    assert_eq!(ended.stderr, "bulla: interrupted\n");
}

#[test]
fn an_interrupted_run_leaves_nothing() {
    let sandbox = Sandbox::new();
    sandbox.write("a", noise(400_000));
    sandbox.ok("encrypt a");
    let (plaintext, sealed) = (sandbox.read("a"), sandbox.read("a.bulla"));
    for signal in [Signal::INT, Signal::TERM, Signal::HUP, Signal::QUIT] {
        let command = bulla(&sandbox, "encrypt -o out");
        interrupt(begin(&sandbox, command, &plaintext[..300_000]), signal);
        assert_eq!(sandbox.names(), ["a", "a.bulla"]);
        let command = bulla(&sandbox, "decrypt -o out");
        interrupt(begin(&sandbox, command, &sealed[..300_000]), signal);
        assert_eq!(sandbox.names(), ["a", "a.bulla"]);
    }
}

#[test]
fn an_interrupted_run_replaces_nothing() {
    let sandbox = Sandbox::new();
    sandbox.ok("keys create default");
    sandbox.write("out", "old");
    let command = bulla(&sandbox, "encrypt -o out --force");
    interrupt(begin(&sandbox, command, &noise(300_000)), Signal::INT);
    assert_eq!(sandbox.read("out"), b"old");
    assert_eq!(sandbox.names(), ["out"]);
}

#[test]
fn a_run_that_is_not_interrupted_goes_on() {
    let sandbox = Sandbox::new();
    sandbox.ok("keys create default");
    let mut child = begin(&sandbox, bulla(&sandbox, "encrypt -o out"), b"begun, ");
    child.stdin.as_mut().unwrap().write_all(b"ended").unwrap();
    let ended = ended(child);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_eq!(sandbox.ok("decrypt out -o -"), b"begun, ended");
}

/// A decryption that stands still in the middle of a named pipe, and the pipe's other end.
fn decryption(sandbox: &Sandbox, mut command: Command, part: &[u8]) -> (Child, File) {
    assert!(Command::new("mkfifo").arg(sandbox.path("pipe")).status().unwrap().success());
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    let child = command.spawn().unwrap();
    let mut pipe = OpenOptions::new().write(true).open(sandbox.path("pipe")).unwrap();
    pipe.write_all(part).unwrap();
    (child, pipe)
}

/// Waits until plaintext is on the disk, and looks at who may read it.
fn expect_private(sandbox: &Sandbox) {
    let metadata = wait(|| fs::metadata(temporary(sandbox)?).ok().filter(|found| found.len() > 0));
    assert_eq!(metadata.permissions().mode() & 0o7777, 0o600);
}

#[test]
fn a_hangup_leaves_no_plaintext_and_nobody_else_could_have_read_it() {
    let sandbox = Sandbox::new();
    let plaintext = noise(400_000);
    sandbox.write("a", &plaintext);
    sandbox.ok("encrypt a");
    let sealed = sandbox.read("a.bulla");
    let before = sandbox.names();
    for args in ["decrypt pipe -o out", "decrypt pipe -o a --force"] {
        fs::set_permissions(sandbox.path("a"), fs::Permissions::from_mode(0o644)).unwrap();
        let command = bulla(&sandbox, args);
        let (child, pipe) = decryption(&sandbox, command, &sealed[..300_000]);
        expect_private(&sandbox);
        interrupt(child, Signal::HUP);
        drop(pipe);
        fs::remove_file(sandbox.path("pipe")).unwrap();
        assert_eq!(sandbox.names(), before);
    }
    assert!(sandbox.read("a") == plaintext);
}

#[test]
fn a_signal_that_is_ignored_from_the_beginning_stays_so() {
    let sandbox = Sandbox::new();
    let plaintext = noise(400_000);
    sandbox.write("a", &plaintext);
    sandbox.ok("encrypt a");
    let sealed = sandbox.read("a.bulla");
    for (name, signal) in [("HUP", Signal::HUP), ("INT", Signal::INT), ("QUIT", Signal::QUIT)] {
        let command = deaf(&sandbox, name, "decrypt pipe -o out");
        let (child, mut pipe) = decryption(&sandbox, command, &sealed[..300_000]);
        expect_private(&sandbox);
        kill_process(Pid::from_child(&child), signal).unwrap();
        // A closed pipe is an error of one write, and not the end.
        kill_process(Pid::from_child(&child), Signal::PIPE).unwrap();
        pipe.write_all(&sealed[300_000..]).unwrap();
        drop(pipe);
        let ended = ended(child);
        assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""), "{name}");
        assert!(sandbox.read("out") == plaintext);
        let mode = fs::metadata(sandbox.path("out")).unwrap().permissions().mode();
        assert_eq!(mode & 0o7777, 0o644);
        fs::remove_file(sandbox.path("out")).unwrap();
        fs::remove_file(sandbox.path("pipe")).unwrap();
    }
}

#[test]
fn a_limit_on_the_size_of_files_leaves_nothing() {
    let sandbox = Sandbox::new();
    sandbox.write("a", noise(400_000));
    sandbox.ok("encrypt a");
    let script = format!("ulimit -f 150; exec env --default-signal {BULLA} decrypt a.bulla -o out");
    let ended = end(sandbox.program(Path::new("sh")).args(["-c", &script]));
    ended.expect(1, "out: File too large");
    assert_eq!(sandbox.names(), ["a", "a.bulla"]);
}
