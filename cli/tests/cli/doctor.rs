//! `bulla doctor`.

use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt as _,
    path::Path,
};

use serde_json::{Value, json};

use crate::sandbox::{Ended, Sandbox};

const TWO: &str = "
default = \"app\"
[keys.app]
uri = \"local:one\"
[keys.backup]
uri = \"local:two\"
";

fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.ok("keys create one");
    sandbox.ok("keys create two");
    sandbox.configure(TWO);
    sandbox
}

/// The lines of a run that ended with this code.
#[track_caller]
fn lines(sandbox: &Sandbox, args: &str, code: i32) -> Vec<String> {
    let ended = sandbox.run(&format!("doctor {args}"));
    assert_eq!(ended.code, Some(code), "{ended:?}");
    assert_eq!(ended.stderr, "");
    String::from_utf8(ended.stdout).unwrap().lines().map(str::to_owned).collect()
}

#[track_caller]
fn expect(line: &str, start: &str, said: &str) {
    assert!(line.starts_with(start) && line.contains(said), "{start:?}, {said:?}: {line}");
}

fn parsed(ended: &Ended) -> Value {
    serde_json::from_slice(&ended.stdout).unwrap()
}

/// Every path below a directory, with what would change if it were written to.
fn everything(dir: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let metadata = fs::symlink_metadata(&path).unwrap();
        found.push(format!("{} {:?}", path.display(), metadata.modified().unwrap()));
        if metadata.is_dir() {
            found.extend(everything(&path));
        }
    }
    found.sort();
    found
}

#[test]
fn what_is_healthy() {
    let sandbox = sandbox();
    sandbox.ok("keys rotate two");
    let lines = lines(&sandbox, "", 0);
    assert_eq!(lines.len(), 4, "{lines:?}");
    expect(&lines[0], "ok    configuration: ", "2 keys, 0 groups, 0 policies, default app");
    expect(&lines[1], "ok    key store: ", &format!("{}: 2 keys", sandbox.home().display()));
    let said =
        "aes-256, active, version 1, seals (context bound), direct up to 4096 bytes, answered";
    expect(&lines[2], "ok    key app: ", said);
    expect(&lines[3], "ok    key backup: ", "version 2");
}

#[test]
fn nothing_at_all_is_fine() {
    let sandbox = Sandbox::new();
    let lines = lines(&sandbox, "", 0);
    assert_eq!(lines.len(), 2, "{lines:?}");
    expect(&lines[0], "ok    configuration: none (", "keys are named by URIs");
    expect(&lines[1], "ok    key store: ", "there is none yet");
}

#[test]
fn without_a_configuration_the_keys_of_the_store_are_asked() {
    let sandbox = Sandbox::new();
    sandbox.ok("keys create work");
    sandbox.ok("keys create sign --type ed25519");
    for (key, change) in [("off", "disable"), ("old", "deprecate"), ("gone", "destroy --yes")] {
        sandbox.ok(&format!("keys create {key}"));
        sandbox.ok(&format!("keys {change} {key}"));
    }
    // Whoever disabled a key that nothing names did so on purpose.
    let lines = lines(&sandbox, "", 0);
    assert_eq!(lines.len(), 7, "{lines:?}");
    expect(&lines[2], "warn  key local:gone: aes-256, destroyed", "never opens again");
    expect(&lines[3], "warn  key local:off: aes-256, disabled", "`bulla keys enable off`");
    expect(&lines[4], "warn  key local:old: aes-256, deprecated", "`bulla keys rotate old`");
    expect(&lines[5], "ok    key local:sign: ed25519, active, version 1, signs Ed25519", "");
    assert!(!lines[5].contains("seals"), "{}", lines[5]);
    expect(&lines[6], "ok    key local:work: aes-256", "");
}

