//! The configuration: where it is found, what its mistakes look like, and names in place of URIs.

use std::fs;

use serde_json::Value;

use crate::sandbox::{Sandbox, end};

const KEYS: &str = "
default = \"app\"
[keys.app]
uri = \"local:one\"
policy = \"patient\"
[keys.backup]
uri = \"local:two\"
[policies.patient]
deadline = \"20s\"
";

/// A sandbox with two keys, a file and no configuration.
fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write("a", "text");
    sandbox.ok("keys create one");
    sandbox.ok("keys create two");
    sandbox
}

fn id(sandbox: &Sandbox, name: &str) -> String {
    let key: Value =
        serde_json::from_slice(&sandbox.ok(&format!("keys show {name} --json"))).unwrap();
    key["id"].as_str().unwrap().to_owned()
}

/// The keys that a file is sealed to, as names in the store.
fn sealed_to(sandbox: &Sandbox, file: &str) -> Vec<&'static str> {
    let report: Value =
        serde_json::from_slice(&sandbox.ok(&format!("inspect {file} --json"))).unwrap();
    let (one, two) = (id(sandbox, "one"), id(sandbox, "two"));
    let recipients = report["recipients"].as_array().unwrap();
    let name = |key: &Value| match key.as_str().unwrap() {
        key if key == one => "one",
        key if key == two => "two",
        key => panic!("{key}"),
    };
    recipients.iter().map(|r| name(&r["key"])).collect()
}

#[test]
fn the_option_wins_over_the_variable_and_that_over_the_directory() {
    let sandbox = sandbox();
    let naming = |uri: &str| format!("default = \"x\"\n[keys.x]\nuri = \"{uri}\"");
    sandbox.configure(&naming("local:two"));
    sandbox.ok("encrypt a -o by-directory");
    assert_eq!(sealed_to(&sandbox, "by-directory"), ["two"]);

    sandbox.write("one.toml", naming("local:one"));
    let with_variable = |args: &str, file: &str| {
        end(sandbox.bulla().args(args.split(' ')).env("BULLA_CONFIG", file))
    };
    with_variable("encrypt a -o by-variable", "one.toml").expect(0, "");
    assert_eq!(sealed_to(&sandbox, "by-variable"), ["one"]);
    with_variable("encrypt a -o by-empty-variable", "").expect(0, "");
    assert_eq!(sealed_to(&sandbox, "by-empty-variable"), ["two"]);

    for args in ["--config one.toml encrypt a -o c1", "encrypt a -o c2 --config one.toml"] {
        with_variable(args, "gone.toml").expect(0, "");
    }
    assert_eq!(sealed_to(&sandbox, "c1"), ["one"]);
    assert_eq!(sealed_to(&sandbox, "c2"), ["one"]);

    let said = "gone.toml: no such file, and BULLA_CONFIG names it";
    with_variable("encrypt a -o no", "gone.toml").expect(2, said);
    let said = "gone.toml: no such file, and --config names it";
    sandbox.run("--config gone.toml encrypt a -o no").expect(2, said);
    sandbox.run("encrypt a -o no --config .").expect(2, "is a directory and no configuration");
    assert!(!sandbox.path("no").exists());
}

#[test]
fn commands_that_need_no_configuration_do_not_mind_a_broken_one() {
    let sandbox = sandbox();
    sandbox.ok("encrypt a -k local:one");
    sandbox.configure("nonsense");
    for args in ["keys list", "inspect a.bulla", "completions bash"] {
        sandbox.ok(args);
    }
    for args in ["encrypt a -o b -k local:one", "decrypt a.bulla -o b", "verify a.bulla"] {
        sandbox.run(args).expect(2, "config/bulla/bulla.toml:1:");
    }
    sandbox.run("rewrap a.bulla --add local:two").expect(2, "config/bulla/bulla.toml:1:");
}

#[test]
fn mistakes_have_a_place_and_a_name() {
    let sandbox = sandbox();
    for (text, said) in [
        ("default = \"app\"\n\n[keys.app]\nurl = \"local:a\"", "c.toml:4:1: unknown field `url`"),
        ("[keys.app]\nuri = 7", "c.toml:2:7: invalid type: integer `7`, expected a string"),
        ("default = \"x\"", "c.toml:1:11: there is no key or group `x`"),
        ("default = \"x", "c.toml:1:13: "),
    ] {
        sandbox.write("c.toml", text);
        sandbox.run("encrypt a -o b --config c.toml").expect(2, said);
    }
    // All of them at once.
    sandbox.write("c.toml", "default = \"x\"\n[keys.app]\nuri = \"local:a\"\npolicy = \"p\"");
    let ended = sandbox.run("encrypt a -o b --config c.toml");
    let said = "bulla: c.toml:1:11: there is no key or group `x`\n  \
                c.toml:4:10: there is no policy `p`\n";
    ended.expect(2, said);
    assert_eq!(ended.stderr, said);
    sandbox.write("c.toml", b"# caf\xe9\n");
    sandbox.run("encrypt a -o b --config c.toml").expect(2, "c.toml:1:6: this is not UTF-8");
    sandbox.write("c.toml", " ".repeat(65_536));
    sandbox.run("encrypt a -o b --config c.toml").expect(2, "has no `default`");
    sandbox.write("c.toml", " ".repeat(65_537));
    sandbox.run("encrypt a -o b --config c.toml").expect(2, "c.toml: is too long");
    assert!(!sandbox.path("b").exists());
}

