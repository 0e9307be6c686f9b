//! Protected keys, with passphrases from files and from the terminal.

use std::{io::Read as _, os::unix::fs::PermissionsExt as _, time::Duration};

use rustix::process::{Pid, Signal, kill_process};

use crate::{
    sandbox::{BULLA, Sandbox},
    terminal::{Terminal, shows_input, talk, talk_and},
};

fn protected() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write("right", "correct horse\n");
    sandbox.write("wrong", "incorrect horse\n");
    sandbox.write("a", "text");
    sandbox.ok("keys create work --passphrase-file right");
    sandbox.ok("encrypt a -k local:work --passphrase-file right");
    sandbox
}

#[test]
fn a_file_gives_the_passphrase() {
    let sandbox = protected();
    assert_eq!(sandbox.ok("decrypt a.bulla -o - --passphrase-file right"), b"text");
    let both = "--passphrase-file wrong --passphrase-file right";
    assert_eq!(sandbox.ok(&format!("decrypt a.bulla -o - {both}")), b"text");
    sandbox.ok("verify a.bulla --passphrase-file right");
    sandbox.ok("keys create other");
    sandbox.ok("rewrap a.bulla --add local:other --passphrase-file right");
    assert_eq!(sandbox.ok("decrypt a.bulla -o -"), b"text"); // the other key has none
}

#[test]
fn a_wrong_passphrase_is_code_3() {
    let sandbox = protected();
    let wrong = "--passphrase-file wrong";
    for args in [
        "decrypt a.bulla -o b",
        "verify a.bulla",
        "encrypt a -o b -k local:work",
        "rewrap a.bulla --add local:work",
        "keys export work --yes -o b",
    ] {
        sandbox.run(&format!("{args} {wrong}")).expect(3, "passphrase");
    }
    assert_eq!(sandbox.names(), ["a", "a.bulla", "right", "wrong"]);
}

#[test]
fn without_a_terminal_the_option_is_named() {
    let sandbox = protected();
    let mut command = sandbox.program(std::path::Path::new("setsid"));
    let ended =
        crate::sandbox::end(command.args(["--wait", BULLA, "decrypt", "a.bulla", "-o", "b"]));
    ended.expect(2, "--passphrase-file reads it from a file");
    sandbox.write("empty", "\n");
    sandbox.run("verify a.bulla --passphrase-file empty").expect(2, "empty: holds no passphrase");
    sandbox.run("verify a.bulla --passphrase-file no").expect(1, "no: No such file");
}

#[test]
fn the_terminal_is_asked_and_shows_nothing() {
    let sandbox = protected();
    let question = "Passphrase for local:work: ";
    let (code, seen) = talk(&sandbox, "decrypt a.bulla -o -", &[(question, "correct horse\n")]);
    assert_eq!(code, 0, "{seen}");
    assert!(seen.ends_with("text") && !seen.contains("horse"), "{seen:?}");
    let (code, seen) = talk(&sandbox, "decrypt a.bulla -o -", &[(question, "wrong\n")]);
    assert_eq!(code, 3, "{seen}");
    assert!(seen.contains("is it the right passphrase?"), "{seen:?}");
    let (code, _) = talk(&sandbox, "decrypt a.bulla -o -", &[(question, "\x03")]);
    assert_eq!(code, 130);
}

#[test]
fn nobody_is_asked_twice() {
    let sandbox = protected();
    let question = "Passphrase for local:work: ";
    let (code, seen) =
        talk(&sandbox, "rewrap a.bulla --add local:work", &[(question, "correct horse\n")]);
    assert_eq!(code, 0, "{seen}");
    assert_eq!(seen.matches(question).count(), 1, "{seen}");
}

#[test]
fn a_new_passphrase_is_asked_for_twice() {
    let sandbox = Sandbox::new();
    let (first, second) = ("New passphrase for local:work: ", "The same again: ");
    let create = "keys create work --passphrase";
    let (code, seen) = talk(&sandbox, create, &[(first, "one\n"), (second, "two\n")]);
    assert_eq!(code, 2, "{seen}");
    assert!(seen.contains("the two passphrases differ"), "{seen}");
    let (code, seen) = talk(&sandbox, create, &[(first, "\n")]);
    assert_eq!(code, 2, "{seen}");
    assert!(!sandbox.home().exists());

    let (code, seen) = talk(&sandbox, create, &[(first, "one\n"), (second, "one\n")]);
    assert_eq!(code, 0, "{seen}");
    sandbox.write("one", "one");
    sandbox.write("a", "text");
    sandbox.ok("encrypt a -k local:work --passphrase-file one");
    // A key under a passphrase stays under one.
    let (code, seen) = talk(&sandbox, "keys rotate work", &[(first, "new\n"), (second, "new\n")]);
    assert_eq!(code, 0, "{seen}");
    assert!(
        seen.contains("2  active") && seen.matches("under a passphrase").count() == 2,
        "{seen}"
    );
    sandbox.ok("verify a.bulla --passphrase-file one");
}