#[test]
fn a_configured_key_must_work() {
    for (change, mend) in [("disable two", "enable two"), ("destroy two --yes", "rotate two")] {
        let sandbox = sandbox();
        sandbox.ok(&format!("keys {change}"));
        let lines = lines(&sandbox, "", 1);
        expect(&lines[2], "ok    key app: ", "");
        expect(&lines[3], "FAIL  key backup: ", &format!("`bulla keys {mend}`"));
        // The advice helps.
        sandbox.ok(&format!("keys {mend}"));
        sandbox.ok("doctor");
    }
    let sandbox = sandbox();
    sandbox.ok("keys deprecate two");
    expect(&lines(&sandbox, "", 0)[3], "warn  key backup: ", "it opens, and seals no more");
}

#[test]
fn a_missing_key() {
    let sandbox = Sandbox::new();
    sandbox.configure(TWO);
    let said = lines(&sandbox, "", 1);
    expect(&said[1], "ok    key store: ", "there is none yet");
    expect(&said[2], "FAIL  key app: ", "`bulla keys create one` makes it");
    sandbox.ok("keys create one");
    let said = lines(&sandbox, "", 1);
    expect(&said[2], "ok    key app: ", "");
    expect(&said[3], "FAIL  key backup: ", "`bulla keys create two` makes it");
}

#[test]
fn what_others_may_read_or_write() {
    let sandbox = sandbox();
    let config = sandbox.config_home().join("bulla/bulla.toml");
    fs::set_permissions(&config, Permissions::from_mode(0o664)).unwrap();
    let said = lines(&sandbox, "", 0);
    assert_eq!(said.len(), 5, "{said:?}");
    expect(&said[1], "warn  configuration: ", &format!("chmod go-w {}", config.display()));
    fs::set_permissions(&config, Permissions::from_mode(0o644)).unwrap();

    fs::set_permissions(sandbox.home(), Permissions::from_mode(0o750)).unwrap();
    let said = lines(&sandbox, "", 1);
    let chmod = format!("chmod 700 '{}'", sandbox.home().display());
    expect(&said[1], "FAIL  key store: denied: ", &chmod);
    expect(&said[2], "FAIL  key app: denied: ", &chmod);
    fs::set_permissions(sandbox.home(), Permissions::from_mode(0o700)).unwrap();
    assert_eq!(lines(&sandbox, "", 0).len(), 4);

    let key: Value = serde_json::from_slice(&sandbox.ok("keys show two --json")).unwrap();
    let secret = sandbox.home().join("keys").join(key["id"].as_str().unwrap()).join("v1.json");
    fs::set_permissions(&secret, Permissions::from_mode(0o640)).unwrap();
    let said = lines(&sandbox, "", 1);
    expect(&said[2], "ok    key app: ", "");
    expect(&said[3], "FAIL  key backup: ", &format!("chmod 600 '{}'", secret.display()));
}

#[test]
fn a_protected_key_is_tried_with_its_passphrase_only() {
    let sandbox = Sandbox::new();
    sandbox.write("right", "correct horse");
    sandbox.write("wrong", "incorrect horse");
    sandbox.ok("keys create one --passphrase-file right");
    let said = lines(&sandbox, "", 0);
    expect(&said[2], "warn  key local:one: aes-256, active", "give --passphrase-file to try it");
    let said = lines(&sandbox, "--passphrase-file right", 0);
    expect(&said[2], "ok    key local:one: ", "answered in");
    let said = lines(&sandbox, "--passphrase-file wrong", 3);
    expect(&said[2], "FAIL  key local:one: ", "passphrase");
}

#[test]
fn a_broken_configuration_does_not_hide_the_store() {
    let sandbox = sandbox();
    sandbox.configure("[keys.app]\nurl = \"local:one\"");
    let said = lines(&sandbox, "", 2);
    assert_eq!(said.len(), 2, "{said:?}");
    expect(&said[0], "FAIL  configuration: ", "bulla.toml:2:1: unknown field `url`");
    expect(&said[1], "ok    key store: ", "2 keys");
    sandbox.configure("default = \"x\"\n[keys.app]\nurl = \"local:one\"");
    let said = lines(&sandbox, "", 2);
    assert_eq!(said.len(), 3, "{said:?}");
    expect(&said[0], "FAIL  configuration: ", "bulla.toml:1:11: there is no key or group `x`");
    expect(&said[1], "FAIL  configuration: ", "bulla.toml:3:1: unknown field `url`");
    let said = lines(&sandbox, "--config gone.toml", 2);
    expect(&said[0], "FAIL  configuration: gone.toml: no such file", "--config names it");
}