#[test]
fn names_stand_for_uris() {
    let sandbox = sandbox();
    sandbox.configure(KEYS);
    sandbox.ok("encrypt a");
    assert_eq!(sealed_to(&sandbox, "a.bulla"), ["one"]);
    sandbox.ok("rewrap a.bulla --add backup");
    assert_eq!(sealed_to(&sandbox, "a.bulla"), ["one", "two"]);
    sandbox.ok("rewrap a.bulla --remove app");
    assert_eq!(sealed_to(&sandbox, "a.bulla"), ["two"]);
    assert_eq!(sandbox.ok("decrypt a.bulla -o -"), b"text");
    assert_eq!(sandbox.ok("decrypt a.bulla -o - --key app"), b"text");
    sandbox.ok("encrypt a -o b --key backup --key local:one");
    assert_eq!(sealed_to(&sandbox, "b"), ["two", "one"]);
}

#[test]
fn unknown_names_are_told_with_the_known_ones() {
    let sandbox = sandbox();
    sandbox.ok("encrypt a -k local:one");
    sandbox.configure(KEYS);
    let said = "has no key or group `ap`; the names there are app, backup";
    for args in [
        "encrypt a -o b --key ap",
        "decrypt a.bulla -o b --key ap",
        "rewrap a.bulla --add ap",
        "rewrap a.bulla --remove ap",
    ] {
        sandbox.run(args).expect(2, said);
    }
    let ended = sandbox.run("encrypt a -o b --key not/a*name");
    ended.expect(2, "has no key or group of that name");
    assert!(!ended.stderr.contains("not/a"), "{}", ended.stderr); // it may be a secret
    sandbox.run("encrypt a -o b -k app -k app").expect(2, "app is given twice");
    sandbox.run("encrypt a -o b -k app -k local:one").expect(2, "two recipients are the same key");
    assert!(!sandbox.path("b").exists());
}

#[test]
fn with_a_configuration_no_key_is_made_unasked() {
    let sandbox = Sandbox::new();
    sandbox.write("a", "text");
    sandbox.configure("[keys.app]\nuri = \"local:app\"");
    let ended = sandbox.run("encrypt a");
    ended.expect(2, "no key is named, and ");
    ended.expect(2, "hint: give --key NAME, or set `default`; the names there are app");
    sandbox.configure("default = \"app\"\n[keys.app]\nuri = \"local:app\"");
    sandbox.run("encrypt a").expect(1, "`bulla keys create app` makes it");
    assert!(!sandbox.home().exists());
    assert_eq!(sandbox.names(), ["a"]);
    fs::remove_dir_all(sandbox.config_home()).unwrap();
    sandbox.run("encrypt a").expect(0, "made the key local:default");
}

/// The lane `features` runs this with the command as it is built by default.
#[cfg(not(feature = "gcp-kms"))]
#[test]
fn a_key_that_this_build_has_no_provider_for_is_in_nobodys_way() {
    let sandbox = sandbox();
    sandbox.ok("encrypt a -k local:one");
    let cloud =
        "[keys.cloud]\nuri = \"gcpkms://projects/p/locations/global/keyRings/r/cryptoKeys/x\"";
    sandbox.configure(&format!("{KEYS}\n{cloud}"));
    sandbox.ok("encrypt a -o b");
    assert_eq!(sandbox.ok("decrypt a.bulla -o -"), b"text");
    sandbox.run("encrypt a -o c -k cloud").expect(2, "no provider for `gcpkms` keys");
    sandbox.run("decrypt a.bulla -o c -k cloud").expect(2, "no provider for `gcpkms` keys");
    // The file is not sealed to any key of that kind: it is not tried, nor spoken of.
    assert!(!sandbox.run("verify a.bulla").stderr.contains("cloud"));
    let stranger = Sandbox::new();
    stranger.write("a.bulla", sandbox.read("a.bulla"));
    stranger.configure(cloud);
    let ended = stranger.run("verify a.bulla");
    ended.expect(3, "no recipient to open with");
    assert!(!ended.stderr.contains("cloud"), "{}", ended.stderr);
}

#[test]
fn a_protected_key_asks_by_its_name() {
    let sandbox = Sandbox::new();
    sandbox.write("a", "text");
    sandbox.write("right", "correct horse");
    sandbox.write("wrong", "incorrect horse");
    sandbox.ok("keys create one --passphrase-file right");
    sandbox.configure("default = \"app\"\n[keys.app]\nuri = \"local:one\"");
    sandbox.run("encrypt a --passphrase-file wrong").expect(3, "app: ");
    sandbox.ok("encrypt a --passphrase-file right");
    assert_eq!(sandbox.ok("decrypt a.bulla -o - --passphrase-file right"), b"text");
}
