//! Signals in the middle of the work.

use std::{
    io::Write as _,
    process::{Child, Stdio},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};

use crate::sandbox::{Sandbox, ended, noise};

/// Feeds part of an input and waits until the run has begun to write.
fn begin(sandbox: &Sandbox, args: &str, part: &[u8]) -> Child {
    let mut command = sandbox.bulla();
    command.args(args.split_whitespace());
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.as_mut().unwrap().write_all(part).unwrap();
    let started = Instant::now();
    let writing = || sandbox.names().iter().any(|name| name.starts_with(".bulla-"));
    while !writing() {
        assert!(started.elapsed() < Duration::from_secs(20), "no temporary file came");
        std::thread::sleep(Duration::from_millis(10));
    }
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
    for signal in [Signal::INT, Signal::TERM] {
        interrupt(begin(&sandbox, "encrypt -o out", &plaintext[..300_000]), signal);
        assert_eq!(sandbox.names(), ["a", "a.bulla"]);
        interrupt(begin(&sandbox, "decrypt -o out", &sealed[..300_000]), signal);
        assert_eq!(sandbox.names(), ["a", "a.bulla"]);
    }
}

#[test]
fn an_interrupted_run_replaces_nothing() {
    let sandbox = Sandbox::new();
    sandbox.ok("keys create default");
    sandbox.write("out", "old");
    interrupt(begin(&sandbox, "encrypt -o out --force", &noise(300_000)), Signal::INT);
    assert_eq!(sandbox.read("out"), b"old");
    assert_eq!(sandbox.names(), ["out"]);
}

#[test]
fn a_run_that_is_not_interrupted_goes_on() {
    let sandbox = Sandbox::new();
    sandbox.ok("keys create default");
    let mut child = begin(&sandbox, "encrypt -o out", b"begun, ");
    child.stdin.as_mut().unwrap().write_all(b"ended").unwrap();
    let ended = ended(child);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_eq!(sandbox.ok("decrypt out -o -"), b"begun, ended");
}
