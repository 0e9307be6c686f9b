//! Groups: several recipients under one name, some of which may be missing.

use serde_json::Value;

use crate::sandbox::Sandbox;

fn sandbox(write: &str) -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write("a", "text");
    sandbox.ok("keys create one");
    sandbox.ok("keys create two");
    sandbox.configure(&format!(
        "[keys.app]\nuri = \"local:one\"\n[keys.backup]\nuri = \"local:two\"\n\
         [groups.both]\nrecipients = [\"app\", \"backup\"]\n{write}"
    ));
    sandbox
}

fn report(sandbox: &Sandbox, file: &str) -> Value {
    serde_json::from_slice(&sandbox.ok(&format!("inspect {file} --json"))).unwrap()
}

fn recipients(sandbox: &Sandbox, file: &str) -> usize {
    report(sandbox, file)["recipients"].as_array().unwrap().len()
}

#[test]
fn a_group_is_all_of_its_keys() {
    let sandbox = sandbox("header-len = 3072");
    let sealed = sandbox.run("encrypt a --key both");
    sealed.expect(0, "");
    assert_eq!(sealed.stderr, "");
    assert_eq!(recipients(&sandbox, "a.bulla"), 2);
    assert_eq!(report(&sandbox, "a.bulla")["header_len"], 3072);
    for key in ["one", "two"] {
        sandbox.ok(&format!("keys disable {key}"));
        assert_eq!(sandbox.ok("decrypt a.bulla -o - --key both"), b"text");
        sandbox.ok(&format!("keys enable {key}"));
    }
    sandbox.ok("keys disable two");
    sandbox.run("encrypt a -o b --key both").expect(1, "backup: build: disabled");
    assert!(!sandbox.path("b").exists());
}

#[test]
fn a_missing_recipient_is_told_and_added_later() {
    let sandbox = sandbox("write = { at-least = 1 }");
    for (down, up) in [("one", "backup"), ("two", "app")] {
        let missing = if up == "app" { "backup" } else { "app" };
        sandbox.ok(&format!("keys disable {down}"));
        let sealed = sandbox.run("encrypt a -k both --force");
        sealed.expect(0, &format!("bulla: sealed, but not to {missing}: "));
        sealed.expect(0, "disabled");
        sealed.expect(0, &format!("bulla rewrap a.bulla --add {missing}\n"));
        assert_eq!(recipients(&sandbox, "a.bulla"), 1);
        assert_eq!(sandbox.ok("decrypt a.bulla -o -"), b"text");

        sandbox.run(&format!("rewrap a.bulla --add {missing}")).expect(1, "disabled");
        sandbox.ok(&format!("keys enable {down}"));
        sandbox.ok(&format!("rewrap a.bulla --add {missing}"));
        assert_eq!(recipients(&sandbox, "a.bulla"), 2);
        assert_eq!(sandbox.ok("decrypt a.bulla -o -"), b"text");
    }
    sandbox.ok("keys disable two");
    let sealed = sandbox.run("encrypt a -k both --text -o -");
    sealed.expect(0, "bulla rewrap FILE --add backup");
    sandbox.write("t", &sealed.stdout);
    assert_eq!(recipients(&sandbox, "t"), 1);
}

#[test]
fn too_few_is_an_error() {
    let sandbox = sandbox("write = { at-least = 1 }");
    sandbox.ok("keys disable one");
    sandbox.ok("keys disable two");
    let ended = sandbox.run("encrypt a -k both");
    ended.expect(1, "app: build: disabled");
    ended.expect(1, "2 of 2 recipients can't be had, and 1 must take part");
    assert_eq!(sandbox.names(), ["a"]);
}

#[test]
fn a_mistake_is_not_an_outage() {
    let sandbox = sandbox("write = { at-least = 1 }");
    sandbox.write("right", "correct horse");
    sandbox.write("wrong", "incorrect horse");
    sandbox.ok("keys rotate two --passphrase-file right");
    sandbox.run("encrypt a -k both --passphrase-file wrong").expect(3, "backup: build: ");
    sandbox.ok("encrypt a -k both --passphrase-file right");
    assert_eq!(recipients(&sandbox, "a.bulla"), 2);
}

#[test]
fn only_a_complete_group_is_combined() {
    let incomplete = sandbox("write = { at-least = 1 }");
    incomplete.ok("keys create three");
    let said = "the group `both` need not be complete, so it can't be combined";
    incomplete.run("encrypt a -k both -k local:three").expect(2, said);
    incomplete.ok("encrypt a -k local:three");
    incomplete.ok("rewrap a.bulla --add both"); // adds all, or fails
    assert_eq!(recipients(&incomplete, "a.bulla"), 3);

    let complete = sandbox("write = \"all\"");
    complete.ok("keys create three");
    complete.ok("encrypt a -k both -k local:three");
    assert_eq!(recipients(&complete, "a.bulla"), 3);
    complete.run("encrypt a -o b -k both -k app").expect(2, "app is given twice");
}

#[test]
fn a_group_is_removed_as_far_as_it_is_there() {
    let sandbox = sandbox("");
    sandbox.ok("keys create three");
    sandbox.ok("encrypt a -k app -k local:three");
    sandbox.ok("rewrap a.bulla --remove both");
    assert_eq!(recipients(&sandbox, "a.bulla"), 1);
    let said = "no key of the group `both` is a recipient";
    sandbox.run("rewrap a.bulla --remove both").expect(1, said);
    sandbox.run("rewrap a.bulla --remove app").expect(1, "is no recipient");
}
