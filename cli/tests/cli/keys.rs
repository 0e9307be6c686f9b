//! `bulla keys`.

use std::{fs::File, os::unix::fs::PermissionsExt as _, process::Stdio};

use serde_json::Value;

use crate::sandbox::{Sandbox, ended, first_line};

#[test]
fn an_empty_store_is_no_error_and_is_not_made() {
    let sandbox = Sandbox::new();
    sandbox.run("keys list").expect(0, &format!("no keys in {}", sandbox.home().display()));
    let json: Value = serde_json::from_slice(&sandbox.ok("keys list --json")).unwrap();
    assert_eq!(json["keys"], Value::Array(Vec::new()));
    assert!(!sandbox.home().exists());
}

#[test]
fn made_keys_are_listed_and_shown() {
    let sandbox = Sandbox::new();
    let made = sandbox.run("keys create work");
    made.expect(0, "back that up");
    assert_eq!(made.stdout, b"local:work\n");
    sandbox.ok("keys create sign --type ed25519");
    let list = String::from_utf8(sandbox.ok("keys list")).unwrap();
    assert!(list.contains("work") && list.contains("ed25519") && list.contains("active"), "{list}");
    let list: Value = serde_json::from_slice(&sandbox.ok("keys list --json")).unwrap();
    assert_eq!(list["store"], sandbox.home().to_str().unwrap());
    assert_eq!(list["keys"][0]["name"], "sign");
    assert_eq!(list["keys"][0]["type"], "ed25519");
    let shown: Value = serde_json::from_slice(&sandbox.ok("keys show work --json")).unwrap();
    assert_eq!(shown, list["keys"][1]);
    assert_eq!(shown["versions"][0]["state"], "active");
    assert_eq!(shown["versions"][0]["protected"], false);
}

#[test]
fn mistakes_are_told() {
    let sandbox = Sandbox::new();
    sandbox.ok("keys create work");
    sandbox.run("keys create work").expect(1, "exists already");
    sandbox.run("keys create a/b").expect(2, "invalid input");
    sandbox.run("keys create x --type rsa").expect(2, "possible values: aes-256");
    sandbox.run("keys show gone").expect(1, "`bulla keys create gone` makes it");
}

#[test]
fn states_decide_what_a_key_does() {
    let sandbox = Sandbox::new();
    sandbox.write("a", "text");
    sandbox.ok("keys create work");
    sandbox.ok("encrypt a -k local:work");
    sandbox.ok("keys deprecate work");
    sandbox.ok("verify a.bulla");
    sandbox.run("encrypt a -o b -k local:work").expect(1, "deprecated");
    sandbox.ok("keys disable work");
    sandbox.run("verify a.bulla").expect(1, "`bulla keys enable` lets it open again");
    sandbox.ok("keys enable work");
    sandbox.ok("verify a.bulla");

    let rotated: Value = serde_json::from_slice(&sandbox.ok("keys rotate work --json")).unwrap();
    assert_eq!(rotated["current"], 2);
    sandbox.ok("verify a.bulla");
    sandbox.ok("keys disable work --version 1");
    sandbox.run("verify a.bulla").expect(1, "disabled");
    sandbox.ok("encrypt a -o b -k local:work");

    sandbox.run("keys destroy work --version 9 --yes").expect(1, "has no version 9");
    let gone: Value =
        serde_json::from_slice(&sandbox.ok("keys destroy work --version 1 --yes --json")).unwrap();
    assert_eq!(gone["versions"][0]["state"], "destroyed");
    sandbox.run("verify a.bulla").expect(1, "destroyed");
    sandbox.ok("verify b");
    for args in ["rotate gone", "enable gone", "destroy gone --yes", "export gone --yes"] {
        sandbox.run(&format!("keys {args}")).expect(1, "`bulla keys create gone` makes it");
    }
}

#[test]
fn an_older_version_is_taken_into_use_again() {
    let sandbox = Sandbox::new();
    sandbox.write("a", "text");
    sandbox.ok("keys create work");
    sandbox.ok("keys rotate work");
    let used: Value = serde_json::from_slice(&sandbox.ok("keys use work 1 --json")).unwrap();
    assert_eq!(used["current"], 1);
    sandbox.ok("encrypt a -k local:work");
    let report: Value = serde_json::from_slice(&sandbox.ok("inspect a.bulla --json")).unwrap();
    assert_eq!(report["recipients"][0]["version"], "1");
    sandbox.run("keys use work 3").expect(1, "no version 3");
    sandbox.ok("keys disable work --version 2");
    let disabled = sandbox.run("keys use work 2");
    disabled.expect(1, "hint: `bulla keys enable work --version 2` makes it active");
    sandbox.ok("keys enable work --version 2");
    sandbox.ok("keys use work 2");
    sandbox.run("keys use gone 1").expect(1, "`bulla keys create gone` makes it");
    sandbox.run("keys use work two").expect(2, "invalid value 'two'");
}

#[test]
fn an_exported_key_is_the_same_elsewhere() {
    let sandbox = Sandbox::new();
    sandbox.ok("keys create sign --type p-256");
    let pem = sandbox.ok("keys export sign --yes --format pem");
    let other = Sandbox::new();
    let imported = other.pipe("keys import copy", &pem);
    assert_eq!(imported.stdout, b"local:copy\n", "{}", imported.stderr);
    assert_eq!(
        other.ok("keys public copy --format pem"),
        sandbox.ok("keys public sign --format pem")
    );
    other.write("sign.jwk", sandbox.ok("keys export sign --yes"));
    other.ok("keys import second sign.jwk --json");
    assert_eq!(other.ok("keys public second"), sandbox.ok("keys public sign"));

    other.run("keys import copy sign.jwk").expect(1, "the key local:copy exists already");
    other.write("nonsense", "nonsense");
    other.run("keys import x nonsense").expect(2, "nonsense: ");
    sandbox.ok("keys create work");
    sandbox.run("keys public work").expect(2, "has no public key");
    sandbox.run("keys export work --yes --format pem").expect(1, "no PEM form");
    sandbox.write("a", "text");
    sandbox.run("encrypt a -k local:sign").expect(2, "signs and does not seal");
}

#[test]
fn an_export_replaces_nothing_without_force() {
    let sandbox = Sandbox::new();
    sandbox.ok("keys create work");
    sandbox.write("out", "old");
    sandbox.run("keys export work --yes -o out").expect(1, "out: exists already");
    assert_eq!(sandbox.read("out"), b"old");
    sandbox.ok("keys export work --yes -o out --force");
    assert!(sandbox.read("out").starts_with(b"{\"kty\":\"oct\""));
    // Whoever could read the old file does not get the key.
    let mode = std::fs::metadata(sandbox.path("out")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn a_change_under_way_is_waited_for_and_told() {
    let sandbox = Sandbox::new();
    sandbox.ok("keys create work");
    let path = sandbox.home().join("lock");
    let lock = File::open(&path).unwrap();
    lock.lock().unwrap();
    let mut command = sandbox.bulla();
    command.args(["keys", "rotate", "work"]).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let line = first_line(&mut child);
    let told = "bulla: another program is changing the key store; waiting until it unlocks";
    assert_eq!(line, format!("{told} {}\n", path.display()));
    drop(lock);
    let ended = ended(child);
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
    let text = String::from_utf8(ended.stdout).unwrap();
    assert!(text.contains("2  active"), "{text}");
    assert_eq!(std::fs::read(&path).unwrap(), b"", "as FORMAT.md says");
}