/// The lane `features` runs this with the command as it is built by default.
#[cfg(not(feature = "gcp-kms"))]
#[test]
fn a_key_without_a_provider_in_this_build_is_told_of() {
    let sandbox = sandbox();
    sandbox.configure(
        "[keys.cloud]\nuri = \"gcpkms://projects/p/locations/global/keyRings/r/cryptoKeys/x\"",
    );
    let said = lines(&sandbox, "", 2);
    expect(&said[2], "FAIL  key cloud: ", "no provider for `gcpkms` keys");
}

#[test]
fn json_has_the_documented_fields() {
    let sandbox = sandbox();
    sandbox.ok("keys disable two");
    let ended = sandbox.run("doctor --json");
    ended.expect(1, "");
    let mut report = parsed(&ended);
    assert_eq!(report["status"], "fail");
    assert_eq!(report["checks"][0]["subject"], "configuration");
    assert_eq!(report["checks"][0]["status"], "ok");
    assert_eq!(report["checks"][0]["key"], Value::Null);
    assert_eq!(report["checks"][1]["subject"], "key-store");
    let app = &mut report["checks"][2];
    assert!(app["key"]["latency_ms"].take().as_f64().unwrap() > 0.0);
    let key = json!({
        "uri": "local:one", "type": "aes-256", "state": "active", "version": "1",
        "latency_ms": null, "seals": "bound", "public_key_wraps": null, "direct_limit": 4096,
        "signing": [],
    });
    assert_eq!(app["key"], key);
    assert_eq!(app["status"], "ok");
    let backup = &report["checks"][3];
    assert_eq!((&backup["subject"], &backup["name"]), (&json!("key"), &json!("backup")));
    assert_eq!(backup["status"], "fail");
    assert!(backup["advice"].as_str().unwrap().contains("bulla keys enable two"), "{backup}");
    assert_eq!(backup["key"]["state"], "disabled");
    assert_eq!(backup["key"]["seals"], Value::Null);

    // What is printed is documented, and the other way round.
    let doc = include_str!("../../JSON.md");
    let doc = doc.split("## `bulla doctor --json`").nth(1).unwrap().split("\n## ").next().unwrap();
    let fields = |object: &Value| object.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    let mut printed = fields(&report);
    printed.extend(fields(backup));
    printed.extend(fields(&backup["key"]));
    let mut documented: Vec<_> = doc
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split('`').next().map(str::to_owned))
        .collect();
    printed.sort();
    documented.sort();
    assert_eq!(printed, documented);

    let sandbox = Sandbox::new();
    sandbox.ok("keys create sign --type p-256");
    let report = parsed(&sandbox.run("doctor --json"));
    assert_eq!(report["status"], "ok");
    assert_eq!(report["checks"][2]["key"]["signing"], json!(["ES256"]));
    assert_eq!(report["checks"][2]["key"]["direct_limit"], Value::Null);
}

#[test]
fn nothing_is_made_or_changed() {
    let empty = Sandbox::new();
    let root = empty.home().parent().unwrap().to_owned();
    let before = everything(&root);
    empty.ok("doctor");
    empty.ok("doctor --json");
    assert_eq!(everything(&root), before);
    empty.configure(TWO);
    let before = everything(&root);
    empty.run("doctor").expect(1, "");
    assert_eq!(everything(&root), before);

    let full = sandbox();
    let root = full.home().parent().unwrap().to_owned();
    let before = everything(&root);
    full.ok("doctor");
    assert_eq!(everything(&root), before);
    full.ok("keys create three"); // the comparison sees what is made
    assert!(everything(&root) != before);
}
