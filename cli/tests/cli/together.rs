//! Several programs that replace one file at once.

use std::{
    fs::{self, File},
    io::Write as _,
    os::unix::fs::{PermissionsExt as _, symlink},
    process::{Child, Stdio},
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::{
    access::{NOBODY, is_root, of_nobody, set_access},
    sandbox::{Sandbox, end, ended, first_line, noise},
    terminal::talk_and,
};

/// The rewrap below asks this when it has locked the file, and waits.
const QUESTION: &str = "Passphrase for local:locked: ";
const ANSWER: (&str, &str) = (QUESTION, "secret\n");
const REWRAP: &str = "rewrap a.bulla --add local:one";

/// The keys `one` and `two`; `a.bulla` is sealed to one that takes a passphrase, and so is `b.bulla`.
fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write("secret", "secret");
    sandbox.ok("keys create locked --passphrase-file secret");
    sandbox.ok("keys create one");
    sandbox.ok("keys create two");
    for (name, text) in [("a", "text"), ("b", "twin")] {
        sandbox.write(name, text);
        sandbox.ok(&format!("encrypt {name} -k local:locked --passphrase-file secret"));
    }
    sandbox
}

fn spawn(sandbox: &Sandbox, args: &str) -> Child {
    let mut command = sandbox.bulla();
    command.args(args.split_whitespace()).stdin(Stdio::piped());
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// Starts what finds the file locked.
fn spawn_and_wait(sandbox: &Sandbox, args: &str, file: &str) -> Child {
    let mut child = spawn(sandbox, args);
    let said = format!("bulla: {file}: another program is about to replace it; waiting for that\n");
    assert_eq!(first_line(&mut child), said);
    child
}

fn recipients(sandbox: &Sandbox, file: &str) -> usize {
    let report: Value =
        serde_json::from_slice(&sandbox.ok(&format!("inspect {file} --json"))).unwrap();
    report["recipients"].as_array().unwrap().len()
}

#[track_caller]
fn expect_done(child: Child) {
    let ended = ended(child);
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
}

type Change<'a> = &'a dyn Fn();

#[test]
fn what_others_do_to_a_file_is_not_undone_by_a_rewrap() {
    let sandbox = sandbox();
    let (a, b) = (sandbox.path("a.bulla"), sandbox.path("b.bulla"));
    let before = sandbox.read("a.bulla");
    let changes: [(&str, Change<'_>); 5] = [
        ("was changed meanwhile", &|| fs::rename(&b, &a).unwrap()),
        ("was changed meanwhile", &|| {
            let modified = fs::metadata(&a).unwrap().modified().unwrap();
            fs::write(&a, vec![7; before.len()]).unwrap();
            File::options().write(true).open(&a).unwrap().set_modified(modified).unwrap();
        }),
        ("was changed meanwhile", &|| {
            File::options().append(true).open(&a).unwrap().write_all(b"x").unwrap()
        }),
        ("was changed meanwhile", &|| {
            fs::set_permissions(&a, fs::Permissions::from_mode(0o600)).unwrap()
        }),
        ("was removed meanwhile", &|| fs::remove_file(&a).unwrap()),
    ];
    for (said, change) in changes {
        fs::write(&a, &before).unwrap();
        fs::set_permissions(&a, fs::Permissions::from_mode(0o644)).unwrap();
        fs::write(&b, &before).unwrap();
        let mut left = None;
        let state =
            || fs::metadata(&a).ok().map(|found| (fs::read(&a).unwrap(), found.permissions()));
        let (code, seen) = talk_and(&sandbox, REWRAP, &[ANSWER], |_| {
            change();
            left = Some(state());
        });
        assert_eq!(code, 1, "{seen}");
        assert!(seen.contains(&format!("bulla: a.bulla: {said} by another program")), "{seen}");
        assert!(left == Some(state()), "it is as the other program left it");
        assert!(!sandbox.names().iter().any(|name| name.starts_with('.')), "{:?}", sandbox.names());
    }
    // What only looks at it is no matter.
    fs::write(&a, &before).unwrap();
    let (code, seen) = talk_and(&sandbox, REWRAP, &[ANSWER], |_| drop(sandbox.read("a.bulla")));
    assert_eq!(code, 0, "{seen}");
    assert_eq!(recipients(&sandbox, "a.bulla"), 2);
}

#[test]
fn of_two_rewraps_the_second_goes_on_from_the_first() {
    let sandbox = sandbox();
    let mut second = None;
    let args = "rewrap a.bulla --add local:two --passphrase-file secret";
    let (code, seen) = talk_and(&sandbox, REWRAP, &[ANSWER], |_| {
        second = Some(spawn_and_wait(&sandbox, args, "a.bulla"));
    });
    assert_eq!(code, 0, "{seen}");
    expect_done(second.unwrap());
    assert_eq!(recipients(&sandbox, "a.bulla"), 3);
    assert_eq!(sandbox.ok("decrypt a.bulla -o -"), b"text");
    assert_eq!(sandbox.names(), ["a", "a.bulla", "b", "b.bulla", "secret"]);
}

#[test]
fn recipients_that_are_added_at_once_are_all_there() {
    let sandbox = Sandbox::new();
    sandbox.write("a", noise(1_000_000));
    let names = ["one", "two", "three", "four", "five"];
    for name in names {
        sandbox.ok(&format!("keys create {name}"));
    }
    for round in 0..4 {
        sandbox.ok("encrypt a -k local:one --force");
        let added = names[1..].iter();
        let all: Vec<_> = added
            .map(|name| spawn(&sandbox, &format!("rewrap a.bulla --add local:{name}")))
            .collect();
        for child in all {
            let ended = ended(child);
            assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        }
        assert_eq!(recipients(&sandbox, "a.bulla"), 5, "round {round}");
    }
}

#[test]
fn whatever_replaces_a_file_waits_for_its_turn() {
    let sandbox = sandbox();
    // A rewrap first, then a new file: that is what is there at the end.
    let mut second = None;
    let (code, seen) = talk_and(&sandbox, REWRAP, &[ANSWER], |_| {
        second = Some(spawn_and_wait(&sandbox, "encrypt b -k local:two -o a.bulla -f", "a.bulla"));
    });
    assert_eq!(code, 0, "{seen}");
    expect_done(second.unwrap());
    assert_eq!(sandbox.ok("decrypt a.bulla -o -"), b"twin");

    // A new file first, then a rewrap: of the new one.
    let mut first = spawn(&sandbox, "encrypt -k local:one -o a.bulla --force");
    let mut stdin = first.stdin.take().unwrap();
    stdin.write_all(b"anew").unwrap();
    let started = Instant::now();
    while !sandbox.names().iter().any(|name| name.starts_with(".bulla-")) {
        assert!(started.elapsed() < Duration::from_secs(20), "no temporary file came");
        std::thread::sleep(Duration::from_millis(10));
    }
    let rewrap = spawn_and_wait(&sandbox, "rewrap a.bulla --add local:two", "a.bulla");
    let sealed = sandbox.read("b.bulla");
    sandbox.write("c.bulla", sealed);
    let decrypt = "decrypt c.bulla --passphrase-file secret -o a.bulla -f";
    let decrypt = spawn_and_wait(&sandbox, decrypt, "a.bulla");
    drop(stdin);
    expect_done(first);
    let rewrapped = ended(rewrap);
    // Which of the two is next is nobody's to say, and decrypted data can't be rewrapped.
    assert!(rewrapped.code == Some(0) || rewrapped.code == Some(3), "{}", rewrapped.stderr);
    expect_done(decrypt);
    assert_eq!(sandbox.read("a.bulla"), b"twin");
}

#[test]
fn force_does_not_replace_what_it_was_not_meant_for() {
    let sandbox = Sandbox::new();
    sandbox.ok("keys create default");
    for (old, said) in [
        (Some("old"), "out: was changed meanwhile by another program"),
        (None, "out: was made meanwhile by another program"),
    ] {
        let _ = fs::remove_file(sandbox.path("out"));
        old.into_iter().for_each(|text| sandbox.write("out", text));
        let mut child = spawn(&sandbox, "encrypt -o out --force");
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(b"text").unwrap();
        let started = Instant::now();
        while !sandbox.names().iter().any(|name| name.starts_with(".bulla-")) {
            assert!(started.elapsed() < Duration::from_secs(20), "no temporary file came");
            std::thread::sleep(Duration::from_millis(10));
        }
        sandbox.write("theirs", "theirs");
        fs::rename(sandbox.path("theirs"), sandbox.path("out")).unwrap();
        drop(stdin);
        let ended = ended(child);
        ended.expect(1, said);
        ended.expect(1, "hint: run the command again");
        assert_eq!(sandbox.read("out"), b"theirs");
        assert_eq!(sandbox.names(), ["out"]);
    }
}

#[test]
fn a_link_that_leads_elsewhere_by_now_is_told() {
    let sandbox = sandbox();
    symlink("a.bulla", sandbox.path("link")).unwrap();
    let (a, b) = (sandbox.read("a.bulla"), sandbox.read("b.bulla"));
    let (code, seen) = talk_and(&sandbox, "rewrap link --add local:one", &[ANSWER], |_| {
        symlink("b.bulla", sandbox.path("other")).unwrap();
        fs::rename(sandbox.path("other"), sandbox.path("link")).unwrap();
    });
    assert_eq!(code, 1, "{seen}");
    assert!(seen.contains("link: was changed meanwhile"), "{seen}");
    assert!(sandbox.read("a.bulla") == a && sandbox.read("b.bulla") == b);
    // Whoever comes by a link waits for the same lock.
    let mut second = None;
    let args = "rewrap link --add local:two --passphrase-file secret";
    let (code, seen) = talk_and(&sandbox, "rewrap b.bulla --add local:one", &[ANSWER], |_| {
        second = Some(spawn_and_wait(&sandbox, args, "link"));
    });
    assert_eq!(code, 0, "{seen}");
    expect_done(second.unwrap());
    assert_eq!(recipients(&sandbox, "b.bulla"), 3);
}

#[test]
fn hard_links_keep_the_old_file_and_that_is_told() {
    let sandbox = Sandbox::new();
    sandbox.write("a", "text");
    sandbox.ok("encrypt a");
    sandbox.ok("keys create new");
    fs::hard_link(sandbox.path("a.bulla"), sandbox.path("same")).unwrap();
    let before = sandbox.read("a.bulla");
    let ended = sandbox.run("rewrap a.bulla --add local:new");
    let said = "bulla: a.bulla: its other names (hard links) keep the old file\n";
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), said));
    assert!(sandbox.read("same") == before);
    assert_eq!(recipients(&sandbox, "a.bulla"), 2);
    assert_eq!(sandbox.run("rewrap a.bulla --add local:new").stderr, "");
}

#[test]
fn a_file_in_a_directory_without_write_permission_stays() {
    if !is_root("a_file_in_a_directory_without_write_permission_stays") {
        return;
    }
    let (sandbox, bulla) = of_nobody();
    let before = sandbox.read("a.bulla");
    set_access(&sandbox.work(), (NOBODY, NOBODY, 0o555));
    let ended = end(&mut bulla("", "rewrap a.bulla --add local:default"));
    ended.expect(1, "a.bulla: Permission denied");
    ended.expect(1, "hint: a file must be made in ., which then takes the output's name");
    assert!(sandbox.read("a.bulla") == before);
    assert_eq!(sandbox.names(), ["a", "a.bulla"]);
}
