//! Contexts and keys: what opens, what doesn't, and what the user is told.

use crate::sandbox::Sandbox;

fn sealed() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write("a", "text");
    sandbox.ok("encrypt a --context tenant=acme --required-context row=7");
    sandbox
}

#[test]
fn all_pairs_of_both_kinds_open() {
    let sandbox = sealed();
    for args in ["-c tenant=acme -c row=7", "-c row=7 -c tenant=acme"] {
        assert_eq!(sandbox.ok(&format!("decrypt a.bulla -o - {args}")), b"text");
    }
}

/// The library knows what a header needs.
#[test]
fn a_header_has_room_for_its_context() {
    let sandbox = Sandbox::new();
    sandbox.write("a", "text");
    let header_len = |context: &str| {
        sandbox.ok(&format!("encrypt a --force {context}"));
        assert_eq!(sandbox.ok(&format!("decrypt a.bulla -o - {context}")), b"text");
        let report: serde_json::Value =
            serde_json::from_slice(&sandbox.ok("inspect a.bulla --json")).unwrap();
        report["header_len"].as_u64().unwrap()
    };
    assert_eq!(header_len(""), 1024);
    assert_eq!(header_len(&format!("-c name={}", "x".repeat(200))), 1024);
    assert_eq!(header_len(&format!("-c name={}", "x".repeat(1500))), 2048);
}

#[test]
fn any_other_pairs_do_not_and_no_value_is_told() {
    let sandbox = sealed();
    let mismatch = ["", "-c row=7", "-c tenant=elsewhere -c row=7", "-c Tenant=acme -c row=7"];
    for args in mismatch {
        let ended = sandbox.run(&format!("decrypt a.bulla -o b {args}"));
        ended.expect(3, "a.bulla: context mismatch");
        ended.expect(3, "`bulla inspect a.bulla` shows the stored pairs");
        assert!(!ended.stderr.contains("acme") && !ended.stderr.contains("elsewhere"));
    }
    for args in ["", "-c row=8", "-c row=7 -c more=1"] {
        let ended = sandbox.run(&format!("decrypt a.bulla -o b -c tenant=acme {args}"));
        ended.expect(3, "a.bulla: not authentic");
        ended.expect(3, "pairs sealed with --required-context must be given");
    }
    assert_eq!(sandbox.names(), ["a", "a.bulla"]);
}

#[test]
fn the_stored_context_is_taken_and_shown_where_asked() {
    let sandbox = sealed();
    for args in ["-c row=7", "-c row=7 -c tenant=acme"] {
        let ended = sandbox.run(&format!("decrypt a.bulla -o - --stored-context {args}"));
        ended.expect(0, "opened under the context stored in the file itself:\n  tenant = acme\n");
        assert_eq!(ended.stdout, b"text");
    }
    let ended = sandbox.run("decrypt a.bulla -o b --stored-context -c row=7 -c tenant=other");
    ended.expect(3, "context mismatch");
    // What is shown is authenticated: with a wrong pair nothing is.
    let ended = sandbox.run("decrypt a.bulla -o b --stored-context -c row=8");
    ended.expect(3, "not authentic");
    assert!(!ended.stderr.contains("acme"));
    assert_eq!(sandbox.names(), ["a", "a.bulla"]);
}

#[test]
fn a_stored_context_can_not_steer_the_terminal() {
    let sandbox = Sandbox::new();
    sandbox.write("a", "text");
    let hostile = "note=\u{1b}]0;x\u{7}\u{9b}2J\u{202e}\nbulla: all is well";
    let status = sandbox.bulla().args(["encrypt", "a", "-c", hostile]).status().unwrap();
    assert!(status.success());
    let shown = sandbox.run("decrypt a.bulla -o - --stored-context").stderr;
    let inspected = String::from_utf8(sandbox.ok("inspect a.bulla")).unwrap();
    let json = String::from_utf8(sandbox.ok("inspect a.bulla --json")).unwrap();
    for out in [shown, inspected, json] {
        assert!(out.contains("all is well"), "{out}");
        assert!(out.chars().all(|c| c == '\n' || !c.is_control()), "{out:?}");
        assert!(!out.contains('\u{202e}') && !out.contains("\nbulla: all"), "{out:?}");
    }
}

#[test]
fn pairs_are_checked_before_anything_else() {
    let sandbox = Sandbox::new();
    for (args, said) in [
        ("-c tenant", "a pair is NAME=VALUE"),
        ("-c =acme", "the name before `=` is empty"),
        ("-c a=1 -c a=2", "given twice"),
        ("-c a=1 --required-context a=2", "given twice"),
        ("-c bulla.x=1", "kept for the library"),
    ] {
        sandbox.run(&format!("encrypt missing {args}")).expect(2, said);
    }
    assert!(!sandbox.home().exists());
}

#[test]
fn either_recipient_opens_and_a_stranger_does_not() {
    let sandbox = Sandbox::new();
    sandbox.write("a", "text");
    sandbox.run("encrypt a --key local:work").expect(1, "`bulla keys create work` makes it");
    assert_eq!(sandbox.names(), ["a"]);
    sandbox.ok("keys create work");
    sandbox.ok("keys create backup");
    sandbox.ok("encrypt a --key local:work --key local:backup");
    assert_eq!(sandbox.ok("decrypt a.bulla -o - --key local:backup"), b"text");
    sandbox.run("decrypt a.bulla -o - --key local:gone").expect(1, "\"gone\"");
    sandbox.run("encrypt a -o b -k local:work -k local:work").expect(2, "the same key");

    let stranger = Sandbox::new();
    stranger.write("a.bulla", sandbox.read("a.bulla"));
    stranger.run("decrypt a.bulla").expect(3, "a.bulla: open: no recipient to open with");
    stranger.ok("keys create work"); // of the same name, and another key
    stranger.run("decrypt a.bulla").expect(3, "a.bulla: open: no recipient to open with");
    assert_eq!(stranger.names(), ["a.bulla"]);
}

#[test]
fn eight_recipients_and_a_long_context_fit() {
    let sandbox = Sandbox::new();
    sandbox.write("a", "text");
    let mut args = format!("encrypt a -c long={}", "x".repeat(3500));
    for n in 1..=8 {
        sandbox.ok(&format!("keys create key{n}"));
        args += &format!(" -k local:key{n}");
    }
    sandbox.ok(&args);
    assert_eq!(sandbox.ok("decrypt a.bulla -o - --stored-context"), b"text");
    sandbox.ok("keys create key9");
    sandbox.run(&format!("{args} -k local:key9 -o b")).expect(2, "1 to 8 recipients");
}