/// How often some bytes are in the memory of a process, where it may write.
#[cfg(target_os = "linux")]
fn occurrences(process: u32, needle: &[u8]) -> usize {
    use std::os::unix::fs::FileExt as _;
    let maps = std::fs::read_to_string(format!("/proc/{process}/maps")).unwrap();
    let memory = std::fs::File::open(format!("/proc/{process}/mem")).unwrap();
    let mut found = 0;
    for map in maps.lines().filter(|map| map.contains(" rw")) {
        let (start, end) = map.split_once(' ').unwrap().0.split_once('-').unwrap();
        let address = |text| u64::from_str_radix(text, 16).unwrap();
        let mut bytes = vec![0; usize::try_from(address(end) - address(start)).unwrap()];
        // Some of the system's own can't be read.
        if memory.read_exact_at(&mut bytes, address(start)).is_ok() {
            found += bytes.windows(needle.len()).filter(|window| *window == needle).count();
        }
    }
    found
}

#[cfg(target_os = "linux")]
#[test]
fn a_passphrase_that_was_typed_is_in_memory_once() {
    const TYPED: &str = "quartz vow, jumbled fox; nymphs beg for quick waltz";
    let sandbox = Sandbox::new();
    sandbox.ok("keys create first");
    let lock = std::fs::File::open(sandbox.home().join("lock")).unwrap();
    lock.lock().unwrap();
    let mut lock = Some(lock);
    let (mut answers, mut found) = (0, None);
    let line = format!("{TYPED}\n");
    let questions = [
        ("New passphrase for local:work: ", line.as_str()),
        ("The same again: ", &line),
        ("waiting until it unlocks", "\n"),
    ];
    let (code, seen) = talk_and(&sandbox, "keys create work --passphrase", &questions, |process| {
        answers += 1;
        if answers == 3 {
            // Beyond what an allocator writes over at the beginning of a piece that is free again.
            found = Some(occurrences(process, &TYPED.as_bytes()[18..30]));
            lock = None;
        }
    });
    assert_eq!(code, 0, "{seen}");
    assert_eq!(found, Some(1));
}

#[test]
fn what_is_no_passphrase_is_told() {
    let sandbox = protected();
    let question = "Passphrase for local:work: ";
    for (typed, said) in [
        ("horse\x1b[D\n", "the passphrase holds a control character"),
        ("\x04", "no passphrase was given"),
        ("wrong\x15correct horsf\x7fe\n", "a.bulla: verified, 4 bytes"),
    ] {
        let (_, seen) = talk(&sandbox, "verify a.bulla", &[(question, typed)]);
        assert!(seen.contains(said), "{seen:?}");
        assert!(!seen.contains("hors"), "{seen:?}");
    }
}

#[test]
fn a_signal_leaves_the_terminal_as_it_was() {
    let sandbox = protected();
    let terminal = Terminal::new();
    let mut command = sandbox.program(std::path::Path::new("setsid"));
    command.args(["--ctty", BULLA, "verify", "a.bulla"]);
    command.stdin(terminal.end()).stdout(terminal.end()).stderr(terminal.end());
    let mut child = command.spawn().unwrap();
    assert!(shows_input(&terminal.theirs));
    let mut seen = String::new();
    while !seen.contains("Passphrase") || shows_input(&terminal.theirs) {
        let mut piece = [0; 100];
        if !seen.contains("Passphrase") {
            let len = (&terminal.ours).read(&mut piece).unwrap();
            seen.push_str(std::str::from_utf8(&piece[..len]).unwrap());
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert!(shows_input(&terminal.theirs));
}

#[test]
fn what_can_not_be_undone_is_asked() {
    let sandbox = Sandbox::new();
    sandbox.ok("keys create work");
    let question = "Type yes to go on: ";
    for answer in ["\n", "no\n", "y\n", "\x04"] {
        let (code, seen) = talk(&sandbox, "keys destroy work", &[(question, answer)]);
        assert_eq!(code, 1, "{seen}");
        assert!(seen.contains("nothing was done"), "{seen}");
    }
    let (code, seen) = talk(&sandbox, "keys export work -o work.jwk", &[(question, "yes\n")]);
    assert_eq!(code, 0, "{seen}");
    let mode = std::fs::metadata(sandbox.path("work.jwk")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let (code, seen) = talk(&sandbox, "keys destroy work", &[(question, "yes\n")]);
    assert_eq!(code, 0, "{seen}");
    assert!(seen.contains("1  destroyed"), "{seen}");

    for args in ["keys destroy work", "keys export work"] {
        let mut command = sandbox.program(std::path::Path::new("setsid"));
        command.args(["--wait", BULLA]).args(args.split(' '));
        crate::sandbox::end(&mut command).expect(2, "--yes goes ahead without asking");
    }
}
