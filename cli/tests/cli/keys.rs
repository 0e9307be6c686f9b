//! `bulla keys`.

use serde_json::Value;

use crate::sandbox::Sandbox;

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
    sandbox.ok("keys create sign");
    let list = String::from_utf8(sandbox.ok("keys list")).unwrap();
    assert!(list.contains("work") && list.contains("aes-256") && list.contains("active"), "{list}");
    let list: Value = serde_json::from_slice(&sandbox.ok("keys list --json")).unwrap();
    assert_eq!(list["store"], sandbox.home().to_str().unwrap());
    assert_eq!(list["keys"][0]["name"], "sign");
    assert_eq!(list["keys"][0]["type"], "aes-256");
    let shown: Value = serde_json::from_slice(&sandbox.ok("keys show work --json")).unwrap();
    assert_eq!(shown, list["keys"][1]);
    assert_eq!(shown["versions"][0]["state"], "active");
    assert_eq!(shown["versions"][0]["protected"], false);
}

#[test]
fn mistakes_are_told() {
    let sandbox = Sandbox::new();
    sandbox.ok("keys create work");
    sandbox.run("keys create work").expect(1, "already exists");
    sandbox.run("keys create a/b").expect(2, "invalid input");
    sandbox.run("keys create x --type rsa").expect(2, "possible values: aes-256");
    sandbox.run("keys show gone").expect(1, "`bulla keys create gone` makes it");
}
